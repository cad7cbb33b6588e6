"""Say how an event looks: in the timeline of its run, and its payload in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..timeline import Moment
from .letters import one_line
from .table import Cell, Column
from .words import duration_text, value_text

__all__ = ["payload_text", "timeline_columns"]


def timeline_columns() -> Sequence[Column[Moment]]:
    """Return the columns of a timeline: when, how long after the event before, what, and with which payload."""
    return [
        Column(name="at", value=lambda moment: moment.offset_ms, cell=_offset, is_right=True),
        Column(name="gap", value=lambda moment: moment.gap_ms, cell=_gap, is_right=True, rank=1),
        Column(name="event", value=_event_type, cell=lambda moment: Cell(_event_type(moment)), least=10),
        Column(name="payload", value=lambda moment: moment.event.payload, cell=_payload, least=10, rank=2),
    ]


def _event_type(moment: Moment) -> str:
    return one_line(moment.event.event_type)


def _offset(moment: Moment) -> Cell:
    return Cell(f"+{duration_text(moment.offset_ms)}" if moment.offset_ms is not None else "?")


def _gap(moment: Moment) -> Cell:
    return Cell(duration_text(moment.gap_ms), "dim")


def _payload(moment: Moment) -> Cell:
    return Cell(payload_text(moment.event.payload), "dim")


def payload_text(payload: Any) -> str:
    """Return a payload in one line: a mapping as `name=value name=value`."""
    if payload is None:
        return ""
    if isinstance(payload, Mapping):
        return "  ".join(f"{one_line(str(name))}={value_text(value)}" for name, value in payload.items())
    return value_text(payload)
