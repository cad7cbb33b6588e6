"""Add up a metric over runs, in groups, without ever holding the runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from ..plugins.records import RunRecord

__all__ = ["GROUP_KEYS", "LLM_METRICS", "Total", "number_in", "totals_of"]

LLM_METRICS = ("tokens_in", "tokens_out", "tokens_cached", "cost_usd")
"""The fixed names of what calls of language models cost."""

GROUP_KEYS: Mapping[str, Callable[[RunRecord], str | None]] = {
    "agent": lambda run: run.agent_name,
    "job": lambda run: run.job_type,
    "day": lambda run: run.start_time[:10],
    "status": lambda run: run.status,
}
"""What totals can be grouped by."""


@define
class Total:
    """The sum of one metric over the runs that have it, and how many those are."""

    sum: float = 0
    runs: int = 0

    def add(self, number: float) -> None:
        """Count one run in."""
        self.sum += number
        self.runs += 1


def number_in(value: Any) -> float | None:
    """Return *value* when it is a number to count with, else None; true and false are none, nor is NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    return value


def totals_of(runs: Iterable[RunRecord], names: Sequence[str], by: str) -> dict[str | None, dict[str, Total]]:
    """
    Return the totals of the metrics *names*, by group and name.

    Args:
        by: a name in `GROUP_KEYS`.
    """
    key_of = GROUP_KEYS[by]
    totals: dict[str | None, dict[str, Total]] = {}
    for run in runs:
        for name in names:
            number = number_in(run.metrics.get(name))
            if number is not None:
                totals.setdefault(key_of(run), {}).setdefault(name, Total()).add(number)
    return totals
