"""Read what a user writes behind `--where`, for every store: a column or a path, an operator, and a value."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from attrs import fields, frozen

from ...plugins import InputError, RunRecord
from ...plugins.mend import canonical_status, is_status
from ...plugins.records import STATUSES

__all__ = ["WORDS", "Condition", "column_value", "number_of", "parse_condition"]

_CONDITION = re.compile(
    r"\s*(?P<name>[^<>=!~]+?)\s*(?P<operator><=|>=|<>|!=|==|=|<|>|~)\s*(?P<value>.*?)\s*", re.DOTALL
)
_OPERATORS: Mapping[str, str] = {"==": "=", "<>": "!="}
_MAPPINGS: Mapping[str, str] = {"metrics": "metrics.tokens>1000", "attributes": "attributes.model=small"}
_NOT_ASKED = frozenset((*_MAPPINGS, "coerced"))
_TYPES = {attribute.name: attribute.type for attribute in fields(RunRecord) if attribute.name not in _NOT_ASKED}
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}
"""What these words stand for where a value is no text."""


@frozen
class Condition:
    """
    One comparison: a column, or a path inside `metrics` or `attributes`, an operator, and a value.

    `path` has the ways to read what stands behind the dot, the first that leads somewhere counts: the whole as one
    key, and where it has dots the keys between them. It is empty for a column.
    """

    text: str
    column: str
    path: tuple[tuple[str, ...], ...]
    operator: str
    value: str


def parse_condition(text: str) -> Condition:
    """
    Return the condition that *text* states, as `metrics.tokens>1000`, `agent_name=foo`, `error_summary~timeout`.

    Operators are = == != <> < <= > >= and ~ (contains, letters of either case).

    Raises:
        InputError: *text* is no comparison, or names no column.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise InputError(f"{text!r} is no condition; write NAME OPERATOR VALUE, as in 'metrics.tokens>1000'.")
    name, operator, value = found.group("name", "operator", "value")
    column, _, rest = name.partition(".")
    if column in _MAPPINGS and rest:
        return Condition(text, column, _path(rest, text), _OPERATORS.get(operator, operator), _unquoted(value))
    if column in _MAPPINGS:
        raise InputError(f"{text!r} names nothing inside {column}; write {column}.NAME, as in {_MAPPINGS[column]!r}.")
    if name not in _TYPES:
        raise InputError(_unknown(name, text))
    return Condition(text, name, (), _OPERATORS.get(operator, operator), _unquoted(value))


def _path(rest: str, text: str) -> tuple[tuple[str, ...], ...]:
    # SQLite has no way to write a quote inside the quoted key of a JSON path.
    if '"' in rest:
        raise InputError(f"{text!r} asks for a key with a double quote in it, which a condition cannot name.")
    return ((rest,),) if "." not in rest else ((rest,), tuple(rest.split(".")))


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def _unknown(name: str, text: str) -> str:
    head, _, rest = name.partition(".")
    near = difflib.get_close_matches(head, _MAPPINGS if rest else _TYPES, n=1)
    if near and rest:
        return f"{text!r} asks for {name!r}, which is no column of a run. Did you mean {f'{near[0]}.{rest}'!r}?"
    nearest = f"Did you mean {near[0]!r}? " if near else ""
    return (
        f"{text!r} asks for {name!r}, which is no column of a run. {nearest}"
        f"A metric is 'metrics.{name}', an attribute 'attributes.{name}'; the columns are {', '.join(_TYPES)}."
    )


def column_value(condition: Condition) -> Any:
    """
    Return the value of a *condition* over a column as that column holds it; a flag is 0 or 1.

    Raises:
        InputError: the value does not fit the column.
    """
    if condition.column == "status":
        return _status(condition)
    kind = str(_TYPES[condition.column])
    if kind == "bool":
        return _flag(condition)
    if "int" not in kind:
        return condition.value
    number = number_of(condition.value)
    if number is None:
        raise InputError(f"{condition.text!r} compares {condition.column}, a number, with {condition.value!r}.")
    return number


def _status(condition: Condition) -> str:
    if not is_status(condition.value):
        told = f"{condition.text!r} compares status with {condition.value!r}"
        raise InputError(f"{told}; it is one of {', '.join(STATUSES)}.")
    return canonical_status(condition.value)


def _flag(condition: Condition) -> int:
    word = {"1": True, "0": False, **WORDS}.get(condition.value.lower())
    if word is None:
        raise InputError(
            f"{condition.text!r} compares {condition.column} with {condition.value!r}; it is true or false."
        )
    return int(word)


def number_of(text: str) -> int | float | None:
    """Return the number that *text* writes, None when it writes none."""
    for kind in (int, float):
        with suppress(ValueError, OverflowError):
            number = kind(text)
            # SQLite has no NaN, and no whole number beyond 64 bits.
            return None if math.isnan(number) else number if abs(number) < 2**63 else float(number)
    return None
