"""Write the end of runs whose process died in the middle: the cause as far as it is known, and when last seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from ..plugins.errors import Retryable
from ..plugins.merge import fold
from ..plugins.records import RunRecord
from ..plugins.store import RunQuery, RunStore
from .liveness import Dead, dead_processes
from .machine import cause_of_death

__all__ = ["judge"]

_log = logging.getLogger("telemetry.verdicts")


def judge(folder: Path, open_store: Callable[[], RunStore], publish: Callable[[RunRecord], Any]) -> int:
    """
    Publish a verdict on each run whose process is gone, and return how many.

    A run that a living process has started or adopted is left alone. The true owner's end, should it still come,
    wins over a verdict. Costs a look into one folder when nobody died.

    Args:
        folder: the folder of all claims, `{base}/state/live`.
        open_store: opens a store that is up to date with the journal; called only when somebody died.
        publish: takes the run as it ended; returns when it is safe.

    Raises:
        Retryable: the store lacks what the journal has since; nobody is judged, and no claim is gone.
    """
    with closing(dead_processes(folder)) as dead_ones:
        first = next(dead_ones, None)
        if first is None:
            return 0
        with closing(open_store()) as store:
            _need_all(store)
            # Asked once, for all: whoever is dead here was so before.
            writers = {run.run_id: run.writer for run in store.runs(RunQuery(status="running", limit=None))}
            count = _judge_one(first, writers, store, publish)
            return count + sum(_judge_one(dead, writers, store, publish) for dead in dead_ones)


def _need_all(store: RunStore) -> None:
    # A run that it does not know yet, while it is locked, say, would lose its claim and never be judged.
    is_up_to_date = getattr(store, "is_up_to_date", None)
    if is_up_to_date is not None and not is_up_to_date():
        raise Retryable("the store lacks what the journal has since; the dead are judged once it is there")


def _judge_one(
    dead: Dead, writers: Mapping[str, str | None], store: RunStore, publish: Callable[[RunRecord], Any]
) -> int:
    answered_for = _answered_for(dead, writers)
    orphans = [store.get_run(run_id) for run_id in answered_for if run_id not in dead.others.adopted]
    # Asked anew: another reader may have judged it, and died before it removed the claim.
    runs = [run for run in orphans if run is not None and run.is_running]
    for run in runs:
        ended = _verdict(run, dead, store)
        publish(ended)
        _log.info("run %s is dead: %s", run.run_id, ended.status_detail)
    # Only now: had we died before, the next who looks would find the claim and write the verdicts again.
    if len(orphans) == len(answered_for):
        dead.path.unlink(missing_ok=True)
    return len(runs)


def _answered_for(dead: Dead, writers: Mapping[str, str | None]) -> list[str]:
    """Return the open runs of *dead*: its own, and those that it adopted from one who has no claim any more."""
    own = [run_id for run_id, writer in writers.items() if writer == dead.writer]
    # One who has a claim answers for it: alive as ever, or dead and judged like this one.
    strays = [run_id for run_id in dead.adopted if writers.get(run_id) not in dead.others.claimed]
    return own + [run_id for run_id in strays if run_id in writers]


def _verdict(run: RunRecord, dead: Dead, store: RunStore) -> RunRecord:
    cause = cause_of_death(dead.facts)
    pid = dead.facts.get("pid", "unknown")
    ended = attrs.evolve(
        run,
        status="failed",
        verdict=True,
        status_detail=cause,
        error_summary=run.error_summary or f"the process (pid {pid}) died in mid run: {cause}",
        end_time=_last_evidence(run, store),
        duration_ms=None,
        # When the row was made is the store's own affair, in a form of its own; no other line tells it.
        created_at=None,
        updated_at=None,
    )
    return fold(None, ended)  # as each store would: with the duration, if start and end are times


def _last_evidence(run: RunRecord, store: RunStore) -> str:
    # Times are text of one form, so the latest is the greatest.
    return max(run.start_time, _last_line(run, store) or _last_event(run, store))


def _last_line(run: RunRecord, store: RunStore) -> str | None:
    """Return when the last line about the run was written, None where the store has no journal that tells."""
    last_sign = getattr(store, "last_sign", None)
    return None if last_sign is None else last_sign(run)


def _last_event(run: RunRecord, store: RunStore) -> str:
    return max((event.timestamp for event in store.events(run.run_id)), default=run.start_time)
