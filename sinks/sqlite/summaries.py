"""Count and measure runs: totals, and groups with exact percentiles."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from typing import Any

import msgspec

from ...plugins import RunQuery
from ...plugins.mend import canonical_status
from ...plugins.records import STATUSES
from ..reading.groups import ENDS, checked_grouping, group, in_order, percentile
from .queries import expression_of, filters, where_clause
from .shapes import Shape

__all__ = ["key_of", "stats", "summary"]

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_decode_numbers = msgspec.json.Decoder(list[int | float]).decode


def stats(connection: sqlite3.Connection, shape: Shape) -> dict[str, Any]:
    """Return `total_runs`, `status_counts` by our words, and `pending_api_posts`: the runs that no API has taken."""
    counts: Counter[str] = Counter(dict.fromkeys(STATUSES, 0))
    conditions, values = filters(shape, RunQuery())
    where = where_clause(conditions)
    for word, count in connection.execute(f"SELECT r.status, count(*) FROM agent_runs AS r {where} GROUP BY 1", values):
        counts["running" if word is None else canonical_status(word)] += count
    return {
        "total_runs": counts.total(),
        "status_counts": dict(counts),
        "pending_api_posts": _pending(connection, shape, conditions),
    }


def _pending(connection: sqlite3.Connection, shape: Shape, conditions: list[str]) -> int:
    if "api_posted" not in shape.columns:
        return 0
    where = where_clause(["r.api_posted = 0", *conditions])
    return int(connection.execute(f"SELECT count(*) FROM agent_runs AS r {where}").fetchone()[0])


def summary(connection: sqlite3.Connection, shape: Shape, by: str, query: RunQuery) -> list[dict[str, Any]]:
    """
    Return one dict a group, the largest group first; days in their order.

    Limit and paging of *query* do not count. Percentiles are exact, by nearest rank, over the runs with a duration.

    Raises:
        InputError: *by* is no grouping, or a condition cannot be understood.
    """
    column = checked_grouping(by)
    conditions, values = filters(shape, query)
    if by == "error":
        conditions.append("r.error_summary IS NOT NULL")
    sql = _grouped(shape, by, column, query, conditions)
    return in_order([_group(row) for row in connection.execute(sql, values)], by)


def _group(row: tuple[Any, ...]) -> dict[str, Any]:
    key, runs, *ended, durations = row
    ordered = _sorted_numbers(durations or "")
    return group(key, runs, ended, percentile(ordered, 0.50), percentile(ordered, 0.95))


def _grouped(shape: Shape, by: str, column: str, query: RunQuery, conditions: list[str]) -> str:
    expression = expression_of(shape)
    status, duration = expression("status"), expression("duration_ms")
    # 3.3 ms over 20,000 runs, where sum(status = '...') takes 7.5.
    counted = "count(*) FILTER (WHERE {} = '{}')"
    if by == "status":
        # All of a group have the same one: 3.9 -> 3.4 ms for all of this over the 11,000 runs of a day.
        counted = "CASE WHEN {} = '{}' THEN count(*) ELSE 0 END"
    counts = ", ".join(counted.format(status, word) for word in ENDS)
    # All durations of a group as one text: a row for each would cost 0.3 us a run on its way into Python.
    durations = f"group_concat({duration})"
    if not shape.is_plain:
        durations += f" FILTER (WHERE {status} <> 'running')"  # some stores have a 0 for what is not known yet
    where = where_clause(conditions)
    # SQLite joins the table of extras to an aggregate even where nothing of it is asked for: twice the time.
    source = shape.source if "x." in where else "agent_runs AS r"
    key = key_of(by, expression(column))
    # The plus keeps it from reading a whole index in the order of the groups where a few days are asked for.
    key = f"+{key}" if query.since is not None else key
    return f"SELECT {key}, count(*), {counts}, {durations} FROM {source} {where} GROUP BY 1 ORDER BY 1"


def key_of(by: str, column: str) -> str:
    """Return the SQL that tells the group of a run by *by*, from that of the column behind it."""
    return {"day": f"substr({column}, 1, 10)", "error": f"fingerprint({column})"}.get(by, column)


def _sorted_numbers(text: str) -> list[int | float]:
    try:
        return sorted(_decode_numbers(f"[{text}]"))
    except msgspec.MsgspecError:  # another program has put words among the numbers
        return sorted(float(word) for word in text.split(",") if _NUMBER.fullmatch(word))
