"""Refuse a question that no store can answer, before one is asked: what was given, where, and what to give."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from attrs import Attribute

from .errors import InputError
from .mend import is_status
from .records import STATUSES

__all__ = ["conditions", "is_text", "limit", "need_text", "need_text_or_none", "status"]


def need_text(name: str, value: object, wanted: str = "text") -> None:
    """
    Say that *value*, which was given for *name*, is no text; *wanted* is what to give.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}; give {wanted}.")


def need_text_or_none(**values: object) -> None:
    """
    Say which of *values*, by name, is neither text nor None.

    Raises:
        InputError: one is not.
    """
    for name, value in values.items():
        if value is not None:
            need_text(name, value)


def is_text(query: Any, attribute: Attribute[Any], value: object) -> None:
    """Take text or None, as an attrs validator."""
    need_text_or_none(**{attribute.name: value})


def limit(value: Any) -> int | None:
    """
    Return how many rows are wanted at most, None for all.

    Raises:
        InputError: *value* is no whole number, or negative.
    """
    try:
        number = None if value is None else operator.index(value)
    except TypeError:
        number = -1
    if number is not None and number < 0:
        raise InputError(f"limit is {value!r}; give a whole number, not negative, or None for all.")
    return number


def status(value: Any) -> Any:
    """
    Return *value*, a status or another word for one, or None for any.

    Raises:
        InputError: nobody uses that word, so what was meant by it would be guessed.
    """
    if value is None or is_status(value):
        return value
    import difflib

    near = difflib.get_close_matches(str(value).lower(), STATUSES, 1)
    nearest = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"status is {value!r}; give one of {', '.join(STATUSES)}.{nearest}")


def conditions(texts: Iterable[str]) -> tuple[str, ...]:
    """
    Return the conditions of a query; one alone need not stand in a list.

    Raises:
        InputError: they are no texts.
    """
    if isinstance(texts, str):
        return (texts,)
    if not isinstance(texts, Iterable):
        raise InputError(f"where is {texts!r}; give texts, as ['metrics.tokens>1000'].")
    asked = tuple(texts)
    for text in asked:
        need_text("a condition in where", text)
    return asked
