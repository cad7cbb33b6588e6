"""Prove what the README of this distribution says, with the real client around the sink."""

import stat
from pathlib import Path

import duckdb
import pytest
from telemetry_sink_parquet import ParquetSink

from telemetry import RunRecord, TelemetryClient
from telemetry.plugins import Item
from telemetry.testing import FrozenClock


def query(folder: Path, sql: str) -> list[tuple]:
    """Return what *sql* says of `runs`, all files of the folder."""
    with duckdb.connect() as database:
        database.execute(f"CREATE VIEW runs AS FROM read_parquet('{folder / 'parquet' / '*.parquet'}')")
        return database.execute(sql).fetchall()


def a_run(**changes) -> RunRecord:
    """Return a run that has ended, with *changes*."""
    known = {"run_id": "r1", "agent_name": "crawler", "status": "success"}
    times = {"start_time": "2026-11-23T10:00:00+00:00", "end_time": "2026-11-23T10:00:02.500000+00:00"}
    return RunRecord(**(known | times | changes))


@pytest.fixture
def deliver(tmp_path: Path):
    """Return a function that delivers runs to a sink in the test's directory, as one batch."""

    def act(*runs: RunRecord, **options) -> None:
        sink = ParquetSink(ParquetSink.Options(directory=tmp_path / "parquet", **options))
        sink.deliver([Item(f"key {run.run_id}", run) for run in runs])

    return act


def test_client_brings_rows(tmp_path: Path):
    """Runs that an agent has tracked stand in the file of their day, with times and numbers to reckon with."""
    with (
        FrozenClock("2026-11-23T10:00:00Z") as clock,
        TelemetryClient(sinks={"lake": ParquetSink()}, metrics_dir=tmp_path) as client,
    ):
        for cost in (0.25, 0.5):
            with client.track_run("crawler", "nightly") as run:
                run.set_metrics(items_succeeded=3, cost_usd=cost, pages=7)
                clock.advance(90)
        client.flush()

    assert ["runs_20261123.parquet"] == [path.name for path in (tmp_path / "parquet").iterdir()]
    asked = (
        "SELECT agent_name, sum(cost_usd), max(end_time - start_time)::VARCHAR, any_value(metrics) FROM runs GROUP BY 1"
    )
    [(agent, cost, longest, metrics)] = query(tmp_path, asked)
    assert ("crawler", 0.75, "00:01:30") == (agent, cost, longest)
    assert '"pages": 7' in metrics


def test_day_is_that_of_the_end(deliver, tmp_path: Path):
    """In UTC, whatever the run began."""
    deliver(
        a_run(),
        a_run(run_id="r2", end_time="2026-11-24T01:30:00+02:00"),
        a_run(run_id="r3", end_time="2026-11-24T00:00:00Z"),
    )

    names = {path.name for path in (tmp_path / "parquet").iterdir()}
    assert {"runs_20261123.parquet", "runs_20261124.parquet"} == names
    assert [("r1",), ("r2",), ("r3",)] == query(tmp_path, "SELECT run_id FROM runs ORDER BY 1")


def test_run_that_comes_again_is_one_row(deliver, tmp_path: Path):
    """In one batch or in two; the first end counts."""
    deliver(a_run(), a_run(), a_run(run_id="r2"))
    deliver(a_run(status="failed"))

    assert [("r1", "success"), ("r2", "success")] == query(tmp_path, "SELECT run_id, status FROM runs ORDER BY 1")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_true_end_wins_over_a_verdict(deliver, tmp_path: Path, order):
    """Whichever comes first."""
    ends = a_run(status="failed", verdict=True), a_run(status="success")

    for number in order:
        deliver(ends[number])

    assert [("success",)] == query(tmp_path, "SELECT status FROM runs")


def test_columns_may_be_added(deliver, tmp_path: Path):
    """Rows of before have no value there."""
    deliver(a_run(metrics={"pages": 7}))
    deliver(a_run(run_id="r2", metrics={"pages": 8}), metrics=("pages",))

    assert [("r1", None), ("r2", 8.0)] == query(tmp_path, "SELECT run_id, pages FROM runs ORDER BY 1")


@pytest.mark.parametrize("name", ["run_id", "Status", "cost usd", 'x"', "", "place"])
def test_metric_that_can_be_no_column_is_refused(name: str):
    """At start-up, with its name."""
    with pytest.raises(ValueError, match="cannot be a column"):
        ParquetSink.Options(metrics=(name,))


@pytest.mark.parametrize("value", ["many", None, True, 10**400, [1]], ids=["text", "none", "flag", "huge", "list"])
def test_metric_that_is_no_number_costs_nothing(deliver, tmp_path: Path, value):
    """Its column is empty or 1, the run is there, and the value stands in `metrics`."""
    deliver(a_run(metrics={"cost_usd": value}))

    [(cost, metrics)] = query(tmp_path, "SELECT cost_usd, metrics FROM runs")
    assert cost == (1.0 if value is True else None)
    assert "cost_usd" in metrics


def test_end_that_is_no_time_is_a_row_of_today(deliver, tmp_path: Path):
    """Whatever an agent gave as the end."""
    deliver(a_run(end_time="yesterday"))

    assert [("r1", None)] == query(tmp_path, "SELECT run_id, end_time FROM runs")


def test_file_is_private_and_nothing_else_is_left(deliver, tmp_path: Path):
    """Nobody else reads it, and no draft stays."""
    deliver(a_run())
    deliver(a_run(run_id="r2"))

    [path] = (tmp_path / "parquet").iterdir()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_draft_of_a_killed_process_is_in_nobodys_way(deliver, tmp_path: Path):
    """It is written over."""
    (tmp_path / "parquet").mkdir()
    (tmp_path / "parquet" / "runs_20261123.new").write_bytes(b"PAR1 torn")

    deliver(a_run())

    assert [("r1",)] == query(tmp_path, "SELECT run_id FROM runs")
    assert ["runs_20261123.parquet"] == [path.name for path in (tmp_path / "parquet").iterdir()]
