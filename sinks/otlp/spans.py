"""Turn an ended run into a span."""

from __future__ import annotations

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from ...plugins.mend import start_of
from ...plugins.records import RunEvent, RunRecord
from .conventions import OURS
from .described import error_attributes, run_attributes
from .ids import span_id_of, trace_id_of
from .logs import Origin, event_attributes
from .resources import scope
from .values import NANOSECONDS, as_attributes, as_text, nanoseconds

__all__ = ["MOST_EVENTS", "span_event", "span_of"]

MOST_EVENTS = 128
"""The limit of OpenTelemetry's own SDK: of more the last ones are kept, and the span tells how many are left out."""

_MS = 1_000_000


def span_of(
    run: RunRecord, parent: str | None, origin: Origin, events: BoundedList[Event] | None = None
) -> ReadableSpan:
    """
    Return the span of *run*, which has ended.

    Args:
        parent: id of the run that it is part of.
        events: what happened in it, as far as that is told with the span.
    """
    # Not a tuple: the span counts what this list dropped.
    events = BoundedList(MOST_EVENTS) if events is None else events
    start, end = _times_of(run)
    events.extend(_exception_of(run, end))
    attributes = run_attributes(run)
    if nanoseconds(run.start_time) is None:
        attributes[f"{OURS}start_time"] = as_text(run.start_time)
    trace_id = trace_id_of(origin.root)
    return ReadableSpan(
        name=as_text(run.job_type or run.agent_name),
        context=_context(trace_id, run.run_id),
        parent=_context(trace_id, parent) if parent is not None else None,
        resource=origin.resource,
        attributes=attributes,
        events=events,
        kind=SpanKind.INTERNAL,
        status=_status_of(run),
        start_time=start,
        end_time=end,
        instrumentation_scope=scope(),
    )


def _context(trace_id: int, run_id: str) -> SpanContext:
    return SpanContext(trace_id, span_id_of(run_id), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _times_of(run: RunRecord) -> tuple[int, int]:
    start = nanoseconds(run.start_time) or nanoseconds(start_of(run.run_id)) or nanoseconds(run.end_time) or 0
    end = nanoseconds(run.end_time) or start + (run.duration_ms or 0) * _MS
    if end not in NANOSECONDS:
        end = start  # a duration of 300 million years; as an attribute it stands as it was told
    # A clock that was set back would give a span of less than nothing, which backends refuse or show as centuries.
    return start, max(start, end)


def _status_of(run: RunRecord) -> Status:
    if run.status == "failed":
        return Status(StatusCode.ERROR, as_text(run.error_summary or run.status_detail or "failed"))
    return Status(StatusCode.OK if run.status == "success" else StatusCode.UNSET)


def _exception_of(run: RunRecord, end: int) -> tuple[Event, ...]:
    told = error_attributes(run) if run.status == "failed" else {}
    shown = {name: value for name, value in told.items() if name.startswith("exception.")}
    return (Event("exception", as_attributes(shown), end),) if shown else ()


def span_event(event: RunEvent, start: int) -> Event:
    """Return *event* as an event of a span that began at *start* (nanoseconds)."""
    told = event_attributes(event) | {f"{OURS}payload": event.payload}
    when = nanoseconds(event.timestamp)
    return Event(as_text(event.event_type), as_attributes(told), start if when is None else when)
