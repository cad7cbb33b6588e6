"""Each row of the contract's input table: accept, annotate, warn; never lose, never raise."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

import pytest

from telemetry import RunRecord, TelemetryClient, TelemetryError
from telemetry.sinks.memory import MemorySink


@pytest.fixture
def sink() -> MemorySink:
    """What the client writes to."""
    return MemorySink()


@pytest.fixture
def client(sink: MemorySink) -> TelemetryClient:
    """A client whose records are seen in *sink*."""
    return TelemetryClient(sinks={"memory": sink})


@pytest.fixture
def strict(sink: MemorySink) -> TelemetryClient:
    """The same in strict mode."""
    return TelemetryClient(sinks={"memory": sink}, strict=True)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_unknown_keywords_are_kept_as_attributes(client, sink, caplog):
    """Of start_run, track_run and end_run; nobody is warned, for nothing was changed."""
    with client.track_run("agent", "job", colour="red") as run:
        pass
    other = client.start_run("agent", "job", size=3)
    client.end_run(other, shape="round")

    assert {"colour": "red"} == dict(sink.runs[run.run_id].attributes)
    assert {"size": 3, "shape": "round"} == dict(sink.runs[other].attributes)
    assert [] == _warnings(caplog)


def test_an_unknown_metric_is_kept_and_a_near_miss_is_named(client, sink, caplog):
    """`items_suceeded` is kept as a metric, and the field that was meant is named once."""
    with client.track_run("agent", "job") as run:
        run.set_metrics(loss=0.5, items_suceeded=3)
        run.set_metrics(items_suceeded=4)

    assert {"loss": 0.5, "items_suceeded": 4} == dict(sink.runs[run.run_id].metrics)
    (warning,) = _warnings(caplog)
    assert "items_suceeded" in warning
    assert "items_succeeded" in warning


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((word, "failed") for word in ("failure", "error", "timeout", "cancelled", "crashed", "FAILED")),
        *((word, "success") for word in ("completed", "succeeded", "ok", "done", " Success ")),
        *((word, "partial") for word in ("half", "", None, 5, "running", ["list"])),
    ],
)
def test_any_status_ends_the_run(client, sink, caplog, word, status):
    """The canonical word is stored, the raw one kept in status_detail, with one warning."""
    run_id = client.start_run("agent", "job")

    client.end_run(run_id, word)

    run = sink.runs[run_id]
    assert (status, str(word).strip().lower() or None) == (
        run.status,
        (run.status_detail or "").strip().lower() or None,
    )
    (warning,) = _warnings(caplog)
    assert "status" in warning


def test_an_unknown_trigger_is_manual(client, sink, caplog):
    """`cron` becomes `manual`; the raw word is kept in attributes.trigger_type."""
    run_id = client.start_run("agent", "job", "cron")

    run = sink.runs[run_id]
    assert ("manual", "cron") == (run.trigger_type, run.attributes["trigger_type"])
    (warning,) = _warnings(caplog)
    assert "'cron'" in warning
    assert "'manual'" in warning


@pytest.mark.parametrize(
    "payload",
    [{1, 2}, b"\xff", float("nan"), object(), {1: 2}, 10**5000, [[object()]]],
    ids=lambda value: type(value).__name__,
)
def test_any_object_is_a_payload_or_a_metric(client, sink, payload):
    """The event and the metric are kept, and what was changed is named."""
    with client.track_run("agent", "job") as run:
        run.log_event("odd", payload)
        run.set_metrics(odd=payload)

    (event,) = sink.events
    assert event.coerced
    assert sink.runs[run.run_id].coerced
    assert event.payload is not None


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("items_failed", "many", 0),
        ("agent_name", None, "unknown"),
        ("host", 5, "5"),
        ("product", {"a": 1}, '{"a":1}'),
        ("job_type", 7, "7"),
    ],
)
def test_a_wrong_type_is_made_valid_and_the_raw_value_kept(client, sink, caplog, name, value, stored):
    """Field, value and what was done are in the one warning; the raw value is in attributes."""
    run_id = client.start_run(**{"agent_name": "agent", "job_type": "job", name: value})

    run = sink.runs[run_id]
    assert (stored, value) == (getattr(run, name), run.attributes[name])
    (warning,) = _warnings(caplog)
    assert name in warning
    assert repr(value) in warning


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (ValueError("bad"), "failed", None),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        (SystemExit(3), "failed", "SystemExit"),
        (SystemExit(0), "success", None),
        (SystemExit(None), "success", None),
        (GeneratorExit(), "failed", "GeneratorExit"),
        (asyncio.CancelledError(), "failed", "CancelledError"),
    ],
)
def test_what_leaves_a_tracked_run_is_recorded_and_raised_on(client, sink, error, status, detail):
    """The very same object comes out; type, message and traceback are kept."""
    with pytest.raises(type(error)) as caught, client.track_run("agent", "job") as run:
        _raise(error)

    assert caught.value is error
    ended = sink.runs[run.run_id]
    assert (status, detail) == (ended.status, ended.status_detail)
    if status == "failed":
        assert (ended.error_summary or "").startswith(type(error).__name__)
        assert "_raise" in ended.attributes["traceback"]


def test_the_first_end_wins_and_the_second_is_kept(client, sink, caplog):
    """A second end becomes an event with what it said."""
    run_id = client.start_run("agent", "job")
    client.end_run(run_id, "failed", error_summary="first")

    client.end_run(run_id, "success", items_failed=9)

    assert ("failed", "first") == (sink.runs[run_id].status, sink.runs[run_id].error_summary)
    (event,) = sink.events
    assert ("run_ended_again", "success", 9) == (
        event.event_type,
        event.payload["status"],
        event.payload["items_failed"],
    )
    assert 1 == sum("has ended" in warning for warning in _warnings(caplog) if "second end" in warning)


def test_unknown_ids_and_late_events_are_kept(client, sink, caplog):
    """An event, metrics and an end of a run that was never started, and an event after the end."""
    client.log_event("nobody", "seen", {"n": 1})
    client.set_metrics("nobody", n=2)
    client.end_run("nobody", items_failed=1)
    client.log_event("nobody", "late")

    assert ["seen", "late"] == [event.event_type for event in sink.events]
    run: RunRecord = sink.runs["nobody"]
    assert ("success", 1, {"n": 2}) == (run.status, run.items_failed, dict(run.metrics))
    assert all("nobody" in warning for warning in _warnings(caplog))
    assert _warnings(caplog)


def test_a_foreign_end_is_completed_from_the_stored_start(tmp_path):
    """Another client ends the run: agent, job and start are those of the start, and a duration is known."""
    with TelemetryClient(base_dir=tmp_path) as starter, TelemetryClient(base_dir=tmp_path) as ender:
        run_id = starter.start_run("agent", "job", "web", run_id="my-own-id")

        ender.end_run(run_id, output_summary="done elsewhere")

        run = starter.get_run(run_id)
    assert run is not None
    assert ("agent", "job", "web", "success", "done elsewhere") == (
        *(run.agent_name, run.job_type, run.trigger_type, run.status, run.output_summary),
    )
    assert run.duration_ms is not None


BAD_CALLS: dict[str, Any] = {
    "status": lambda client: client.end_run(client.start_run("agent", "job"), "weird"),
    "trigger": lambda client: client.start_run("agent", "job", "cron"),
    "type": lambda client: client.start_run("agent", "job", host=5),
    "near miss": lambda client: client.set_metrics(client.start_run("agent", "job"), items_suceeded=1),
    "unknown id": lambda client: client.log_event("nobody", "event"),
    "event type": lambda client: client.log_event(client.start_run("agent", "job"), None),
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_strict_mode_raises_instead_of_warning(strict, call, caplog):
    """A TelemetryError that names the field; nothing is logged."""
    with pytest.raises(TelemetryError):
        BAD_CALLS[call](strict)

    assert [] == _warnings(caplog)


@pytest.mark.parametrize("call", BAD_CALLS)
def test_without_strict_mode_the_same_calls_pass(client, call):
    """None of them raises."""
    BAD_CALLS[call](client)


def test_disabled_writes_nothing(tmp_path, monkeypatch, capsys):
    """TELEMETRY_DISABLED=1: all calls work, ids come back, and no file is made."""
    monkeypatch.setenv("TELEMETRY_DISABLED", "1")
    base_dir = tmp_path / "base"

    with TelemetryClient(base_dir=base_dir) as client:
        with client.track_run("agent", "job") as run:
            run.log_event("event")
            run.set_metrics(n=1)
        status, stats, stored = client.status(), client.get_stats(), client.get_run(run.run_id)

    assert run.run_id
    assert (True, 0, None) == (status["is_disabled"], stats["total_runs"], stored)
    assert not base_dir.exists() or [] == os.listdir(base_dir)
    assert "" == capsys.readouterr().out


def test_the_same_complaint_comes_once_a_minute(client, caplog):
    """A thousand equal faults are one line in the agent's log."""
    for _ in range(1000):
        client.start_run("agent", "job", "cron")

    assert 1 == len(_warnings(caplog))


def test_wrong_calls_do_not_raise(client):
    """Too few or too many arguments are a fault of the telemetry call, not of the agent's work."""
    client.start_run()
    client.log_event()
    client.end_run()
    client.set_metrics("run", **{"": 1})
    client.log_event(["unhashable"], {"un": "hashable"}, object())
