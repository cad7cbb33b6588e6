"""Bring waiting records into the store, in order and in batches; what fails is tried again, given up, or healed."""

from __future__ import annotations

import time

from ...plugins.commit_link import CommitLink
from ...plugins.errors import Refused, Retryable, StoreError
from ...plugins.policies import RetryPolicy
from ...plugins.records import DeliveryReport, RunRecord
from .commits import save_commit
from .connection import CHECKPOINT_BYTES, Damaged, Database, Opened
from .healing import Healer
from .pending import Line, Pending
from .pruned import is_late
from .turns import Turn, Turns
from .writes import write_delivery, write_run

__all__ = ["LONGEST_WAL", "Drain", "store"]

LONGEST_WAL = 2 * CHECKPOINT_BYTES
"""From here on only batches are written, until a reader lets the WAL be begun anew: they touch each page once."""

_BATCH = 100
_HELPED = 16
_MANY = 1000
_LOCK_WAIT_S = 0.25
_HELP_WAIT_S = 0.001
_CHECKPOINT_WAIT_S = 0.05
_WAL_PAUSE_S = 0.05
_WAL_PAUSES = 10
_BUSY_PAUSE_S = 0.01


class Drain:
    """
    The way from `Pending` into the store, one bounded step at a time; whichever thread comes first does it.

    Args:
        retry: the pauses between tries of one batch.
    """

    def __init__(self, database: Database, pending: Pending, healer: Healer, retry: RetryPolicy) -> None:
        self._database = database
        self._pending = pending
        self._healer = healer
        self._retry = retry
        self._turns = Turns()
        self._attempts = 0
        self._retry_at = 0.0
        self._singly = 0
        self._wal_pauses = 0
        self._is_damage_seen = False

    def step(self, *, is_hurried: bool = False) -> float | None:
        """
        Do one piece of work; return the seconds until the next, None when nothing is left.

        Args:
            is_hurried: do not keep to the pauses between tries.
        """
        turn = Turn()
        try:
            return self._work(is_hurried) if self._turns.take(turn, 0.0) else _BUSY_PAUSE_S
        except Damaged as error:
            return self._set_aside(error)
        finally:
            self._turns.give_back(turn)

    def help(self, wait_s: float) -> None:
        """
        Write some waiting records in the caller's thread; when many wait, the caller waits *wait_s* seconds for that.

        A caller that only adds to the queue outruns the worker, which shares the interpreter with it: of 18,000
        calls in a row 7,700 were left to the journal. While the store is locked by others nobody waits.
        """
        if self._retry_at > time.monotonic() or self._database.wal.reaches(LONGEST_WAL):
            return
        turn = Turn()
        try:
            if self._turns.take(turn, wait_s if len(self._pending) > _MANY else 0.0):
                self._drain(_HELPED, _HELP_WAIT_S)
        except (Retryable, StoreError):
            pass  # a try of 1 ms does not count as one: the worker meets the fault again, and deals with it
        finally:
            self._turns.give_back(turn)

    def _work(self, is_hurried: bool) -> float | None:
        if len(self._pending):
            wait_s = self._retry_at - time.monotonic()
            return wait_s if wait_s > 0 and not is_hurried else self._try()
        pause_s = self._healer.step(is_hurried=is_hurried)
        if pause_s is not None:
            return self._healed(pause_s)
        return None if self._database.checkpoint(_CHECKPOINT_WAIT_S) else _WAL_PAUSE_S

    def _healed(self, pause_s: float) -> float:
        if self._healer.fault is None:
            self._recover()
        else:
            self._pending.complain(self._healer.fault)
            self._pending.rest(pause_s)
        return pause_s

    def _try(self) -> float:
        if self._waits_for_reader():
            return _WAL_PAUSE_S
        try:
            return self._drain(_BATCH, _LOCK_WAIT_S)
        except Damaged:
            raise
        except (Retryable, StoreError) as error:
            return self._postpone(error)

    def _drain(self, count: int, wait_s: float) -> float:
        batch = self._pending.first(1 if self._singly else count)
        if not batch:
            return 0.0
        try:
            with self._database.writing(wait_s) as opened:
                for line in batch:
                    store(opened, line, is_journaled=self._pending.has_journal)
        except Refused as error:
            self._refuse(batch, error)
        else:
            self._pending.take_off(batch)
            self._pending.counts.written += len(batch)
            self._singly = max(0, self._singly - 1)
            self._recover()
        return 0.0

    def _waits_for_reader(self) -> bool:
        """Whether the WAL is long and a reader keeps it so; after half a second it grows all the same, by a batch."""
        if self._database.checkpoint(_CHECKPOINT_WAIT_S) or not self._database.wal.reaches(LONGEST_WAL):
            self._wal_pauses = 0
            return False
        self._wal_pauses = (self._wal_pauses + 1) % _WAL_PAUSES
        return self._wal_pauses > 0

    def _recover(self) -> None:
        self._attempts, self._retry_at, self._is_damage_seen = 0, 0.0, False
        self._pending.recover()

    def _refuse(self, batch: list[Line], error: Refused) -> None:
        if len(batch) > 1:
            self._singly = len(batch)  # one by one from here on, so that only the one at fault is left out
        else:
            self._singly = max(0, self._singly - 1)
            self._pending.refuse(batch[0], error)

    def _postpone(self, error: Retryable | StoreError) -> float:
        self._attempts += 1
        pause_s = self._retry.wait_s(self._attempts)
        if pause_s is None:
            self._pending.complain(error)
            pause_s = self._give_up()
        self._retry_at = time.monotonic() + pause_s
        return pause_s

    def _give_up(self) -> float:
        """Leave what waits to the journal and let the store rest; where there is no journal it goes on waiting."""
        self._attempts = 0
        pause_s = self._healer.rest_s()
        if self._pending.has_journal:
            self._pending.give_up()
            self._pending.rest(pause_s)
            self._healer.call(pause_s)
        return pause_s

    def _set_aside(self, error: Damaged) -> float:
        # Once may be the connection (another process had just replaced the file); twice in a row is the file.
        if not self._is_damage_seen:
            self._is_damage_seen = True
            return 0.0
        try:
            target = self._database.quarantine(_LOCK_WAIT_S)
        except (Retryable, StoreError) as failure:
            return self._postpone(failure)
        self._is_damage_seen = False
        if target is not None:
            self._pending.counts.quarantined += 1
            self._pending.complain(
                StoreError(f"{error}; it is set aside as {target.name} and rebuilt from the journal")
            )
        self._healer.call()
        return 0.0


def store(opened: Opened, line: Line, *, is_journaled: bool) -> None:
    """Write one record into the open transaction; one that comes late for a run that was pruned is left out."""
    is_start = isinstance(line, RunRecord) and line.is_running
    if not is_start and is_late(opened.connection, line):
        return
    if isinstance(line, RunRecord):
        write_run(opened.connection, opened.shape, line, is_journaled=is_journaled)
    elif isinstance(line, DeliveryReport):
        write_delivery(opened.connection, opened.shape, line)
    elif isinstance(line, CommitLink):
        save_commit(opened.connection, line)
