"""Know beforehand which hook of which sink takes which kind of record: the bus looks it up with every record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..plugins.commit_link import CommitLink
from ..plugins.records import DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from .gates import Gate
from .plugs import Plugs

__all__ = ["Route", "Routes", "kind_of", "routes_to"]

Route = tuple[str, Callable[[Callable[[Any], Any], Any], Any], Callable[[Any], Any]]
Routes = dict[Any, tuple[Route, ...]]
"""By kind of record: the sinks that take it, in the order of their attachment."""

_HOOK_OF = {
    "started": ("telemetry_run_started", "run"),
    "ended": ("telemetry_run_ended", "run"),
    RunEvent: ("telemetry_event_logged", "event"),
    MetricsUpdate: ("telemetry_metrics_set", "update"),
    DeliveryReport: ("telemetry_delivery_reported", "report"),
    CommitLink: ("telemetry_commit_linked", "commit"),
}


def kind_of(record: Record) -> Any:
    """Return the key of a record's routes."""
    kind: Any = type(record)
    if isinstance(record, RunRecord):
        return "started" if record.is_running else "ended"
    return kind


def routes_to(gates: Mapping[str, Gate], plugs: Plugs) -> Routes:
    """Return the routes of all kinds of record to the sinks behind these gates."""
    return {
        kind: tuple(
            (name, gate.way, plugs.act(name, hook, argument)) for name, gate in gates.items() if plugs.has(name, hook)
        )
        for kind, (hook, argument) in _HOOK_OF.items()
    }
