"""Say durations, times, counts and ids as people read them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from ...plugins.ids import parse_time
from ..sizes import share_text, size_text
from .letters import one_line

__all__ = [
    "age_text",
    "clock_text",
    "count_text",
    "duration_text",
    "figure_text",
    "is_number",
    "json_text",
    "number_text",
    "percent_text",
    "plain_text",
    "plural",
    "share_text",
    "short_id",
    "size_text",
    "value_text",
]

_OUR_ID = re.compile(r"\d{8}T\d{6}Z-.+-([0-9a-f]{8})")
_LONGEST_FOREIGN_ID = 16


def duration_text(duration_ms: float | None) -> str:
    """Return a duration as `35 ms`, `1.2 s`, `4 min 12 s`, `3 h 05 min`, `2 d 04 h`; empty for None."""
    if duration_ms is None:
        return ""
    if duration_ms < 999.5:
        return f"{duration_ms:.0f} ms"
    seconds = duration_ms / 1000
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24:02} h"


def age_text(moment: str | None, now: datetime) -> str:
    """Return how long ago a stored time was, as `3 min ago`; empty for None and for what is no time."""
    parsed = _parsed(moment)
    if parsed is None:
        return ""
    seconds = (now - parsed).total_seconds()
    if seconds < -60:
        return "in the future"  # the clock of another machine, or of this one in the past
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def clock_text(moment: str | None, now: datetime) -> str:
    """
    Return a stored time as it stood on the local clock, no more of it than is needed.

    `19:14:02` today, `Nov 23 19:14` within half a year, else `2025-11-23 19:14`; what is no time comes back as it is.
    """
    parsed = _parsed(moment)
    if parsed is None:
        return one_line(moment or "")
    local = _local(parsed, now)
    if local.date() == now.date():
        return f"{local:%H:%M:%S}"
    if abs((now - parsed).days) < 182:
        return f"{local:%b} {local.day:>2} {local:%H:%M}"
    return f"{local:%Y-%m-%d %H:%M}"


def _local(parsed: datetime, now: datetime) -> datetime:
    # The system knows the rules of its zone; *now* has only today's offset, unless it stands in a zone of its own.
    own = now.astimezone()
    return parsed.astimezone() if own.utcoffset() == now.utcoffset() else parsed.astimezone(now.tzinfo)


def _parsed(moment: str | None) -> datetime | None:
    try:
        return parse_time(moment) if moment else None
    except ValueError:
        return None


def count_text(count: int) -> str:
    """Return a count with a comma between thousands."""
    return f"{count:,}"


def plural(count: int, word: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def percent_text(share: float) -> str:
    """Return a share of 1 as `12 %`; what is not nothing is never shown as 0, and what is not all never as 100."""
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{share * 100:.0f} %"


def is_number(value: Any) -> bool:
    """Tell whether *value* counts something; true and false do not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_text(number: float) -> str:
    """Return a number: whole ones with commas, others with four digits that count."""
    if isinstance(number, int) or (number.is_integer() and abs(number) < 1e15):
        return f"{int(number):,}"
    return f"{number:,.2f}" if 100 <= abs(number) < 1e15 else f"{number:.4g}"


def value_text(value: Any) -> str:
    """Return any plain value in one line: numbers with all their digits, texts as they are, the rest as JSON."""
    return one_line(value) if isinstance(value, str) else one_line(json_text(value))


def figure_text(value: Any) -> str:
    """Return a metric or a count in one line: numbers as `number_text()`, the rest as `value_text()`."""
    return number_text(value) if is_number(value) else value_text(value)


def plain_text(value: Any) -> str:
    """Return a value as it stands in a column: empty for None, true and false, JSON for tables and lists."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    """Return a plain value as JSON in one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def short_id(run_id: str) -> str:
    """Return what is enough to name a run: the eight hex digits of an id of ours, else its first 16 characters."""
    match = _OUR_ID.fullmatch(run_id)
    return match[1] if match else one_line(run_id)[:_LONGEST_FOREIGN_ID]
