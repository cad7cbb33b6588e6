"""Count and measure runs: totals, and groups with exact percentiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...plugins import RunQuery
from ...plugins.mend import canonical_status
from ...plugins.records import STATUSES
from ..reading.groups import checked_grouping, fingerprint, group, in_order, percentile
from .connection import Connection
from .queries import grouped

__all__ = ["stats", "summary"]


def stats(connection: Connection | None) -> dict[str, Any]:
    """Return `total_runs`, `status_counts` by our words, and `pending_api_posts`: the runs that no API has taken."""
    counts: Counter[str] = Counter(dict.fromkeys(STATUSES, 0))
    pending = 0
    sql = "SELECT status, count(*), count(*) FILTER (WHERE api_posted = 0) FROM agent_runs GROUP BY status"
    for word, count, open_posts in connection.execute(sql) if connection is not None else ():
        counts["running" if word is None else canonical_status(word)] += count
        pending += open_posts
    return {"total_runs": counts.total(), "status_counts": dict(counts), "pending_api_posts": pending}


def summary(connection: Connection | None, by: str, query: RunQuery) -> list[dict[str, Any]]:
    """
    Return one dict a group, the largest group first; days in their order.

    Raises:
        InputError: *by* is no grouping, or a condition cannot be understood.
    """
    sql, values = grouped(by, checked_grouping(by), query)
    rows = connection.execute(sql, values).fetchall() if connection is not None else []
    groups = _of_errors(rows) if by == "error" else [_group(row) for row in rows]
    return in_order(groups, by)


def _group(row: tuple[Any, ...]) -> dict[str, Any]:
    key, runs, *ended, p50_ms, p95_ms = row
    return group(key, runs, ended, p50_ms, p95_ms)


def _of_errors(rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Put those together whose texts differ in numbers and ids only; by the same function as in every store."""
    merged: dict[str, tuple[list[int], list[int]]] = {}
    for text, *counts, durations in rows:
        known_counts, known_durations = merged.setdefault(fingerprint(text) or "", ([0] * len(counts), []))
        known_counts[:] = [known + count for known, count in zip(known_counts, counts, strict=True)]
        known_durations += durations or ()
    return [_error_group(key, *merged[key]) for key in sorted(merged)]


def _error_group(key: str, counts: list[int], durations: list[int]) -> dict[str, Any]:
    runs, *ended = counts
    ordered = sorted(durations)
    return group(key, runs, ended, percentile(ordered, 0.50), percentile(ordered, 0.95))
