"""Write the end of runs whose process died in the middle: the cause as far as it is known, and when last seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from ..plugins.records import RunRecord
from ..plugins.store import RunQuery, RunStore
from .liveness import Dead, dead_processes, living_adoptions
from .machine import cause_of_death

__all__ = ["judge"]

_log = logging.getLogger("telemetry.verdicts")


def judge(folder: Path, open_store: Callable[[], RunStore], publish: Callable[[RunRecord], Any]) -> int:
    """
    Publish a verdict on each run whose process is gone, and return how many.

    A run that another living process has adopted is left alone. The true owner's end, should it still come, wins
    over a verdict. Costs a look into one folder when nobody died.

    Args:
        folder: the folder of all claims, `{base}/state/live`.
        open_store: opens a store that is up to date with the journal; called only when somebody died.
        publish: takes the run as it ended; returns when it is safe.
    """
    count = 0
    for dead in dead_processes(folder):
        adopted = living_adoptions(folder, dead.path)
        store = open_store()
        try:
            count += _judge_one(dead, adopted, store, publish)
        finally:
            store.close()
        # Only now: had we died before, the next who looks would find the claim and write the verdicts again.
        if not adopted:
            dead.path.unlink(missing_ok=True)
    return count


def _judge_one(dead: Dead, adopted: set[str], store: RunStore, publish: Callable[[RunRecord], Any]) -> int:
    runs = [run for run in _open_runs(dead, store) if run.run_id not in adopted]
    for run in runs:
        ended = _verdict(run, dead, store)
        publish(ended)
        _log.info("run %s is dead: %s", run.run_id, ended.status_detail)
    return len(runs)


def _open_runs(dead: Dead, store: RunStore) -> Iterator[RunRecord]:
    answered_for = set(dead.facts.get("adopted") or ())
    for run in store.runs(RunQuery(status="running", limit=None)):
        if run.writer == dead.writer or run.run_id in answered_for:
            yield run


def _verdict(run: RunRecord, dead: Dead, store: RunStore) -> RunRecord:
    cause = cause_of_death(dead.facts)
    pid = dead.facts.get("pid", "unknown")
    return attrs.evolve(
        run,
        status="failed",
        verdict=True,
        status_detail=cause,
        error_summary=run.error_summary or f"the process (pid {pid}) died in mid run: {cause}",
        end_time=_last_evidence(run, store),
        duration_ms=None,
    )


def _last_evidence(run: RunRecord, store: RunStore) -> str:
    # Times are text of one form, so the latest is the greatest.
    latest = run.start_time
    for event in store.events(run.run_id):
        latest = max(latest, event.timestamp)
    return latest
