"""Add metrics up inside the database: a million runs in 5 s, of which reading each as a record takes more than 40."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Any

from ...plugins import RunQuery
from ..reading.groups import checked_grouping
from .queries import expression_of, filters, metric_of, where_clause
from .shapes import Shape
from .summaries import key_of

__all__ = ["ExactSum", "sums"]


class ExactSum:
    """
    Add numbers up as SQLite's sum() does not before 3.43: ten times 0.1 is 1.0.

    Neumaier's way: what the running total loses of each number is added up beside it.
    """

    def __init__(self) -> None:
        self._total: float = 0
        self._lost = 0.0
        self._count = 0

    def step(self, number: Any) -> None:
        """Count in one value; what is no number counts nothing."""
        if not isinstance(number, int | float):
            return
        self._count += 1
        total = self._total + number
        if isinstance(total, float) and math.isfinite(total):
            larger, smaller = sorted((self._total, number), key=abs, reverse=True)
            self._lost += (larger - total) + smaller
        self._total = total

    def finalize(self) -> float | None:
        """Return the sum, None when there was no number; beyond 64 bits as a float."""
        if not self._count:
            return None
        total = self._total + self._lost if self._lost else self._total
        return total if isinstance(total, float) or abs(total) < 2**63 else float(total)


def sums(
    connection: sqlite3.Connection, shape: Shape, by: str, query: RunQuery, names: Sequence[str]
) -> dict[str | None, dict[str, float]]:
    """
    Return the sums of the metrics *names* over the runs of *query*, by group and name; those without a number left out.

    Raises:
        InputError: *by* is no grouping, or a condition cannot be understood.
    """
    column = checked_grouping(by)
    metrics = [metric_of(shape, name) for name in names]
    conditions, given = filters(shape, query)
    key = key_of(by, expression_of(shape)(column))
    columns = ", ".join([key, *(f"exact_sum({sql})" for sql, _ in metrics)])
    where = where_clause(conditions)
    source = shape.source if "x." in where else "agent_runs AS r"  # the join would take twice the time
    sql = f"SELECT {columns} FROM {source} {where} GROUP BY 1"
    rows = connection.execute(sql, [*(value for _, values in metrics for value in values), *given])
    return {
        row[0]: {name: total for name, total in zip(names, row[1:], strict=True) if total is not None} for row in rows
    }
