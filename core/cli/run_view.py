"""Say how a run looks in a list: its columns on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ...plugins.records import RunRecord
from .screen import Screen
from .table import Cell, Column
from .words import age_text, clock_text, count_text, duration_text, figure_text, short_id

__all__ = ["STATUSES_IN_ORDER", "duration_of", "note_of", "run_columns", "status_cell"]

STATUSES_IN_ORDER = ("success", "failed", "partial", "running")
_PIPED_ONLY = ("end_time", "items_discovered", "items_succeeded", "items_failed", "parent_run_id")


def run_columns(screen: Screen, metrics: Sequence[str] = ()) -> list[Column[RunRecord]]:
    """
    Return the columns of a list of runs.

    Args:
        metrics: names of metrics that get a column each.
    """
    now = screen.now()
    columns: list[Column[RunRecord]] = [
        Column(name="run_id", title="run", value=lambda run: run.run_id, cell=_short_id),
        Column(name="agent", value=_getter("agent_name"), least=12),
        Column(name="job", value=_getter("job_type"), least=14, rank=2),
        Column(name="status", value=lambda run: run.status, cell=partial(status_cell, screen)),
        Column(name="started", value=lambda run: run.start_time, cell=partial(_clock, now), rank=4),
        Column(name="ago", title="", value=_nothing, cell=partial(_age, now), alone="started", is_piped=False),
        Column(
            name="duration_ms", title="took", value=_getter("duration_ms"), cell=partial(_duration, now), is_right=True
        ),
        Column(name="items", value=_nothing, cell=lambda run: Cell(_items(run)), is_right=True, rank=5, is_piped=False),
    ]
    columns += [_metric_column(name) for name in metrics]
    columns += [Column(name=name, value=_getter(name), is_shown=False) for name in _PIPED_ONLY]
    columns.append(Column(name="note", value=note_of, style="dim", least=26, scant=12, rank=3))
    return columns


def status_cell(screen: Screen, run: RunRecord) -> Cell:
    """Return the status of a run with its sign, in its colour."""
    return Cell(screen.status(run.status), run.status)


def duration_of(run: RunRecord, now: datetime) -> float | None:
    """Return how long a run took, or has taken so far, in milliseconds; None when that is not known."""
    if run.duration_ms is not None or not run.is_running:
        return run.duration_ms
    try:
        return max(0.0, (now - run.started_at).total_seconds() * 1000)
    except ValueError:
        return None  # another program's time that is no time


def note_of(run: RunRecord) -> str:
    """Return the most telling sentence of a run: its error, how it came to its end, or what came out."""
    if run.verdict and run.status_detail:
        return run.status_detail  # the summary says the same in more words
    return run.error_summary or run.status_detail or run.output_summary or ""


def _clock(now: datetime, run: RunRecord) -> Cell:
    return Cell(clock_text(run.start_time, now))


def _age(now: datetime, run: RunRecord) -> Cell:
    return Cell(age_text(run.start_time, now), "dim")


def _duration(now: datetime, run: RunRecord) -> Cell:
    return Cell(duration_text(duration_of(run, now)), "running" if run.is_running else "")


def _items(run: RunRecord) -> str:
    if not (run.items_discovered or run.items_succeeded or run.items_failed):
        return ""
    done = count_text(run.items_succeeded)
    return f"{done}/{count_text(run.items_discovered)}" if run.items_discovered else done


def _metric_column(name: str) -> Column[RunRecord]:
    def value(run: RunRecord) -> Any:
        return run.metrics.get(name)

    def cell(run: RunRecord) -> Cell:
        return Cell("" if value(run) is None else figure_text(value(run)))

    return Column(name=name, value=value, cell=cell, is_right=True, least=6, rank=1)


def _getter(name: str) -> Callable[[RunRecord], Any]:
    return lambda run: getattr(run, name)


def _nothing(run: RunRecord) -> None:
    """Stand for the value of a column that is for the eye only."""


def _short_id(run: RunRecord) -> Cell:
    return Cell(short_id(run.run_id), "bold")
