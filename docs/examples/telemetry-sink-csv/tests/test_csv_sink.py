"""Prove what the README of this distribution says, with the real client around the sink."""

import csv
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from telemetry_sink_csv import CsvSink

from telemetry import RunRecord, TelemetryClient
from telemetry.plugins import SinkContext

_START, _END = "2026-11-23T10:00:00.000000+00:00", "2026-11-23T10:00:02.500000+00:00"


@pytest.fixture
def opened(tmp_path: Path):
    """Return a function that makes a sink with the given options and opens it in the test's directory."""

    def make(**options: Any) -> CsvSink:
        sink = CsvSink(CsvSink.Options(**options))
        sink.telemetry_open(_context(tmp_path))
        return sink

    return make


def _context(base_dir: Path) -> SinkContext:
    return SinkContext(
        sink_name="csv",
        base_dir=base_dir,
        ndjson_dir=base_dir / "raw",
        journal_dir=None,
        database_path=base_dir / "db" / "telemetry.sqlite",
        writer="0123456789ab",
    )


def a_run(**changes: Any) -> RunRecord:
    """Return a run that has ended, with *changes*."""
    known = {"run_id": "r1", "agent_name": "crawler", "status": "success", "start_time": _START, "end_time": _END}
    return RunRecord(**(known | changes))


def rows_in(folder: Path, name: str = "runs_20261123.csv") -> list[dict[str, str]]:
    """Return the rows of a file as a spreadsheet would read them."""
    with (folder / "csv" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_client_brings_a_row(tmp_path: Path):
    """A run that an agent has tracked stands in the file of its day."""
    with TelemetryClient(sinks={"csv": CsvSink()}, metrics_dir=tmp_path) as client:
        with client.track_run("crawler", "nightly") as run:
            run.set_metrics(items_succeeded=3, tokens_in=100)

        [file] = (tmp_path / "csv").iterdir()
        assert 1 == client.status()["sinks"]["csv"]["rows"]

    [row] = rows_in(tmp_path, file.name)
    told = {name: row[name] for name in ("run_id", "agent_name", "status", "items_succeeded", "metrics")}
    assert told == {
        "run_id": run.run_id,
        "agent_name": "crawler",
        "status": "success",
        "items_succeeded": "3",
        "metrics": '{"tokens_in": 100}',
    }


def test_columns_are_chosen(opened, tmp_path: Path):
    """Fields, metrics and attributes stand in the order in which the options name them."""
    sink = opened(columns=("metrics.cost_usd", "run_id", "attributes.team", "duration_ms"))

    sink.telemetry_run_ended(a_run(metrics={"cost_usd": 0.25}, attributes={"team": "search"}))

    text = (tmp_path / "csv" / "runs_20261123.csv").read_text("utf-8")
    assert ["metrics.cost_usd,run_id,attributes.team,duration_ms", "0.25,r1,search,"] == text.splitlines()


@pytest.mark.parametrize("name", ["cost_usd", "metric.cost_usd", "runid", ""])
def test_unknown_column_is_refused(name: str):
    """A column that no run has is an error with its name, at start-up and not at the first row."""
    with pytest.raises(ValueError, match=f"'{name}' is no field of a run"):
        CsvSink.Options(columns=("run_id", name))


def test_other_columns_get_a_file_of_their_own(opened, tmp_path: Path):
    """A day's file never holds rows of two shapes."""
    for columns in (("run_id",), ("run_id", "status"), ("run_id",)):
        opened(columns=columns).telemetry_run_ended(a_run())

    assert [{"run_id": "r1"}] * 2 == rows_in(tmp_path)
    assert [{"run_id": "r1", "status": "success"}] == rows_in(tmp_path, "runs_20261123_2.csv")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_text_is_a_formula(opened, tmp_path: Path, text: str):
    """What a spreadsheet would run is written as text."""
    opened().telemetry_run_ended(a_run(error_summary=text))

    assert f"'{text}" == rows_in(tmp_path)[0]["error_summary"]


@pytest.mark.parametrize("text", ['a "quoted" word', "a,b", "two\nlines", "é 😀", "NUL\x00"])
def test_row_is_one_line(opened, tmp_path: Path, text: str):
    """Any text comes back out of a single line; a line break becomes a space."""
    opened().telemetry_run_ended(a_run(error_summary=text))

    assert 2 == (tmp_path / "csv" / "runs_20261123.csv").read_bytes().count(b"\n")
    assert text.replace("\n", " ") == rows_in(tmp_path)[0]["error_summary"]


@pytest.mark.parametrize("kept", [1, 10, 60, 75])
def test_torn_row_costs_no_other(opened, tmp_path: Path, kept: int):
    """Behind a row that was cut anywhere, within a quoted text too, the next one is whole."""
    sink = opened(columns=("run_id", "error_summary", "agent_name"))
    sink.telemetry_run_ended(a_run(run_id="torn", error_summary="so, it was said, this is how it ended, " * 2))
    path = tmp_path / "csv" / "runs_20261123.csv"
    header, row = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + row[:kept])

    sink.telemetry_run_ended(a_run(run_id="next"))

    assert {"run_id": "next", "error_summary": "", "agent_name": "crawler"} == rows_in(tmp_path)[-1]


def test_end_that_is_no_time_is_a_row_of_today(opened, tmp_path: Path):
    """Whatever an agent gave as the end, the run has its row."""
    opened().telemetry_run_ended(a_run(end_time="yesterday"))

    [file] = (tmp_path / "csv").iterdir()
    assert "yesterday" == rows_in(tmp_path, file.name)[0]["end_time"]


def test_files_are_private(opened, tmp_path: Path):
    """Only the user who ran the agent can read what it did, also in a folder for which others had to be made."""
    opened(directory=tmp_path / "new" / "csv").telemetry_run_ended(a_run())

    modes = [oct((tmp_path / "new" / name).stat().st_mode & 0o777) for name in (".", "csv", "csv/runs_20261123.csv")]
    assert ["0o700", "0o700", "0o600"] == modes


def _write(base_dir: Path, number: int) -> None:
    sink = CsvSink()
    sink.telemetry_open(_context(base_dir))
    for index in range(50):
        sink.telemetry_run_ended(a_run(run_id=f"{number}-{index}", error_summary="x" * 5000))


def test_processes_share_a_file(tmp_path: Path):
    """Eight processes that start at once lose no row and write one header."""
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(tmp_path, number)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert [0] * 8 == [writer.exitcode for writer in writers]
    found = sorted(row["run_id"] for row in rows_in(tmp_path))
    assert sorted(f"{number}-{index}" for number in range(8) for index in range(50)) == found
    assert ["runs_20261123.csv"] == [path.name for path in (tmp_path / "csv").iterdir()]
