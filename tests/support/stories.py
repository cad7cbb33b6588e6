"""Tell the same small story to every store, and ask each the same questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from telemetry.plugins import RunQuery, RunRecord, RunStore

__all__ = ["NO_ANSWERS", "answers_of", "ids", "moment", "three_runs"]

NO_ANSWERS = [[], [], None, [], [], [], 0]
"""What `answers_of()` returns where nothing was recorded."""


def moment(second: int) -> str:
    """Return the time that lies *second* seconds after the start of the story."""
    minutes, seconds = divmod(second, 60)
    return f"2026-11-23T10:{minutes:02}:{seconds:02}.000000+00:00"


def three_runs(a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord]) -> list[RunRecord]:
    """Return the three runs of the story, the oldest first."""
    return [
        ended(a_run(run_id="r1", start_time=moment(1), metrics={"tokens": 10}), status="failed"),
        ended(a_run(run_id="r2", start_time=moment(2), agent_name="parser", parent_run_id="r1")),
        a_run(run_id="r3", start_time=moment(3), job_type="index"),
    ]


def ids(runs: Any) -> list[str]:
    """Return the ids of *runs*."""
    return [run.run_id for run in runs]


def answers_of(store: RunStore) -> list[Any]:
    """Return what *store* answers to one question of each kind."""
    return [
        list(store.runs(RunQuery())),
        list(store.events()),
        store.get_run("r1"),
        store.find_ids("r"),
        store.commits("r1"),
        store.summary("agent", RunQuery()),
        store.stats()["total_runs"],
    ]
