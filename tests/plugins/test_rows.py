"""Records stream one by one, and become a table only where the library for it is installed."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry import TelemetryClient, open_store
from telemetry.plugins import MissingExtra, Rows, RunEvent, RunQuery, RunRecord

START = "2026-11-23T10:00:00.250000+00:00"
RUNS = (
    RunRecord(run_id="r1", agent_name="a", start_time=START, metrics={"n": 1, "odd": "x"}, attributes={"site": "s"}),
    RunRecord(run_id="r2", agent_name="b", start_time="2026-11-23T11:00:00Z", metrics={"n": 2.5, "odd": [1]}),
    RunRecord(run_id="r3", agent_name="b", start_time="no time", metrics={"huge": 2**70}, items_failed=3),
)
EVENTS = (RunEvent("r1", "step", START, {"a": 1}), RunEvent("r1", "note", START, "text"), RunEvent("r1", "end", START))


def table_of(library: str, rows: Rows[Any]) -> dict[str, list[Any]]:
    """Return the columns of a table made by *library*, None for what is missing."""
    pytest.importorskip(library, reason="installed in the tox environment `coverage`")
    if library == "polars":
        return rows.to_polars().to_dict(as_series=False)
    frame = rows.to_pandas()
    return {name: [None if value != value else value for value in frame[name]] for name in frame.columns}


def test_rows_come_one_by_one() -> None:
    """Nothing is read ahead, and nothing comes twice."""
    asked: list[int] = []

    def slowly() -> Iterator[RunRecord]:
        for number, run in enumerate(RUNS):
            asked.append(number)
            yield run

    rows = Rows(RunRecord, slowly())

    assert RUNS[0] == next(rows)
    assert [0] == asked
    assert list(RUNS[1:]) == list(rows)
    assert [] == list(rows)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_runs_become_a_table(library: str) -> None:
    """Metrics and attributes have columns of their own, times are moments, mixed values JSON text."""
    table = table_of(library, Rows(RunRecord, iter(RUNS)))

    assert ["r1", "r2", "r3"] == table["run_id"]
    assert [1.0, 2.5, None] == table["metrics.n"]
    assert ["x", "[1]", None] == table["metrics.odd"]
    assert [None, None, str(2**70)] == table["metrics.huge"]
    assert ["s", None, None] == table["attributes.site"]
    assert [0, 0, 3] == table["items_failed"]
    assert ["2026-11-23T10:00:00.250000+00:00", "2026-11-23T11:00:00+00:00"] == [
        moment.isoformat() for moment in table["start_time"][:2]
    ]
    assert table["start_time"][2] is None


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_events_become_a_table(library: str) -> None:
    """Their payloads are JSON text where they are no plain texts."""
    table = table_of(library, Rows(RunEvent, iter(EVENTS)))

    assert ["run_id", "event_type", "timestamp", "payload"] == list(table)
    assert ['{"a":1}', "text", None] == table["payload"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", [RunRecord, RunEvent])
def test_no_rows_are_an_empty_table(library: str, kind: type) -> None:
    """With its columns, so that code behind it works on a new store too."""
    table = table_of(library, Rows(kind, iter(())))

    assert {"run_id"} <= table.keys()
    assert not any(table.values())


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that gets it; the records are still there."""
    monkeypatch.setitem(sys.modules, library, None)
    rows = Rows(RunRecord, iter(RUNS))

    with pytest.raises(MissingExtra, match=f"pip install {library}"):
        getattr(rows, f"to_{library}")()

    assert 3 == len(list(rows))


def test_client_and_store_give_rows(tmp_path: Any) -> None:
    """Whichever is asked."""
    with TelemetryClient(metrics_dir=tmp_path) as client:
        with client.track_run("agent", "job") as run:
            run.log_event("step")
        given = [client.runs(), client.events(run.run_id)]
        assert [1, 1] == [len(list(rows)) for rows in given if isinstance(rows, Rows)]
    store = open_store(tmp_path)
    given = [store.runs(RunQuery()), store.events()]
    assert [1, 1] == [len(list(rows)) for rows in given if isinstance(rows, Rows)]
    store.close()
