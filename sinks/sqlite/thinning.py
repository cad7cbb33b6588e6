"""Take old runs out of a store in steps so small that no agent waits: none holds the write lock for 50 ms."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from ...plugins.care import Progress, nothing_told
from ...plugins.pruning import RunPruned
from .catch_up import EVENTS, RUNS, CatchUp
from .connection import Database
from .opening import Opened
from .pruned import forget_rest, forget_runs, half_pruned
from .shapes import OUR_TABLES, Shape

__all__ = ["Announce", "Thinning", "count_old"]

Announce = Callable[[Sequence[RunPruned]], None]
"""Writes into the journal that these runs are pruned; returns when that is safe."""

# A run that goes on stays, however old. Days compare with times as text, in each of the forms that programs write.
_OLD = "{r}.start_time < :before AND coalesce({r}.end_time, {r}.start_time) < :before AND {r}.status IS NOT 'running'"
_PAGE = """
SELECT start_time, run_id FROM agent_runs AS r
WHERE {old} AND (start_time, run_id) > (:start_time, :run_id) ORDER BY start_time, run_id LIMIT 500
"""
_EVENTS_EACH = """
SELECT run_id, count(*) FROM run_events WHERE run_id IN (SELECT value FROM json_each(?)) GROUP BY run_id
"""
_SOME_NOTES = "DELETE FROM pruned_runs WHERE run_id IN (SELECT run_id FROM pruned_runs WHERE pruned_at < ? LIMIT ?)"
_IDLE = "SELECT writer FROM journal_writers EXCEPT SELECT writer FROM run_extras"
_ROWS_A_RUN = 12  # what a run without events costs, in events
_HELD_S = 0.01  # aimed at: a disk that is busy makes five times as much of it
_WAIT_S = 5.0
_BREATH_S = 0.002
_PAGE_BYTES = 4096


@define
class _Pace:
    """How many rows (or pages of the WAL) the next step takes, by how long the one before held the lock."""

    count: int = 120
    most: int = 3000

    def adapt(self, held_s: float) -> None:
        fitting = int(self.count * _HELD_S / max(held_s, 1e-6))
        self.count = max(1, min(fitting, 2 * self.count, self.most))


@define
class Thinning:
    """
    Delete from the store at *path* all runs that ended before a day.

    The journal is told, then a run goes with its events in one transaction: broken off anywhere, the next call finds
    what is left. Of a run with thousands of events only some go with it, and the others, which nobody sees any more,
    in steps of their own.

    Args:
        before: the day (UTC, `YYYY-MM-DD`).
        announce: tells the journal; None where there is none.

    Attributes:
        runs: how many were deleted.
        events: how many were deleted.
        longest_s: the longest time that a step, or the checkpoint after it, held the write lock.
    """

    path: Path
    journal_dir: Path | None
    before: str
    announce: Announce | None
    progress: Progress = nothing_told
    runs: int = 0
    events: int = 0
    longest_s: float = 0.0
    _pace: _Pace = field(factory=_Pace)
    _wal_pace: _Pace = field(factory=lambda: _Pace(count=64, most=256))

    def run(self) -> None:
        """
        Do it.

        Raises:
            Retryable: somebody else held the store for 5 s.
            StoreError: the store cannot be written, or the journal not be told.
        """
        database = Database(self.path)
        try:
            self._catch_up(database, RUNS)
            with database.reading() as opened:
                left = half_pruned(opened.connection) if opened.shape.tables >= OUR_TABLES else []
            for run_id in left:  # by a call that was killed
                self._delete_rest(database, run_id)
            self._prune(database)
            # Before days of the journal are deleted: what is not old there, of a run that goes on, is to be kept.
            self._catch_up(database, EVENTS)
            self._clear_notes(database)
        finally:
            database.close()

    def _catch_up(self, database: Database, kind: str) -> None:
        if self.journal_dir is not None:
            CatchUp(database, self.journal_dir, wait_s=_WAIT_S).run(kind)

    def _prune(self, database: Database) -> None:
        with database.reading() as opened:
            total = _count(opened, self.before)
        for page in self._pages(database):
            for ids, events in self._batches(database, page):
                most = self._pace.count
                self._delete_runs(database, ids, most)
                if events > most:
                    self._delete_rest(database, ids[0])
                self.progress("pruning runs", self.runs, total)

    def _batches(self, database: Database, page: list[str]) -> Iterator[tuple[list[str], int]]:
        """Yield runs that one step can take, with the count of their events; one that has too many stands alone."""
        with database.reading() as opened:
            counts = dict(opened.connection.execute(_EVENTS_EACH, (json.dumps(page),)).fetchall())
        ids: list[str] = []
        events = 0
        for run_id in page:
            more = counts.get(run_id, 0)
            if ids and (len(ids) + 1) * _ROWS_A_RUN + events + more > self._pace.count:
                yield ids, events
                ids, events = [], 0
            ids.append(run_id)
            events += more
        yield ids, events

    def _delete_runs(self, database: Database, ids: list[str], most_events: int) -> None:
        pruned = [RunPruned(run_id=run_id, before=self.before) for run_id in ids]
        if self.announce is not None:
            self.announce(pruned)
        self.events += self._step(database, self._pace, forget_runs, pruned, most_events)
        self.runs += len(ids)

    def _pages(self, database: Database) -> Iterator[list[str]]:
        last = {"before": self.before, "start_time": "", "run_id": ""}
        while True:
            with database.reading() as opened:
                page = opened.connection.execute(_PAGE.format(old=_old(opened.shape)), last).fetchall()
            if not page:
                return
            yield list(dict.fromkeys(run_id for _, run_id in page))
            last["start_time"], last["run_id"] = page[-1]

    def _delete_rest(self, database: Database, run_id: str) -> None:
        deleted = asked = 0
        while deleted == asked:
            asked = self._pace.count
            deleted = self._step(database, self._pace, forget_rest, run_id, asked)
            self.events += deleted

    def _clear_notes(self, database: Database) -> None:
        """Forget what was pruned so long ago that the journal, too, knows of it no more; and writers without runs."""
        pace = _Pace(count=500)
        cleared = asked = 0
        while cleared == asked:
            asked = pace.count
            cleared = self._step(database, pace, _delete_notes, self.before, asked)
        with database.reading() as opened:
            idle = opened.connection.execute(_IDLE).fetchall()
        for some in _chunks(idle, pace):
            self._step(database, pace, _delete_writers, some)

    def _step(self, database: Database, pace: _Pace, act: Callable[..., int], *args: Any) -> int:
        with database.writing(_WAIT_S) as opened:
            began = time.monotonic()
            count = act(opened.connection, *args)
        held_s = time.monotonic() - began
        pace.adapt(held_s)
        checkpoint_s = self._checkpoint(database)
        self.longest_s = max(self.longest_s, held_s, checkpoint_s)
        # The quickest would take the lock again and again. Free for as long as it was held, it is found free by
        # somebody who polls: of 1,000 waits of another program 50 were longer than 50 ms before, now none.
        time.sleep(max(_BREATH_S, held_s, checkpoint_s))
        return count

    def _checkpoint(self, database: Database) -> float:
        """Keep the WAL short; return for how long that kept writers out."""
        database.checkpoint_s = 0.0
        database.checkpoint(_WAIT_S, least_bytes=self._wal_pace.count * _PAGE_BYTES)
        if database.checkpoint_s:
            self._wal_pace.adapt(database.checkpoint_s)
        return database.checkpoint_s


def _delete_notes(connection: sqlite3.Connection, before: str, count: int) -> int:
    return connection.execute(_SOME_NOTES, (before, count)).rowcount


def _delete_writers(connection: sqlite3.Connection, writers: Sequence[tuple[str]]) -> int:
    return connection.executemany("DELETE FROM journal_writers WHERE writer = ?", writers).rowcount


def _chunks(rows: list[Any], pace: _Pace) -> Iterator[list[Any]]:
    start = 0
    while start < len(rows):
        count = pace.count
        yield rows[start : start + count]
        start += count


def _old(shape: Shape) -> str:
    """Return the condition for a run `r` of which nothing is to be kept."""
    old = _OLD.format(r="r")
    if shape.is_run_id_unique:
        return old
    # A shape of v7 has several rows a run, of which a young one keeps the others.
    return (
        f"{old} AND NOT EXISTS (SELECT 1 FROM agent_runs AS n WHERE n.run_id = r.run_id AND NOT ({_OLD.format(r='n')}))"
    )


def _count(opened: Opened, before: str) -> int:
    if "agent_runs" not in opened.shape.tables:
        return 0
    sql = f"SELECT count(DISTINCT r.run_id) FROM agent_runs AS r WHERE {_old(opened.shape)}"
    (count,) = opened.connection.execute(sql, {"before": before}).fetchone()
    return int(count)


def count_old(opened: Opened, before: str) -> tuple[int, int, int]:
    """Return how many runs ended before that day, how many events they have, and how many old runs go on."""
    if "agent_runs" not in opened.shape.tables:
        return 0, 0, 0
    old = _old(opened.shape)
    events = f"SELECT count(*) FROM run_events WHERE run_id IN (SELECT run_id FROM agent_runs AS r WHERE {old})"
    kept = f"SELECT count(*) FROM agent_runs AS r WHERE r.start_time < :before AND NOT ({old})"
    counts = [opened.connection.execute(sql, {"before": before}).fetchone()[0] for sql in (events, kept)]
    return _count(opened, before), counts[0], counts[1]
