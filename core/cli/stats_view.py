"""Lay out groups of runs: counts, failure rates, durations, sums of metrics, and how busy the last days were."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from .letters import one_line, width_of
from .run_view import STATUSES_IN_ORDER
from .screen import Screen
from .table import Cell, Column, table_lines
from .words import count_text, duration_text, number_text, percent_text, plural

__all__ = ["DAYS", "Overview", "group_columns", "overview_lines"]

DAYS = 14
"""How many days a sparkline has."""

Group = Mapping[str, Any]


@frozen
class Overview:
    """
    Runs in groups.

    `groups` are as `RunStore.summary()` gives them; in each, `metrics` holds the sums that were asked for, by name.
    `days` are the counts of these runs in the last days, the oldest first; `pending` counts those not posted yet.
    """

    by: str
    groups: Sequence[Group]
    metrics: Sequence[str] = ()
    days: Sequence[int] = field(default=())
    pending: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many runs there are, by status."""
        return {status: sum(group[status] for group in self.groups) for status in STATUSES_IN_ORDER}

    @property
    def total(self) -> int:
        """How many runs there are."""
        return sum(group["runs"] for group in self.groups)

    @property
    def failure_rate(self) -> float:
        """The share of those that ended which failed."""
        ended = self.total - self.counts["running"]
        return self.counts["failed"] / ended if ended else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the whole as plain values."""
        return {
            "total_runs": self.total,
            "status_counts": self.counts,
            "failure_rate": self.failure_rate,
            "pending_api_posts": self.pending,
            "by": self.by,
            "groups": [dict(group) for group in self.groups],
        }


def overview_lines(screen: Screen, overview: Overview) -> Iterator[str]:
    """Yield the lines: one for all runs, then a table of the groups."""
    yield from _headline(screen, overview)
    if any(overview.days):
        yield f"{screen.sparkline(list(overview.days))}  {screen.style(f'the last {len(overview.days)} days', 'dim')}"
    yield ""
    yield from table_lines(screen, group_columns(screen, overview), overview.groups)


def _headline(screen: Screen, overview: Overview) -> Iterator[str]:
    line: list[str] = []
    used = 0
    for text, style in _headline_parts(screen, overview):
        if used + width_of(text) > screen.width:
            yield "   ".join(line)
            line, used = [], 0
        line.append(screen.style(text, style))
        used += width_of(text) + 3
    yield "   ".join(line)


def _headline_parts(screen: Screen, overview: Overview) -> Iterator[tuple[str, str]]:
    counts = overview.counts
    yield plural(overview.total, "run"), "bold"
    for status in STATUSES_IN_ORDER:
        if counts[status]:
            yield f"{screen.symbol(status)} {counts[status]:,} {status}", status
    if counts["failed"]:
        yield f"{percent_text(overview.failure_rate)} failed", ""
    if overview.pending:
        yield f"{count_text(overview.pending)} to post", ""


def group_columns(screen: Screen, overview: Overview) -> list[Column[Group]]:
    """Return the columns of the table of groups."""
    columns = [
        Column(name=overview.by, value=_key("key"), cell=lambda row: Cell(one_line(row["key"] or "(none)")), least=12),
        _count_column("runs"),
        *(_count_column(status, status) for status in STATUSES_IN_ORDER),
        Column(name="failure_rate", title="fail", value=_key("failure_rate"), cell=_rate, is_right=True, rank=1),
        _duration_column("p50_ms", "median"),
        _duration_column("p95_ms", "p95"),
        *(_sum_column(name) for name in overview.metrics),
        Column(name="days", title=f"last {DAYS} days", value=_key("days"), cell=_days(screen), rank=4, is_piped=False),
    ]
    return columns


def _key(name: str) -> Callable[[Group], Any]:
    return lambda row: row.get(name)


def _count_column(name: str, style: str = "") -> Column[Group]:
    def cell(row: Group) -> Cell:
        return Cell(count_text(row[name]), style) if row[name] else Cell("")

    return Column(
        name=name, value=_key(name), cell=cell, is_right=True, rank=2 if name in ("partial", "running") else 0
    )


def _rate(row: Group) -> Cell:
    return Cell(percent_text(row["failure_rate"]) if row["failed"] else "")


def _duration_column(name: str, title: str) -> Column[Group]:
    def cell(row: Group) -> Cell:
        return Cell(duration_text(row[name]))

    return Column(name=name, title=title, value=_key(name), cell=cell, is_right=True, rank=3 if name == "p95_ms" else 0)


def _sum_column(name: str) -> Column[Group]:
    def value(row: Group) -> Any:
        return row["metrics"].get(name)

    def cell(row: Group) -> Cell:
        return Cell("" if value(row) is None else number_text(value(row)))

    return Column(name=name, value=value, cell=cell, is_right=True)


def _days(screen: Screen) -> Callable[[Group], Cell]:
    def cell(row: Group) -> Cell:
        days = row.get("days") or []
        return Cell(screen.sparkline(days) if any(days) else "", "accent")

    return cell
