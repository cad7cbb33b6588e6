"""Read the times that people write: `2d`, `90m`, `yesterday`, `2026-11-23`, ISO 8601; what comes out is UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

__all__ = ["read_moment", "read_span", "stored_text"]

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_DAYS = {"today": 0, "yesterday": 1}


def read_span(text: str) -> timedelta:
    """
    Return the length of time that *text* says: numbers with s, m, h, d or w behind them, as `2d` or `1h30m`.

    Raises:
        ValueError: *text* is no such length, or longer than 2,700,000 years.
    """
    compact = text.replace(" ", "").lower()
    if not _SPAN.fullmatch(compact):
        raise ValueError(f"{text!r} is no length of time; write a number and s, m, h, d or w behind it, as 90d or 12w")
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(compact)), timedelta())
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than any time that can be counted") from error


def read_moment(text: str, now: datetime) -> datetime:
    """
    Return the moment that *text* names, in UTC.

    A length of time counts back from *now*. A day is the local midnight at which it begins, and a time without an
    offset is local too: that is what people read on their clock.

    Args:
        text: `2d`, `today`, `yesterday`, `now`, `2026-11-23`, `2026-11-23T10:00`, with `Z` or an offset or without.
        now: an aware time; its zone is the local one.

    Raises:
        ValueError: *text* is none of these.
    """
    word = text.strip().lower()
    if word == "now":
        return now.astimezone(UTC)
    if word in _DAYS:
        day = now.date() - timedelta(days=_DAYS[word])
        return _localized(datetime.combine(day, time()), now).astimezone(UTC)
    if _SPAN.fullmatch(word.replace(" ", "")):
        return _back(now, read_span(word), text)
    return _point(text.strip(), now)


def stored_text(moment: datetime) -> str:
    """Return *moment* as times stand in the stores, so that it compares with them as text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _back(now: datetime, span: timedelta, text: str) -> datetime:
    try:
        return now.astimezone(UTC) - span
    except OverflowError as error:
        raise ValueError(f"{text!r} ago lies before the year 1") from error


def _point(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        # An aware time of today's zone: in July it has the offset of July, also when it is asked for in December.
        return (moment if moment.tzinfo else _localized(moment, now)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        wanted = "write 2d (ago), today, yesterday, 2026-11-23 or 2026-11-23T10:00"
        raise ValueError(f"{text!r} is no time; {wanted}") from error


def _localized(moment: datetime, now: datetime) -> datetime:
    # astimezone() of a naive time takes the system's zone with its rules; a *now* in another fixed zone is a test's.
    if now.utcoffset() == now.astimezone().utcoffset():
        return moment.astimezone()
    return moment.replace(tzinfo=now.tzinfo)
