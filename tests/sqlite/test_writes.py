"""Whatever comes in whatever order, the row says what the rule of merge says."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.plugins import DeliveryReport, MetricsUpdate, Refused, RunRecord, fold
from telemetry.sinks.sqlite.connection import Database, Opened
from telemetry.sinks.sqlite.rows import run_of
from telemetry.sinks.sqlite.shapes import inspect
from telemetry.sinks.sqlite.writes import load_run, save_run, write_delivery, write_line, write_run

START = "2026-11-23T10:00:00.000000+00:00"
END = "2026-11-23T10:00:01.500000+00:00"


@pytest.fixture
def opened(database: Database) -> Iterator[Opened]:
    """Return a store inside a transaction."""
    with database.writing(1.0) as opened:
        yield opened


texts = st.sampled_from(["", "x", "naïve ☃", "a'; DROP TABLE agent_runs; --", "nul\x00inside", "9" * 300])
maybe_text = st.none() | texts
mappings = st.dictionaries(st.sampled_from(["a", "b", "c d"]), st.integers(0, 9) | texts | st.lists(st.booleans()))
starts = st.builds(
    RunRecord,
    run_id=st.just("20261123T100000Z-crawler-00000001"),
    agent_name=st.sampled_from(["crawler", "other", "unknown"]),
    job_type=maybe_text,
    trigger_type=st.sampled_from(["cli", "manual"]),
    start_time=st.sampled_from([START, "2026-11-23T09:59:59.000000+00:00"]),
    agent_owner=maybe_text,
    host=maybe_text,
    product=maybe_text,
    output_summary=st.sampled_from([None, None, "at the start"]),
    parent_run_id=maybe_text,
    metrics=mappings,
    attributes=mappings,
    coerced=st.sampled_from([(), ("payload.x",)]),
    writer=st.sampled_from(["aaaaaaaaaaaa", "bbbbbbbbbbbb"]),
    seq=st.integers(1, 9),
)
results = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["success", "failed", "partial"]),
        "end_time": st.sampled_from([END, "2026-11-23T10:00:09+00:00"]),
        "duration_ms": st.none() | st.integers(0, 2**62),
        "items_failed": st.integers(-1, 3),
        "error_summary": maybe_text,
        "output_summary": maybe_text,
        "status_detail": maybe_text,
        "verdict": st.booleans(),
    }
)
ends = st.builds(lambda start, result: attrs.evolve(start, **result), starts, results)
updates = st.builds(
    MetricsUpdate,
    st.just("20261123T100000Z-crawler-00000001"),
    st.just(END),
    mappings,
    st.fixed_dictionaries({}, optional={"product": texts, "items_failed": st.integers(0, 5)}),
    writer=st.sampled_from(["aaaaaaaaaaaa", "bbbbbbbbbbbb"]),
    seq=st.integers(1, 9),
)
reports = st.builds(
    DeliveryReport,
    st.just("20261123T100000Z-crawler-00000001"),
    st.just(END),
    st.just("hq"),
    st.booleans(),
    st.integers(0, 3),
)
Line = RunRecord | MetricsUpdate | DeliveryReport


def write(opened: Opened, line: Line) -> None:
    """Write *line* the way the sink or a catch-up does."""
    if isinstance(line, RunRecord):
        write_run(opened.connection, opened.shape, line)
    elif isinstance(line, DeliveryReport):
        write_delivery(opened.connection, opened.shape, line)
    else:
        write_line(opened.connection, opened.shape, line)


def told(run: RunRecord | None) -> dict[str, Any] | None:
    """Return what a reader is told of a run, without the times of the row; who writes a live run is no news."""
    if run is None:
        return None
    unseen = {"created_at", "updated_at", *(("writer", "seq") if run.is_running else ())}
    return {name: value for name, value in run.to_dict().items() if name not in unseen}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=st.lists(starts | ends | updates | reports, min_size=1, max_size=6))
def test_any_history_of_a_run_makes_the_row_that_the_merge_rule_says(lines: list[Line], database: Database) -> None:
    """The quick statements and the slow path agree with `fold`, in every order, with every line once or twice."""
    expected = reduce(fold, lines, None)

    with database.writing(1.0) as opened:
        opened.connection.execute("DELETE FROM agent_runs")
        opened.connection.execute("DELETE FROM run_extras")
        for line in lines:
            write(opened, line)
        found = load_run(opened.connection, opened.shape, lines[0].run_id)
        write(opened, lines[-1])
        again = load_run(opened.connection, opened.shape, lines[0].run_id)

    assert told(expected) == told(found)
    assert told(fold(expected, lines[-1])) == told(again)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(run=starts | ends)
def test_any_run_comes_back_as_it_was_saved(run: RunRecord, database: Database) -> None:
    """Texts with NUL, quotes and snow, nested values, the largest numbers: nothing changes on the way."""
    with database.writing(1.0) as opened:
        save_run(opened.connection, opened.shape, run)
        found = load_run(opened.connection, opened.shape, run.run_id)

    assert found is not None
    assert run == attrs.evolve(found, created_at=None, updated_at=None)


def test_a_run_costs_one_insert_and_one_update(
    opened: Opened, a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord]
) -> None:
    """Nothing is read on the way, with or without attributes and a parent."""
    for fields in ({}, {"attributes": {"a": 1}, "parent_run_id": "p"}):
        seen: list[str] = []
        run = a_run(**fields)
        opened.connection.set_trace_callback(seen.append)

        write_run(opened.connection, opened.shape, run)
        write_run(opened.connection, opened.shape, ended(run, metrics={"n": 1}))
        opened.connection.set_trace_callback(None)

        acts = [sql.split("(")[0].split(" SET")[0].strip() for sql in seen if "agent_runs" in sql]
        assert ["INSERT INTO agent_runs", "UPDATE agent_runs"] == acts
        assert not any(sql.startswith("SELECT") for sql in seen)


def test_the_row_tells_when_it_was_changed(
    opened: Opened, a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord]
) -> None:
    """created_at stays, updated_at moves with the end."""
    run = a_run(run_id="r")
    write_run(opened.connection, opened.shape, run)
    opened.connection.execute("UPDATE agent_runs SET created_at = '2020-01-01', updated_at = '2020-01-01'")

    write_run(opened.connection, opened.shape, ended(run))

    ((created_at, updated_at),) = opened.connection.execute("SELECT created_at, updated_at FROM agent_runs")
    assert ("2020-01-01", True) == (created_at, updated_at > "2026")


def test_json_columns_are_json(opened: Opened, a_run: Callable[..., RunRecord]) -> None:
    """Other programs read metrics and attributes with SQLite's own functions."""
    write_run(opened.connection, opened.shape, a_run(metrics={"tokens": 7, "é": "ü"}, attributes={"big": 10**30}))

    sql = "SELECT metrics_json ->> '$.tokens', metrics_json ->> '$.é', attributes_json FROM runs"
    ((tokens, text, attributes),) = opened.connection.execute(sql)
    assert (7, "ü", {"big": 10**30}) == (tokens, text, json.loads(attributes))


def test_metrics_that_no_encoder_takes_are_stored_all_the_same(opened: Opened, a_run: Callable[..., RunRecord]) -> None:
    """A lone surrogate and a number without end come from earlier writers' journals."""
    run = a_run(run_id="r", metrics={"odd": "\ud800", "huge": 10**1000})

    write_run(opened.connection, opened.shape, run)

    found = load_run(opened.connection, opened.shape, "r")
    assert found is not None
    assert {"odd": "\\ud800", "huge": 10**1000} == dict(found.metrics)


@pytest.mark.parametrize(
    "fields", [{"items_failed": 2**70}, {"error_summary": "\ud800"}, {"host": "\ud800"}, {"metrics": {"n": 10**5000}}]
)
def test_what_the_file_cannot_hold_is_refused_by_name(
    database: Database, a_run: Callable[..., RunRecord], fields: dict[str, Any]
) -> None:
    """The error names the file and the reason, and nothing of the record is left behind."""

    def write_both() -> None:
        with database.writing(1.0) as opened:
            write_run(opened.connection, opened.shape, a_run(attributes={"a": 1}))
            write_run(opened.connection, opened.shape, a_run(**fields))

    with pytest.raises(Refused, match=r"telemetry\.sqlite takes no such record"):
        write_both()

    with database.reading() as opened:
        assert [(0, 0)] == opened.connection.execute(
            "SELECT (SELECT count(*) FROM agent_runs), (SELECT count(*) FROM run_extras)"
        ).fetchall()


def test_rows_of_other_programs_read_back_whatever_they_hold(opened: Opened) -> None:
    """Wrong types, broken JSON, unknown words: a record comes out, and what no field can hold is an attribute."""
    opened.connection.execute("PRAGMA ignore_check_constraints = ON")
    opened.connection.execute(
        "INSERT INTO agent_runs (run_id, agent_name, start_time, status, trigger_type, items_failed, duration_ms, "
        "metrics_json, api_posted, host) VALUES ('r', X'FF', 5, 'cancelled', 'cron', 'many', 1.5, '{torn', NULL, X'00')"
    )

    found = load_run(opened.connection, opened.shape, "r")

    assert found is not None
    assert ("r", "failed", "cancelled", "manual") == (
        found.run_id,
        found.status,
        found.status_detail,
        found.trigger_type,
    )
    assert ("5", 0, {"value": "{torn"}) == (found.start_time, found.items_failed, dict(found.metrics))
    assert {"items_failed": "many", "trigger_type": "cron"}.items() <= found.attributes.items()


def test_a_store_of_v1_can_be_read_without_changing_it() -> None:
    """A reader without the right to write sees the columns there are; the rest is as if never set."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE agent_runs (run_id TEXT, agent_name TEXT, start_time TEXT, status TEXT)")
        connection.execute("INSERT INTO agent_runs VALUES ('r', 'a', 't', 'failed')")
        shape = inspect(connection)
        cursor = connection.execute(shape.select())
        (row,) = cursor.fetchall()

        found = run_of(dict(zip([column[0] for column in cursor.description], row, strict=True)), shape)

    assert RunRecord(run_id="r", agent_name="a", start_time="t", status="failed") == found


def test_a_delivery_of_a_run_that_is_not_there_makes_it(opened: Opened) -> None:
    """The report may come before its run does, after a rebuild."""
    report = DeliveryReport("20261123T100000Z-crawler-00000001", END, "hq", False, 2, "500")

    write_delivery(opened.connection, opened.shape, report)

    found = load_run(opened.connection, opened.shape, report.run_id)
    assert found is not None
    assert ("crawler", False, 2) == (found.agent_name, found.api_posted, found.api_retry_count)


def test_a_row_is_private_to_its_path(tmp_path: Path, a_run: Callable[..., RunRecord]) -> None:
    """Names with quotes, percent signs and question marks are just names."""
    path = tmp_path / "what's #1? 100% ☃" / "telemetry.sqlite"

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="r"))

    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert [("r",)] == connection.execute("SELECT run_id FROM agent_runs").fetchall()
