"""Tell why an answer about a metric has nothing in it: no run, no such name, or no number there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from ...plugins.records import RunEvent
from ...plugins.store import RunQuery
from ...plugins.typed import nearest
from .desk import Desk
from .faults import Exit, Fault
from .words import is_number

__all__ = ["no_number_in_events", "no_number_in_runs", "no_runs"]

_LOOKED_AT = 1000
_NAMED = 20


def no_runs(desk: Desk, query: RunQuery) -> Fault | None:
    """Return the fault of a *query* that no run matches, None where one does."""
    if any(True for _ in desk.store.runs(evolve(query, limit=1))):
        return None
    if not desk.store.stats()["total_runs"]:
        return Fault("nothing was recorded yet", cure="telemetry demo", code=Exit.NOT_FOUND)
    return Fault("no run is like that", cure="telemetry runs, with fewer filters", code=Exit.NOT_FOUND)


def no_number_in_runs(desk: Desk, name: str, also: Sequence[str] = ()) -> Fault | None:
    """
    Return the fault of a metric that none of the newest runs has, whatever is asked for; None where one has it.

    Args:
        also: what may be named beside the metrics.
    """
    metrics = [run.metrics for run in desk.store.runs(RunQuery(limit=_LOOKED_AT))]
    if name in also or any(name in found for found in metrics):
        return None
    return _fault(f"no run has a number for {name!r}", name, "metrics", (*_numbers_in(metrics), *also))


def no_number_in_events(events: Iterable[RunEvent], name: str) -> Fault:
    """Return the fault of a name that no payload of *events* has with a number."""
    payloads = [event.payload for event in events if isinstance(event.payload, dict)]
    told = f"no event of this run has a number for {name!r}"
    return _fault(told, name, "numbers in its events", _numbers_in(payloads))


def _numbers_in(mappings: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for found in mappings for name, value in found.items() if is_number(value)))


def _fault(what: str, name: str, kind: str, names: Sequence[str]) -> Fault:
    more = ", ..." if len(names) > _NAMED else ""
    cure = f"the {kind} are {', '.join(names[:_NAMED])}{more}" if names else f"there are no {kind}"
    return Fault(f"{what}{nearest(name, names)}", cure=cure, code=Exit.NOT_FOUND)
