"""Add metrics up, and find the runs that come first in another order than by start, inside the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ...plugins import InputError, RunQuery
from ..reading.groups import checked_grouping, fingerprint
from .connection import Connection
from .queries import Statement, filters, key_of, metric_of, where_clause
from .rows import LARGEST, selected

__all__ = ["sums", "topmost"]

_METRIC = "metrics."
_COLUMNS: Mapping[str, str] = {
    "duration": "r.duration_ms",
    "agent": "r.agent_name",
    "job": "r.job_type",
    "status": "r.status",
    "items": "r.items_discovered",
}
_Sums = dict[str | None, dict[str, float]]


def sums(connection: Connection | None, by: str, query: RunQuery, names: Sequence[str]) -> _Sums:
    """
    Return the sums of the metrics *names* over the runs of *query*, by group and name; those without a number left out.

    Raises:
        InputError: *by* is no grouping, or a condition cannot be understood.
    """
    metrics = [metric_of(name) for name in names]
    conditions, given = filters(query)
    columns = ", ".join([key_of(by, checked_grouping(by)), *(f"sum({sql})" for sql, _ in metrics)])
    sql = f"SELECT {columns} FROM agent_runs AS r {where_clause(conditions)} GROUP BY 1"
    values = [*(value for _, values in metrics for value in values), *given]
    rows = connection.execute(sql, values).fetchall() if connection is not None else []
    return _by_group(rows, by, names)


def _by_group(rows: Iterable[tuple[Any, ...]], by: str, names: Sequence[str]) -> _Sums:
    totals: dict[str | None, dict[str, Decimal]] = {}
    for key, *found in rows:
        group = totals.setdefault(fingerprint(key) if by == "error" else key, {})
        for name, total in zip(names, found, strict=True):
            if total is not None:
                group[name] = group.get(name, Decimal(0)) + total
    return {key: {name: _number(total) for name, total in group.items()} for key, group in totals.items()}


def _number(total: Decimal) -> float:
    # The server adds without rounding, and 1.0 + 1.0 is 2.0 to it: what has a point is a float.
    exponent = total.as_tuple().exponent
    is_whole = isinstance(exponent, int) and exponent >= 0
    return int(total) if is_whole and abs(total) <= LARGEST else float(total)


def topmost(query: RunQuery, sort: str, limit: int, *, is_smallest: bool) -> Statement:
    """
    Return the statement for the *limit* runs of *query* with the largest, or the smallest, of what *sort* names.

    Runs that have none of it are left out; of equal ones the newest comes first.

    Raises:
        InputError: *sort* names nothing that runs have.
    """
    key, values = _key(sort)
    conditions, given = filters(query)
    where = where_clause([*conditions, f"{key} IS NOT NULL"])
    order = f"ORDER BY {key} {'ASC' if is_smallest else 'DESC'}, r.start_time DESC, r.run_id DESC LIMIT %s"
    return f"SELECT {selected()} FROM agent_runs AS r {where} {order}", [*given, *values, *values, limit]


def _key(sort: str) -> Statement:
    if sort in _COLUMNS:
        return _COLUMNS[sort], []
    if not sort.startswith(_METRIC):
        raise InputError(f"runs cannot be sorted by {sort!r}; choose one of {', '.join(_COLUMNS)}, {_METRIC}NAME.")
    return metric_of(sort.removeprefix(_METRIC))
