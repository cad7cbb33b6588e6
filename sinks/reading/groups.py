"""Say what runs are grouped by, and what is told of a group, the same for every store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...plugins import InputError
from ...plugins.variables import without_variables

__all__ = ["ENDS", "GROUPINGS", "checked_grouping", "fingerprint", "group", "in_order", "percentile"]

GROUPINGS: Mapping[str, str] = {
    "agent": "agent_name",
    "job": "job_type",
    "status": "status",
    "day": "start_time",
    "error": "error_summary",
}
"""What `summary()` can group by, and the column that it reads for it."""

ENDS = ("success", "failed", "partial")
"""The statuses of a run that has ended."""

_READ_CHARACTERS = 1000
_KEY_CHARACTERS = 200


def checked_grouping(by: str) -> str:
    """
    Return the column that is read for a grouping.

    Raises:
        InputError: there is no such grouping.
    """
    if by not in GROUPINGS:
        raise InputError(f"runs cannot be grouped by {by!r}; choose one of {', '.join(GROUPINGS)}.")
    return GROUPINGS[by]


def group(key: Any, runs: int, ended: Sequence[int], p50_ms: int | None, p95_ms: int | None) -> dict[str, Any]:
    """Return what is told of a group; *ended* counts the runs with each of `ENDS`."""
    counts = dict(zip(ENDS, ended, strict=True))
    return {
        "key": key,
        "runs": runs,
        "running": runs - sum(ended),
        **counts,
        "failure_rate": counts["failed"] / sum(ended) if sum(ended) else 0.0,
        "p50_ms": p50_ms,
        "p95_ms": p95_ms,
    }


def in_order(groups: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """Return *groups*, which are in the order of their keys, the largest first; days stay in their order."""
    return groups if by == "day" else sorted(groups, key=lambda group: -group["runs"])


def percentile(ordered: Sequence[int | float], share: float) -> int | None:
    """Return the nearest rank: the least of *ordered* that at least *share* of them do not exceed."""
    if not ordered:
        return None
    return int(ordered[max(0, math.ceil(share * len(ordered)) - 1)])


def fingerprint(text: object) -> str | None:
    """Return an error's first line without what differs each time, so that the same fault counts as one."""
    if not isinstance(text, str):
        return None
    first = text.strip().partition("\n")[0]
    return without_variables(first[:_READ_CHARACTERS])[:_KEY_CHARACTERS]
