"""Turn a condition into parameterised SQL for PostgreSQL; nothing of a user's text becomes SQL."""

from __future__ import annotations

from typing import Any

from ..reading.conditions import WORDS, Condition, column_value, number_of
from .rows import plain_text

__all__ = ["document_of", "sql_of"]

_NULL_SAFE = {"!=": "IS DISTINCT FROM"}
_AS_TEXT = "CASE jsonb_typeof(v) WHEN 'boolean' THEN (v::boolean)::int::text ELSE v #>> '{}' END"
_AS_NUMBER = (
    "CASE jsonb_typeof(v) WHEN 'number' THEN (v #>> '{}')::numeric WHEN 'boolean' THEN (v::boolean)::int::numeric END"
)


def document_of(column: str) -> str:
    """Return the SQL for `metrics` or `attributes` as jsonb."""
    # A NUL in a text, written \u0000, is fine in json and refused by jsonb, which would fail the query for all rows.
    return rf"replace(r.{column}_json::text, '\u0000', '\ufffd')::jsonb"


def sql_of(condition: Condition) -> tuple[str, list[Any]]:
    """
    Return SQL that is true for the rows that *condition* wants, with its parameters; the answers are those of SQLite.

    Raises:
        InputError: the value does not fit the column.
    """
    if condition.path:
        return _json_sql(condition)
    column = f"r.{condition.column}"
    if condition.value.lower() in ("null", "none") and condition.operator in ("=", "!="):
        return (f"{column} IS NULL" if condition.operator == "=" else f"{column} IS NOT NULL"), []
    if condition.operator == "~":
        return f"strpos(lower({column}::text), lower(%s)) > 0", [plain_text(condition.value)]
    value = column_value(condition)
    given = plain_text(value) if isinstance(value, str) else value
    return f"{column} {_NULL_SAFE.get(condition.operator, condition.operator)} %s", [given]


def _json_sql(condition: Condition) -> tuple[str, list[Any]]:
    """Compare inside a JSON column: the value under the whole key, else the one at the nested path."""
    steps = [f"nullif(d{' -> %s::text' * len(keys)}, 'null')" for keys in condition.path]
    keys = [plain_text(key) for path in condition.path for key in path]
    document = f"SELECT {document_of(condition.column)} AS d"
    found = f"SELECT coalesce({', '.join(steps)}) AS v FROM ({document}) AS document"
    predicate, values = _compared(condition)
    # Named once and asked several times: of what type the value is, and what it says.
    exists = f"EXISTS (SELECT 1 FROM ({found}) AS found WHERE {predicate})"
    is_negated = condition.operator == "!="
    return (f"NOT {exists}" if is_negated else exists), [*keys, *values]


def _compared(condition: Condition) -> tuple[str, list[Any]]:
    """Return what is to be true of a value `v`; for `!=`, what must not be."""
    given = plain_text(condition.value)
    word = WORDS.get(given.lower(), given)
    if condition.operator == "~":
        return f"strpos(lower({_AS_TEXT}), lower(%s)) > 0", [given]
    if condition.operator in ("=", "!="):
        return _equal(given, word)
    number = number_of(given)
    if number is None:
        return f"jsonb_typeof(v) = 'string' AND (v #>> '{{}}') COLLATE \"C\" {condition.operator} %s", [given]
    return f"{_AS_NUMBER} {condition.operator} %s::numeric", [repr(number)]


def _equal(given: str, word: Any) -> tuple[str, list[Any]]:
    if word is None:
        return "v IS NULL", []
    number = int(word) if isinstance(word, bool) else number_of(given)
    is_text = "(jsonb_typeof(v) = 'string' AND v #>> '{}' = %s)"
    # `attributes.version=3` is meant to find 3 as well as "3".
    if number is None:
        return is_text, [given]
    return f"({is_text} OR {_AS_NUMBER} = %s::numeric)", [given, repr(number)]
