"""Turn a condition into parameterised SQL for SQLite; nothing of a user's text becomes SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..reading.conditions import WORDS, Condition, column_value, number_of

__all__ = ["Expression", "json_path", "sql_of"]

Expression = Callable[[str], str]
"""Gives the SQL that stands for a column of the canonical shape in this store."""


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
    return f"{column} {_null_safe(condition.operator)} ?", [column_value(condition)]


def _null_safe(operator: str) -> str:
    return {"!=": "IS NOT"}.get(operator, operator)


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
    paths, given = [json_path(keys) for keys in condition.path], condition.value
    word = WORDS.get(given.lower(), given)
    if condition.operator == "~":
        return f"instr(lower({value}), lower(?)) > 0", [*paths, given]
    if condition.operator in ("=", "!="):
        return _equal(condition.operator, value, paths, given, word)
    number = number_of(given)
    kinds = "('text')" if number is None else "('integer', 'real')"
    wanted = given if number is None else number
    return f"(typeof({value}) IN {kinds} AND {value} {condition.operator} ?)", [*paths, *paths, wanted]


def _equal(operator: str, value: str, paths: list[str], given: str, word: Any) -> tuple[str, list[Any]]:
    if word is None:
        return f"{value} IS {'' if operator == '=' else 'NOT '}NULL", paths
    number = int(word) if isinstance(word, bool) else number_of(given)
    # `attributes.version=3` is meant to find 3 as well as "3".
    accepted = [given] if number is None else [given, number]
    marks = ", ".join("?" for _ in accepted)
    is_equal = f"coalesce({value} IN ({marks}), 0)"
    return (is_equal if operator == "=" else f"NOT {is_equal}"), [*paths, *accepted]


def json_path(keys: Sequence[str]) -> str:
    """Return the way to a value by the names of its *keys*, as SQLite writes it."""
    return "$" + "".join(f'."{key}"' for key in keys)
