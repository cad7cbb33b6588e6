"""The ndjson sink keeps its promises with the journal below it, and adds nothing of its own."""

from __future__ import annotations

import logging
from pathlib import Path

import pluggy
import pytest
from attrs import evolve

from telemetry.plugins import (
    CommitLink,
    DeliveryReport,
    MetricsUpdate,
    RunEvent,
    RunRecord,
    RunStore,
    SinkContext,
    StoreError,
    TelemetryError,
)
from telemetry.plugins.hookspecs import PROJECT, TelemetryHooks
from telemetry.plugins.options import structure
from telemetry.sinks.journal import Journal, journal_files, read_records
from telemetry.sinks.ndjson import NdjsonSink

START = "2026-11-23T10:00:00.000000+00:00"
RUN = RunRecord(run_id="r", agent_name="a", start_time=START, writer="w", seq=1)
EVENT = RunEvent("r", "e", START, {"n": 1}, "w", 2)
UPDATE = MetricsUpdate("r", START, {"loss": 0.5}, writer="w", seq=3)
COMMIT = CommitLink(run_id="r", timestamp=START, commit_hash="c", writer="w", seq=4)
ENDED = evolve(RUN, status="success", end_time=START, seq=5)
REPORT = DeliveryReport("r", START, "api", writer="w", seq=6)


@pytest.fixture
def context(tmp_path: Path) -> SinkContext:
    """Where a sink lives: nothing of it exists yet."""
    return SinkContext(
        sink_name="raw",
        base_dir=tmp_path,
        ndjson_dir=tmp_path / "raw",
        journal_dir=tmp_path / "raw",
        database_path=tmp_path / "db" / "telemetry.sqlite",
        writer="w",
    )


def _stored(directory: Path) -> list[object]:
    return [found.record for file in journal_files(directory) for found in read_records(file)]


def _called(sink: NdjsonSink, context: SinkContext) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(TelemetryHooks)
    manager.register(sink)
    manager.check_pending()
    manager.hook.telemetry_open(context=context)
    return manager


def test_every_record_is_a_line(context, tmp_path):
    """By way of the hooks, in the order of the calls; nothing is made before the first."""
    hook = _called(NdjsonSink(), context).hook
    before = list(tmp_path.iterdir())

    hook.telemetry_run_started(run=RUN)
    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_metrics_set(update=UPDATE)
    hook.telemetry_commit_linked(commit=COMMIT)
    hook.telemetry_run_ended(run=ENDED)
    hook.telemetry_delivery_reported(report=REPORT)

    assert [] == before
    assert [RUN, EVENT, UPDATE, COMMIT, ENDED, REPORT] == _stored(tmp_path / "raw")
    assert [True] == hook.telemetry_flush(deadline_s=5.0)
    hook.telemetry_close(deadline_s=1.0)


def test_a_record_after_the_end_is_kept(context, tmp_path):
    """An atexit handler may log after the client was closed."""
    hook = _called(NdjsonSink(), context).hook
    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_close(deadline_s=1.0)

    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_close(deadline_s=1.0)

    assert [EVENT, EVENT] == _stored(tmp_path / "raw")


def test_only_a_delivery_report_waits_for_no_sync(context, monkeypatch):
    """If it is lost the run is delivered again, under the same idempotency key."""
    appended: list[bool] = []
    monkeypatch.setattr(Journal, "append", lambda journal, line, *, is_durable=True: appended.append(is_durable))
    hook = _called(NdjsonSink(), context).hook

    hook.telemetry_run_started(run=RUN)
    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_metrics_set(update=UPDATE)
    hook.telemetry_commit_linked(commit=COMMIT)
    hook.telemetry_run_ended(run=ENDED)
    hook.telemetry_delivery_reported(report=REPORT)

    assert [True] * 5 + [False] == appended


def test_the_options_reach_the_journal(context, tmp_path):
    """As they stand in a file; the directory replaces the usual one, and `~` is the user's home."""
    values = {"directory": str(tmp_path / "elsewhere"), "fsync": "interval", "interval_s": 0.5, "lock_wait_s": 0}
    options = structure(NdjsonSink.Options, values, path="sinks.raw", origin="a test")
    hook = _called(NdjsonSink(options), context).hook

    hook.telemetry_event_logged(event=EVENT)
    (health,) = hook.telemetry_health()
    hook.telemetry_close(deadline_s=1.0)

    assert (str(tmp_path / "elsewhere"), "interval") == (health["directory"], health["fsync"])
    assert [EVENT] == _stored(tmp_path / "elsewhere")
    assert not (tmp_path / "raw").exists()
    home = NdjsonSink(NdjsonSink.Options(directory=Path("~/journal")))
    assert Path.home() / "journal" == home.journal_directory(tmp_path)


@pytest.mark.parametrize(
    "values", [{"fsync": "sometimes"}, {"interval_s": 0}, {"lock_wait_s": -1}, {"directory": 5}, {"fsnyc": "never"}]
)
def test_wrong_options_are_refused(values):
    """At start-up, with their path; never at run time."""
    with pytest.raises(TelemetryError, match=r"sinks\.raw"):
        structure(NdjsonSink.Options, values, path="sinks.raw", origin="a test")


def test_a_forked_child_starts_anew(context, tmp_path):
    """The hook reaches the journal: a file that was open is let go of, and the next line opens it again."""
    sink = NdjsonSink()
    hook = _called(sink, context).hook
    hook.telemetry_event_logged(event=EVENT)

    hook.telemetry_forked(context=context)
    is_open = sink.journal.health()["file"]
    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_close(deadline_s=1.0)

    assert is_open is None
    assert [EVENT, EVENT] == _stored(tmp_path / "raw")


def test_a_sink_that_was_never_opened_says_so():
    """A fault of whoever calls the hooks, told with its cure."""
    with pytest.raises(StoreError, match="call telemetry_open"):
        NdjsonSink().telemetry_event_logged(EVENT)


def test_the_journal_is_a_store(context, tmp_path):
    """A set-up without a database can be read all the same, before and after the first line."""
    hook = _called(NdjsonSink(), context).hook
    reader: RunStore = NdjsonSink().open_store(context)
    before = reader.get_run("r")
    for record, act in ((RUN, hook.telemetry_run_started), (ENDED, hook.telemetry_run_ended)):
        act(run=record)
    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_close(deadline_s=1.0)

    after = reader.get_run("r")

    assert before is None
    assert after is not None
    assert ("success", "a") == (after.status, after.agent_name)
    assert [("e", {"n": 1})] == [(event.event_type, event.payload) for event in reader.events("r")]
    assert {".lock"} == {path.name for path in (tmp_path / "raw").iterdir() if not path.name.startswith("events")}
    reader.close()


def test_the_journal_is_read_and_followed_without_being_opened(context):
    """The command line asks a sink for its journal; what is asked for is the same for each kind."""
    hook = _called(NdjsonSink(), context).hook
    reader = NdjsonSink()
    follower = reader.open_follower(context, {"event"})
    before = list(reader.read_journal(context)), list(follower.added())

    hook.telemetry_run_started(run=RUN)
    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_close(deadline_s=1.0)

    assert ([], []) == before
    assert [RUN, EVENT] == list(reader.read_journal(context))
    assert [EVENT] == list(follower.added())


def test_nothing_is_said_on_a_good_day(context, caplog):
    """No log line, whatever the mode."""
    caplog.set_level(logging.DEBUG)
    for fsync in ("always", "interval", "never"):
        hook = _called(NdjsonSink(NdjsonSink.Options(fsync=fsync)), context).hook
        hook.telemetry_event_logged(event=EVENT)
        hook.telemetry_close(deadline_s=1.0)

    assert [] == caplog.records
