"""Turn what a user writes behind `--where` into parameterised SQL; nothing of his text becomes SQL."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from attrs import fields, frozen

from ...plugins import InputError, RunRecord
from ...plugins.mend import canonical_status

__all__ = ["Condition", "Expression", "parse_condition", "sql_of"]

Expression = Callable[[str], str]
"""Gives the SQL that stands for a column of the canonical shape in this store."""

_CONDITION = re.compile(
    r"\s*(?P<name>[^<>=!~]+?)\s*(?P<operator><=|>=|<>|!=|==|=|<|>|~)\s*(?P<value>.*?)\s*", re.DOTALL
)
_OPERATORS: Mapping[str, str] = {"==": "=", "<>": "!="}
_MAPPINGS = ("metrics", "attributes")
_NOT_ASKED = frozenset((*_MAPPINGS, "coerced"))
_TYPES = {attribute.name: attribute.type for attribute in fields(RunRecord) if attribute.name not in _NOT_ASKED}
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}


@frozen
class Condition:
    """One comparison: a column, or a path inside `metrics` or `attributes`, an operator, and a value."""

    text: str
    column: str
    path: tuple[str, ...]
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
    if name not in _TYPES:
        raise InputError(_unknown(name, text))
    return Condition(text, name, (), _OPERATORS.get(operator, operator), _unquoted(value))


def _path(rest: str, text: str) -> tuple[str, ...]:
    # SQLite has no way to write a quote inside the quoted key of a JSON path.
    if '"' in rest:
        raise InputError(f"{text!r} asks for a key with a double quote in it, which a condition cannot name.")
    whole = f'$."{rest}"'
    parts = "".join(f'."{part}"' for part in rest.split("."))
    return (whole,) if "." not in rest else (whole, f"${parts}")


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def _unknown(name: str, text: str) -> str:
    near = difflib.get_close_matches(name, _TYPES, n=1)
    nearest = f"Did you mean {near[0]!r}? " if near else ""
    return (
        f"{text!r} asks for {name!r}, which is no column of a run. {nearest}"
        f"A metric is 'metrics.{name}', an attribute 'attributes.{name}'; the columns are {', '.join(_TYPES)}."
    )


def sql_of(condition: Condition, expression: Expression) -> tuple[str, list[Any]]:
    """
    Return SQL that is true for the rows that *condition* wants, with its parameters.

    `!=` is true also where there is no value. Numbers compare with numbers only: in SQLite every text is greater
    than every number, so `metrics.tokens>1000` would else find the runs whose `tokens` is text.

    Raises:
        InputError: the value does not fit the column.
    """
    if condition.path:
        return _json_sql(condition, expression(f"{condition.column}_json"))
    column = expression(condition.column)
    if condition.value.lower() in ("null", "none") and condition.operator in ("=", "!="):
        return (f"{column} IS NULL" if condition.operator == "=" else f"{column} IS NOT NULL"), []
    if condition.operator == "~":
        return f"instr(lower({column}), lower(?)) > 0", [condition.value]
    return f"{column} {_null_safe(condition.operator)} ?", [_column_value(condition)]


def _null_safe(operator: str) -> str:
    return {"!=": "IS NOT"}.get(operator, operator)


def _column_value(condition: Condition) -> Any:
    if condition.column == "status":
        return canonical_status(condition.value)
    kind = str(_TYPES[condition.column])
    if kind == "bool":
        return _flag(condition)
    if "int" not in kind:
        return condition.value
    number = _number(condition.value)
    if number is None:
        raise InputError(f"{condition.text!r} compares {condition.column}, a number, with {condition.value!r}.")
    return number


def _flag(condition: Condition) -> int:
    word = {"1": True, "0": False, **_WORDS}.get(condition.value.lower())
    if word is None:
        raise InputError(
            f"{condition.text!r} compares {condition.column} with {condition.value!r}; it is true or false."
        )
    return int(word)


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        with suppress(ValueError, OverflowError):
            number = kind(text)
            # SQLite has no NaN, and no whole number beyond 64 bits.
            return None if math.isnan(number) else number if abs(number) < 2**63 else float(number)
    return None


def _json_sql(condition: Condition, column: str) -> tuple[str, list[Any]]:
    """
    Compare inside a JSON column: the value under the whole key, else the one at the nested path.

    Another program's row may hold text that is no JSON, for which json_extract() would fail the whole query.
    """
    checked = f"CASE WHEN json_valid({column}) THEN {column} END"
    extracts = [f"json_extract({checked}, ?)" for _ in condition.path]
    value = extracts[0] if len(extracts) == 1 else f"coalesce({', '.join(extracts)})"
    return _compared(condition, value)


def _compared(condition: Condition, value: str) -> tuple[str, list[Any]]:
    paths, given = list(condition.path), condition.value
    word = _WORDS.get(given.lower(), given)
    if condition.operator == "~":
        return f"instr(lower({value}), lower(?)) > 0", [*paths, given]
    if condition.operator in ("=", "!="):
        return _equal(condition.operator, value, paths, given, word)
    number = _number(given)
    kinds = "('text')" if number is None else "('integer', 'real')"
    wanted = given if number is None else number
    return f"(typeof({value}) IN {kinds} AND {value} {condition.operator} ?)", [*paths, *paths, wanted]


def _equal(operator: str, value: str, paths: list[str], given: str, word: Any) -> tuple[str, list[Any]]:
    if word is None:
        return f"{value} IS {'' if operator == '=' else 'NOT '}NULL", paths
    number = int(word) if isinstance(word, bool) else _number(given)
    # `attributes.version=3` is meant to find 3 as well as "3".
    accepted = [given] if number is None else [given, number]
    marks = ", ".join("?" for _ in accepted)
    is_equal = f"coalesce({value} IN ({marks}), 0)"
    return (is_equal if operator == "=" else f"NOT {is_equal}"), [*paths, *accepted]
