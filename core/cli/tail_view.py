"""Say how a line of the journal looks while it is followed: columns of a fixed width, since nobody knows what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from attrs import define

from ...plugins.ids import parse_time
from ...plugins.records import RunEvent, RunRecord
from .event_view import payload_text
from .letters import one_line, padded, printable, width_of
from .screen import Screen
from .words import duration_text, json_text, plain_text, short_id

__all__ = ["TailView"]

_AGENT, _TYPE = 18, 16
_NARROW = 100


@define
class TailView:
    """
    Write records line by line.

    Args:
        agent_of: tells whose run a record belongs to.
    """

    screen: Screen
    agent_of: Callable[[RunRecord | RunEvent], str]

    def write_lines(self, records: Iterable[RunRecord | RunEvent]) -> None:
        """Write a line a record, for the eye on a terminal, in plain columns elsewhere."""
        line = self._line if self.screen.is_terminal else self._plain_line
        for record in records:
            self.screen.say(line(record))

    def write_json(self, records: Iterable[RunRecord | RunEvent]) -> None:
        """Write the records as one JSON array."""
        body = ",\n".join(json_text(_as_dict(record)) for record in records)
        self.screen.say(f"[\n{body}\n]" if body else "[\n]")

    def write_json_lines(self, records: Iterable[RunRecord | RunEvent]) -> None:
        """Write a JSON object a record."""
        for record in records:
            self.screen.say(json_text(_as_dict(record)))

    def _plain_line(self, record: RunRecord | RunEvent) -> str:
        if isinstance(record, RunEvent):
            kind, content = record.event_type, plain_text(record.payload)
        else:
            kind, content = f"run {record.status}", plain_text(record.error_summary)
        fields = (_moment(record), record.run_id, self.agent_of(record), kind, content)
        return "\t".join(one_line(field) for field in fields)

    def _line(self, record: RunRecord | RunEvent) -> str:
        screen = self.screen
        head = [
            screen.style(_clock(record, screen.now()), "dim"),
            screen.style(padded(short_id(record.run_id), 8), "bold"),
        ]
        if screen.width >= _NARROW:
            head.append(padded(screen.cut(one_line(self.agent_of(record)), _AGENT), _AGENT))
        what, style, content = self._content(record)
        what = padded(screen.cut(what, _TYPE), _TYPE)
        used = 12 + 2 + 8 + 2 + (_AGENT + 2 if len(head) == 3 else 0) + width_of(what) + 2
        rest = screen.style(screen.cut(content, max(screen.width - used, 8)), "dim")
        return "  ".join([*head, screen.style(what, style), rest]).rstrip()

    def _content(self, record: RunRecord | RunEvent) -> tuple[str, str, str]:
        """Return what stands for the record: its type, the style of that, and the rest in one line."""
        if isinstance(record, RunEvent):
            return one_line(record.event_type), "", payload_text(record.payload)
        if record.is_running:
            return self.screen.status("running"), "running", one_line(record.job_type or "")
        told = [duration_text(record.duration_ms), one_line(record.error_summary or record.output_summary or "")]
        return self.screen.status(record.status), record.status, "  ".join(filter(None, told))


def _moment(record: RunRecord | RunEvent) -> str:
    if isinstance(record, RunEvent):
        return record.timestamp
    return record.end_time or record.start_time


def _clock(record: RunRecord | RunEvent, now: datetime) -> str:
    try:
        local = parse_time(_moment(record)).astimezone(now.tzinfo)
    except ValueError:
        return padded(printable(_moment(record))[:12], 12)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03}"


def _as_dict(record: RunRecord | RunEvent) -> dict[str, Any]:
    return {"record_type": "event" if isinstance(record, RunEvent) else "run", **record.to_dict()}
