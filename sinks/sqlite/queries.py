"""Write the SQL of the reading side: for any shape of file, with parameters, page by page along an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ...plugins import RunQuery
from ...plugins.codec import safe_text
from ...plugins.mend import canonical_status
from ..reading.conditions import parse_condition
from ..reading.moments import moment_text
from .conditions import Expression, json_path, sql_of
from .shapes import EXTRA_COLUMNS, Shape, quoted

__all__ = ["Statement", "expression_of", "filters", "metric_of", "page_of_runs", "where_clause"]

Statement: TypeAlias = tuple[str, list[Any]]
"""SQL and the values for its question marks."""


def page_of_runs(shape: Shape, query: RunQuery, *, after: tuple[str, str] | None, limit: int) -> Statement:
    """
    Return the statement for at most *limit* runs of *query* behind *after*, a pair (start_time, run_id).

    Paging by key and not by OFFSET: each page costs the same, and runs that come meanwhile shift nothing.
    """
    conditions, values = filters(shape, query)
    if after is not None:
        conditions.append(f"(r.start_time, r.run_id) {'>' if query.oldest_first else '<'} (?, ?)")
        values += after
    direction = "ASC" if query.oldest_first else "DESC"
    order = f"ORDER BY r.start_time {direction}, r.run_id {direction} LIMIT ?"
    return f"{shape.select()} {where_clause(conditions)} {order}", [*values, limit]


def filters(shape: Shape, query: RunQuery) -> tuple[list[str], list[Any]]:
    """
    Return the conditions of *query* as SQL, and their values; paging and limit are not among them.

    Raises:
        InputError: a condition in `where`, or a time, cannot be understood.
    """
    expression = expression_of(shape)
    asked = [
        (f"{expression('agent_name')} = ?", query.agent),
        (f"{expression('job_type')} = ?", query.job),
        (f"{expression('status')} = ?", None if query.status is None else canonical_status(query.status)),
        (f"{expression('parent_run_id')} = ?", query.parent_run_id),
        ("r.start_time >= ?", moment_text(query.since)),
        ("r.start_time < ?", moment_text(query.until)),
    ]
    given = [(sql, safe_text(value)) for sql, value in asked if value is not None]
    conditions, values = [sql for sql, _ in given], [value for _, value in given]
    if not shape.is_run_id_unique:
        conditions.append("r.rowid = (SELECT max(n.rowid) FROM agent_runs AS n WHERE n.run_id = r.run_id)")
    return _with_where(conditions, values, query.where, expression)


def _with_where(
    conditions: list[str], values: list[Any], where: Sequence[str], expression: Expression
) -> tuple[list[str], list[Any]]:
    for text in where:
        sql, more = sql_of(parse_condition(safe_text(text)), expression)
        conditions.append(f"({sql})")
        values += more
    return conditions, values


def where_clause(conditions: Sequence[str]) -> str:
    """Return the WHERE clause in which all *conditions* hold, empty text when there are none."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def expression_of(shape: Shape) -> Expression:
    """Return what gives the SQL for a column of schema v3, or for one that the platform adds, in a file of *shape*."""

    def expression(name: str) -> str:
        if name == "status":
            return "r.status" if shape.is_plain else "canonical_status(r.status)"
        if name == "attributes_json" and shape.strange:
            return _attributes(shape)
        found = [f"x.{name}"] if name in EXTRA_COLUMNS and "run_extras" in shape.tables else []
        found += [f"r.{quoted(name)}"] if name in shape.columns else []
        found += ["0"] if name in ("api_posted", "verdict") else []
        return f"coalesce({', '.join(found)})" if len(found) > 1 else (found or ["NULL"])[0]

    return expression


def metric_of(shape: Shape, name: str) -> Statement:
    """Return the SQL for the number that a run has under the metric *name*, NULL for anything else, and its values."""
    column, path = expression_of(shape)("metrics_json"), json_path([safe_text(name)])
    checked = f"CASE WHEN json_valid({column}) THEN {column} END"
    # By JSON's own type: a flag comes out of it as 1 or 0.
    is_number = f"json_type({checked}, ?) IN ('integer', 'real')"
    return f"CASE WHEN {is_number} THEN json_extract({checked}, ?) END", [path, path]


def _attributes(shape: Shape) -> str:
    """Return the SQL for all attributes of a run: what schema v3 has no column for reads back as an attribute."""
    own = "CASE WHEN json_valid(x.attributes_json) THEN x.attributes_json ELSE '{}' END"
    pairs = ", ".join(f"{_literal(name)}, r.{quoted(name)}" for name in shape.strange)
    return f"json_patch(json_object({pairs}), {own if 'run_extras' in shape.tables else _literal('{}')})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
