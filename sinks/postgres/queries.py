"""Write the SQL of the reading side: with parameters, page by page along an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ...plugins import RunQuery
from ...plugins.mend import canonical_status
from ..reading.conditions import parse_condition
from ..reading.groups import ENDS
from ..reading.moments import moment_text
from .conditions import document_of, sql_of
from .rows import plain_text, selected

__all__ = [
    "Statement",
    "filters",
    "grouped",
    "key_of",
    "metric_of",
    "page_of_events",
    "page_of_runs",
    "where_clause",
]

Statement: TypeAlias = tuple[str, list[Any]]
"""SQL and the values for its parameters."""

_KEYS = {"day": "substr(r.start_time, 1, 10)"}


def page_of_runs(query: RunQuery, *, after: tuple[str, str] | None, limit: int) -> Statement:
    """
    Return the statement for at most *limit* runs of *query* behind *after*, a pair (start_time, run_id).

    Paging by key and not by OFFSET: each page costs the same, and runs that come meanwhile shift nothing.
    """
    conditions, values = filters(query)
    if after is not None:
        conditions.append(f"(r.start_time, r.run_id) {'>' if query.oldest_first else '<'} (%s, %s)")
        values += map(plain_text, after)
    direction = "ASC" if query.oldest_first else "DESC"
    order = f"ORDER BY r.start_time {direction}, r.run_id {direction} LIMIT %s"
    return f"SELECT {selected()} FROM agent_runs AS r {where_clause(conditions)} {order}", [*values, limit]


def filters(query: RunQuery) -> tuple[list[str], list[Any]]:
    """
    Return the conditions of *query* as SQL, and their values; paging and limit are not among them.

    Raises:
        InputError: a condition in `where`, or a time, cannot be understood.
    """
    asked = [
        ("r.agent_name = %s", query.agent),
        ("r.job_type = %s", query.job),
        ("r.status = %s", None if query.status is None else canonical_status(query.status)),
        ("r.parent_run_id = %s", query.parent_run_id),
        ("r.start_time >= %s", moment_text(query.since)),
        ("r.start_time < %s", moment_text(query.until)),
    ]
    given = [(sql, plain_text(value)) for sql, value in asked if value is not None]
    conditions, values = [sql for sql, _ in given], [value for _, value in given]
    for text in query.where:
        sql, more = sql_of(parse_condition(text))
        conditions.append(f"({sql})")
        values += more
    return conditions, values


def where_clause(conditions: Sequence[str]) -> str:
    """Return the WHERE clause in which all *conditions* hold, empty text when there are none."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def page_of_events(run_id: str | None, event_type: str | None, *, after: int, limit: int) -> Statement:
    """Return the statement for at most *limit* events with an id above *after*, in the order of their ids."""
    asked = [("run_id = %s", run_id), ("event_type = %s", event_type)]
    given = [(sql, plain_text(value)) for sql, value in asked if value is not None]
    where = where_clause(["id > %s", *(sql for sql, _ in given)])
    sql = f"SELECT id, run_id, event_type, timestamp, payload_json::text FROM run_events {where} ORDER BY id LIMIT %s"
    return sql, [after, *(value for _, value in given), limit]


def key_of(by: str, column: str) -> str:
    """Return the SQL for what tells the groups of a grouping apart; of errors, the whole text."""
    return _KEYS.get(by, f"r.{column}")


def metric_of(name: str) -> Statement:
    """Return the SQL for the number that a run has under the metric *name*, NULL for anything else, and its values."""
    number = "CASE jsonb_typeof(v) WHEN 'number' THEN (v #>> '{}')::numeric END"
    return f"(SELECT {number} FROM (SELECT {document_of('metrics')} -> %s::text AS v) AS found)", [plain_text(name)]


def grouped(by: str, column: str, query: RunQuery) -> Statement:
    """
    Return the statement for the groups of the runs of *query*: key, runs, the count of each of `ENDS`, durations.

    The durations are the median and the 95th percentile, exact; of errors, which are grouped further by what their
    texts have in common, all of them.
    """
    conditions, values = filters(query)
    counts = ", ".join(f"count(*) FILTER (WHERE r.status = '{word}')" for word in ENDS)
    durations = ", ".join(f"percentile_disc({share}) WITHIN GROUP (ORDER BY r.duration_ms)" for share in (0.5, 0.95))
    if by == "error":
        conditions.append("r.error_summary IS NOT NULL")
        durations = "array_agg(r.duration_ms) FILTER (WHERE r.duration_ms IS NOT NULL)"
    key = key_of(by, column)
    source = f"FROM agent_runs AS r {where_clause(conditions)}"
    return f"SELECT {key}, count(*), {counts}, {durations} {source} GROUP BY 1 ORDER BY 1 NULLS FIRST", values
