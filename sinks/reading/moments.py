"""Compare times that stand in a store as text, each in the form in which its writer had it."""

from __future__ import annotations

from datetime import datetime

from ...plugins import InputError
from ...plugins.ids import parse_time

__all__ = ["moment_text"]


def moment_text(moment: str | None) -> str | None:
    """
    Return a time as the text that compares rightly with the stored ones, None for None.

    Stored times of one moment differ in how they write the fraction and the offset. The shortest form of it is a
    prefix of them all: they are equal to it or greater, and those of an earlier moment are less.

    Raises:
        InputError: *moment* is no ISO 8601 time.
    """
    if moment is None:
        return None
    try:
        parsed: datetime = parse_time(moment)
    except ValueError as error:
        raise InputError(str(error)) from error
    return f"{parsed:%Y-%m-%dT%H:%M:%S}" + (f".{parsed.microsecond:06d}".rstrip("0") if parsed.microsecond else "")
