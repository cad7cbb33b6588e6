"""The memory sink keeps what it is told, in order, and no more than it may."""

from __future__ import annotations

import pluggy
import pytest
from attrs import evolve

from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, RunEvent, RunRecord
from telemetry.plugins.hookspecs import PROJECT, TelemetryHooks
from telemetry.sinks.memory import MemorySink

START = "2026-11-23T10:00:00.000000+00:00"
RUN = RunRecord(run_id="r", agent_name="a", start_time=START, writer="w", seq=1)
EVENT = RunEvent("r", "e", START, {"n": 1}, "w", 2)
UPDATE = MetricsUpdate("r", START, {"loss": 0.5}, writer="w", seq=3)
COMMIT = CommitLink(run_id="r", timestamp=START, commit_hash="c")
ENDED = evolve(RUN, status="success", end_time="2026-11-23T10:00:02.000000+00:00", metrics={"n": 7}, seq=5)
REPORT = DeliveryReport("r", START, "api", attempts=2)


def _hook(sink: MemorySink) -> pluggy.HookRelay:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(TelemetryHooks)
    manager.register(sink)
    manager.check_pending()
    return manager.hook


def _tell_all(sink: MemorySink) -> None:
    hook = _hook(sink)
    hook.telemetry_run_started(run=RUN)
    hook.telemetry_event_logged(event=EVENT)
    hook.telemetry_metrics_set(update=UPDATE)
    hook.telemetry_commit_linked(commit=COMMIT)
    hook.telemetry_run_ended(run=ENDED)
    hook.telemetry_delivery_reported(report=REPORT)


def test_records_stand_in_the_order_of_the_calls():
    """All kinds in one list, and the events apart."""
    sink = MemorySink()

    _tell_all(sink)

    assert [RUN, EVENT, UPDATE, COMMIT, ENDED, REPORT] == sink.records
    assert [EVENT] == sink.events
    assert [{"records": 6}] == _hook(sink).telemetry_health()


def test_a_run_is_what_its_records_make_it():
    """Start, metrics in between, end and delivery are folded by run id."""
    sink = MemorySink()

    _tell_all(sink)
    sink.telemetry_run_started(evolve(RUN, run_id="other"))

    run = sink.runs["r"]
    assert {"r", "other"} == set(sink.runs)
    assert ("success", 2000, {"loss": 0.5, "n": 7}) == (run.status, run.duration_ms, dict(run.metrics))
    assert (True, 2) == (run.api_posted, run.api_retry_count)
    assert sink.runs["other"].is_running


def test_only_a_limit_bounds_it():
    """The newest stay."""
    bounded, unbounded = MemorySink(MemorySink.Options(limit=2)), MemorySink()

    for sink in (bounded, unbounded):
        _tell_all(sink)

    assert [ENDED, REPORT] == bounded.records
    assert 6 == len(unbounded.records)
    with pytest.raises(ValueError, match="limit"):
        MemorySink.Options(limit=0)


def test_a_forked_child_starts_with_nothing():
    """What its parent recorded is the parent's."""
    sink = MemorySink()
    _tell_all(sink)

    _hook(sink).telemetry_forked(context=None)

    assert ([], {}) == (sink.records, sink.runs)


def test_two_sinks_are_two():
    """pluggy compares and hashes plugins: two empty sinks can stand side by side."""
    one, other = MemorySink(), MemorySink()

    assert one != other
    assert 2 == len({one, other})
