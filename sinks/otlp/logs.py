"""Turn events, and starts of runs, into log records."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import TraceFlags

from ...plugins.records import RunEvent, RunRecord
from .conventions import EVENT_NAMES, EVENT_OPERATIONS, OURS, named
from .described import error_type, run_attributes
from .ids import span_id_of, trace_id_of
from .resources import scope
from .values import as_attributes, as_body, as_text, nanoseconds

__all__ = ["RUN_STARTED", "Origin", "event_attributes", "log_of_event", "log_of_start"]

RUN_STARTED = f"{OURS}run_started"
"""`event_name` of the log record that says that a run began."""

_SEVERITIES = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "CRITICAL": SeverityNumber.FATAL,
}


@frozen
class Origin:
    """
    Where a record belongs.

    Args:
        root: id of the outermost run that its run is part of.
        resource: who speaks.
        key: the record's idempotency key.
    """

    root: str
    resource: Resource
    key: str


def log_of_start(run: RunRecord, origin: Origin) -> ReadableLogRecord:
    """Return the log record that says that *run* began; of a run that crashes it may be all that there is."""
    body = as_text(f"{run.agent_name} started {run.job_type or 'a run'}")
    record = LogRecord(event_name=RUN_STARTED, body=body, **_severity("INFO"), **_times(run.start_time))
    return _placed(record, run.run_id, run.start_time, run_attributes(run), origin)


def log_of_event(event: RunEvent, origin: Origin) -> ReadableLogRecord:
    """Return *event* as a log record: its type is the `event_name`, its payload the body."""
    record = LogRecord(
        event_name=as_text(event.event_type),
        body=as_body(event.payload),
        **_severity(_level_of(event)),
        **_times(event.timestamp),
    )
    told = {**event_attributes(event), f"{OURS}run_id": event.run_id, f"{OURS}writer": event.writer}
    return _placed(record, event.run_id, event.timestamp, as_attributes(told), origin)


def _placed(record: LogRecord, run_id: str, time: str, attributes: dict[str, Any], origin: Origin) -> ReadableLogRecord:
    if record.timestamp is None:
        attributes[f"{OURS}timestamp"] = as_text(time)
    record.attributes = {**attributes, "log.record.uid": origin.key}
    record.trace_id = trace_id_of(origin.root)
    record.span_id = span_id_of(run_id)
    record.trace_flags = TraceFlags(TraceFlags.SAMPLED)
    return ReadableLogRecord(record, origin.resource, scope())


def _severity(level: str) -> dict[str, Any]:
    return {"severity_text": level, "severity_number": _SEVERITIES[level]}


def _times(text: str) -> dict[str, Any]:
    # Observed at the same moment, by the journal; the time of sending would make each repetition another record.
    when = nanoseconds(text)
    return {"timestamp": when, "observed_timestamp": when or 0}


def event_attributes(event: RunEvent) -> dict[str, Any]:
    """Return what the conventions have names for in *event*."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    known, _ = named(payload, EVENT_NAMES.get(event.event_type, {}))
    error = payload.get("error") if event.event_type in EVENT_NAMES else None
    return {
        **known,
        "gen_ai.operation.name": EVENT_OPERATIONS.get(event.event_type),
        "error.type": error_type(error) if isinstance(error, str) else None,
        f"{OURS}coerced": list(event.coerced) or None,
    }


def _level_of(event: RunEvent) -> str:
    payload = event.payload if isinstance(event.payload, dict) else {}
    if event.event_type == "tool_ended" and payload.get("ok") is False:
        return "ERROR"
    level = payload.get("level")
    return level if isinstance(level, str) and level in _SEVERITIES else "INFO"
