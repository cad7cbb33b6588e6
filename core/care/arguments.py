"""Take what a program hands to the care of a store, and say which argument cannot be used."""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path

from ...plugins.errors import InputError

__all__ = ["day_of", "need_span", "place_of"]


def place_of(name: str, path: str | os.PathLike[str]) -> Path:
    """
    Return *path*, which was given for *name*, as a whole path.

    Raises:
        InputError: it is no path.
    """
    try:
        return Path(path).expanduser().absolute()
    except TypeError as error:
        raise InputError(f"{name} is {path!r}; give a path, as text or as Path.") from error


def need_span(name: str, value: object) -> None:
    """
    Say that *value*, which was given for *name*, is no length of time.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, timedelta):
        raise InputError(f"{name} is {value!r}; give a timedelta, as timedelta(days=90).")


def day_of(name: str, text: str) -> str:
    """
    Return *text*, which was given for *name*, as `YYYY-MM-DD`.

    Raises:
        InputError: it names no day.
    """
    try:
        return date.fromisoformat(text).isoformat()
    except (ValueError, TypeError) as error:
        raise InputError(f"{name} is {text!r}; give a day, as '2026-11-23'.") from error
