"""Write each record at once if nobody is in the way; else it waits, in order, behind a caller that does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs

from ...plugins.errors import Retryable, StoreError
from ...plugins.policies import RetryPolicy
from ...plugins.worker import Worker
from .connection import Database, Opened
from .draining import LONGEST_WAL, Drain, store
from .healing import Healer
from .pending import Line, Pending

__all__ = ["Backlog"]

_LAST_MOMENT_S = 0.05
_POLL_S = 0.005
# Between two batches the others get their chance: of 8 processes that hammered one store the quickest took the lock
# again and again, and one gave up.
_BREATH_S = 0.001


class Backlog:
    """
    The way of each record into one store.

    Args:
        wait_s: how long the caller may be held for a lock.
        limit: how many records may wait behind the caller.
        is_behind: every record waits for the worker, also when nobody is in the way.
    """

    def __init__(
        self,
        database: Database,
        journal_dir: Path | None,
        retry: RetryPolicy,
        *,
        wait_s: float,
        limit: int,
        is_behind: bool,
    ) -> None:
        self._database = database
        self._journal_dir = journal_dir
        self._retry = retry
        self._wait_s = wait_s
        self._limit = limit
        self._is_behind = is_behind
        self.expects_new_store = False
        # A step that outlives close() has the connection opened anew, which nobody else is left to close.
        self._worker = Worker(self._step_behind, "sqlite", at_end=database.close)
        self.renew()

    def renew(self) -> None:
        """Begin with nothing to do: at first, and in the child of a fork, which leaves its parent's work alone."""
        self._pending = Pending(str(self._database.path), self._limit, self._journal_dir is not None)
        self._healer = Healer(self._database, self._journal_dir)
        self._drain = Drain(self._database, self._pending, self._healer, self._retry)
        self._is_wal_long = False

    def _step_behind(self) -> float | None:
        pause_s = self._drain.step()
        if pause_s == 0.0:
            time.sleep(_BREATH_S)
        return pause_s

    def put(self, line: Line) -> None:
        """
        Write *line* now if that takes no waiting, else let it wait behind the caller.

        Raises:
            Refused: the store will never take this record.
        """
        if self._is_behind or self._pending.is_resting or len(self._pending) or self._is_wal_held():
            return self._defer(line)
        try:
            with self._database.writing_one(self._wait_s) as opened:
                store(opened, line, is_journaled=self._journal_dir is not None)
                is_full = self._database.is_wal_full()
        except (Retryable, StoreError):
            return self._defer(line)  # the worker tries again, and says what is wrong if it stays so
        self._pending.counts.written += 1
        self._look_after(opened, is_full)

    def _look_after(self, opened: Opened, is_full: bool) -> None:
        if is_full:
            self._is_wal_long = self._database.wal.reaches(LONGEST_WAL)
            self._worker.wake()
        if not opened.is_wal:
            self._is_behind = True  # each commit syncs twice there, and a sync may take 20 ms
        if self._database.was_created:
            self._heal_new_store()

    def _is_wal_held(self) -> bool:
        if self._is_wal_long:
            self._is_wal_long = self._database.wal.reaches(LONGEST_WAL)
        return self._is_wal_long

    def _heal_new_store(self) -> None:
        self._database.was_created = False
        is_expected, self.expects_new_store = self.expects_new_store, False
        if not is_expected:
            self.heal(0.0, is_urgent=True)

    def _defer(self, line: Line) -> None:
        if self._pending.add(line):
            self._worker.wake()
            if not self._is_behind:
                self._drain.help(self._wait_s)
        elif self._journal_dir is not None and not self._healer.is_called:
            self.heal(0.0, is_urgent=True)

    def heal(self, delay_s: float, *, is_urgent: bool) -> None:
        """Catch up with the journal in *delay_s* seconds, behind the caller."""
        self._healer.call(delay_s, is_urgent=is_urgent)
        if self._healer.is_called:
            self._worker.wake()

    def flush(self, deadline_s: float) -> bool:
        """Bring everything into the store within *deadline_s* seconds; return whether nothing is left."""
        end = time.monotonic() + deadline_s
        while is_open := bool(len(self._pending)) or self._healer.is_urgent:
            left_s = end - time.monotonic()
            if left_s <= 0:
                break
            # In this thread too: at interpreter shutdown no other one can be started.
            pause_s = self._drain.step(is_hurried=True)
            time.sleep(min(_BREATH_S if pause_s == 0.0 else _POLL_S, left_s))
        return not is_open

    def close(self, deadline_s: float) -> None:
        """Flush, then let go of thread and connection."""
        end = time.monotonic() + deadline_s
        is_empty = self.flush(deadline_s)
        self._worker.close(max(_LAST_MOMENT_S, end - time.monotonic()))
        if not is_empty:
            self._pending.give_up()
        self._database.close()

    def facts(self) -> dict[str, Any]:
        """Return what `client.status()` shows of the store."""
        fault = self._pending.fault
        return {
            "path": str(self._database.path),
            "is_healthy": fault is None,
            "fault": None if fault is None else str(fault),
            "queued": len(self._pending),
            "is_catching_up": self._healer.is_urgent,
            "wal_bytes": self._database.wal.used_bytes(),
            **attrs.asdict(self._pending.counts),
        }
