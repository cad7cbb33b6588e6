"""Hold one connection to one store for one process: opened when needed, locked, and never carried across a fork."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from ...plugins.errors import Retryable, StoreError
from . import forks, opening
from .faults import Damaged
from .file_lock import FileLock
from .opening import Opened
from .quarantine import set_aside
from .transaction import Transaction
from .turns import Turn, Turns
from .wal import Wal

__all__ = ["CHECKPOINT_BYTES", "Damaged", "Database", "Opened", "Transaction"]

CHECKPOINT_BYTES = 1000 * 4096
"""How long the WAL may grow before it is written back into the file."""

_WAIT_S = 5.0
_LOOK_EVERY_S = 1.0
_CHECKPOINT_BUSY_MS = 10
_FORK_WAIT_S = 1.0
_FORK_POLL_S = 0.001
_given_up: list[Opened] = []


class Database:
    """
    The connection of this process to one store.

    Threads may share it; each call waits a bounded time for the others. `writing()` also locks out our other
    processes, by a side file: SQLite 3.7.0 to 3.51.2 can lose a commit that meets the reset of the WAL by another
    process, so commits and checkpoints happen under one lock. The connection is closed before a fork: a child that
    inherits it holds no lock in the kernel while its SQLite believes that it does.

    Args:
        path: of the database file.
        is_read_only: open with `mode=ro`: nothing is created, migrated or locked, and `writing()` is refused.

    Attributes:
        was_created: this object made the file or its tables; whoever rebuilds it sets this back to False.
        wal: the WAL beside the file.
        checkpoint_s: for how long the last checkpoint kept our other writers out.
    """

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.path = path
        self.is_read_only = is_read_only
        self.was_created = False
        self.wal = Wal(f"{path}-wal")
        self.checkpoint_s = 0.0
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))
        self._opened: Opened | None = None
        self._identity: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._lost_by = ""
        self._is_parked = False
        self._turns = Turns()
        forks.watch(self)

    def writing(self, wait_s: float) -> Transaction:
        """
        Return a context that lends the connection inside a transaction: committed at its end, or rolled back.

        Entering raises:
            Retryable: a lock was not to be had within *wait_s* seconds; nothing was done.
            Damaged: the file is no database any more.
            StoreError: the file cannot be opened or written.
        """
        return Transaction(self, wait_s, is_writing=True)

    def writing_one(self, wait_s: float) -> Transaction:
        """
        Return the same without a transaction around it: for one call of `write_*`, each of which is whole by itself.

        BEGIN and COMMIT cost 4 us, a tenth of the INSERT between them.
        """
        return Transaction(self, wait_s, is_writing=True, begins=False)

    def reading(self, wait_s: float = _WAIT_S) -> Transaction:
        """Return a context that lends the connection for queries; other threads wait, so fetch and let go."""
        return Transaction(self, wait_s, is_writing=False)

    def take(self, turn: Turn, wait_s: float) -> None:
        """Take the connection for *turn*, waiting *wait_s* seconds at most; `Transaction` calls it."""
        end = time.monotonic() + wait_s
        self._take(turn, wait_s)
        while self._is_parked:
            # A fork takes some milliseconds. Nobody may have the turn meanwhile: the child would find it taken.
            self._turns.give_back(turn)
            if time.monotonic() >= end:
                raise Retryable(f"{self.path} is closed while this process forks")
            time.sleep(_FORK_POLL_S)
            self._take(turn, max(0.0, end - time.monotonic()))

    def _take(self, turn: Turn, wait_s: float) -> None:
        if not self._turns.take(turn, wait_s):
            raise Retryable(f"{self.path} is in use by another thread of this process")
        if self._turns.was_lost:
            self.drop()
            self._turns.was_lost = False

    def give_back(self, turn: Turn | None) -> None:
        """Let the next thread take the connection, if *turn* has it."""
        self._turns.give_back(turn)

    def lock_file(self, wait_s: float) -> None:
        """Lock out the writers in our other processes; the connection must be taken."""
        if not self._lock.acquire(wait_s):
            raise Retryable(f"{self.path} is being written by another process")

    def unlock_file(self) -> None:
        """Let the writers in other processes in again."""
        self._lock.release()

    def opened(self, wait_s: float) -> Opened:
        """Return the open connection; the file is looked for again at most once a second. It must be taken."""
        if self._opened is not None and self._lock.is_lost:
            self.drop()
        if self._lost_by:
            raise StoreError(f"{self.path} was in use while {self._lost_by}; the journal keeps its records")
        now = time.monotonic()
        if self._opened is not None and now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            if opening.identity_of(self.path) != self._opened.identity:
                self.drop()  # deleted or replaced under us: what is written there nobody would find
        if self._opened is None:
            self._looked_at = now
            self._identity = opening.identity_of(self.path)
            self._opened = self._open(wait_s)
            self._identity = self._opened.identity
        return self._opened

    def _open(self, wait_s: float) -> Opened:
        if self.is_read_only:
            return opening.open_for_reading(self.path)
        opened = opening.open_for_writing(self.path, self._lock, wait_s)
        self.was_created |= opened.is_new
        return opened

    def drop(self) -> None:
        """Close the connection, and open it anew with the next use; it must be taken."""
        opened, self._opened = self._opened, None
        self.wal.close()
        if opened is not None and self._lock.is_lost:
            # SQLite's descriptors are lost with it: what it wrote or closed by them would be files of the agent's.
            _given_up.append(opened)
            self._lost_by = "this process closed all its files"
        elif opened is not None:
            opened.connection.close()
        self._lock.close()

    def is_wal_full(self) -> bool:
        """Whether the WAL is due to be written back; the connection must be taken."""
        return self.wal.is_full(CHECKPOINT_BYTES)

    def checkpoint(self, wait_s: float, *, least_bytes: int = CHECKPOINT_BYTES) -> bool:
        """
        Write the WAL back into the file if it has *least_bytes*, and begin it anew; return whether it is short now.

        A reader inside a transaction keeps the WAL from being begun anew; then another call does it later.
        """
        if not self.wal.reaches(least_bytes):
            return True
        try:
            with self.reading(wait_s) as opened:
                self._checkpoint(opened.connection, wait_s, least_bytes)
        except (Retryable, StoreError):
            return False
        return not self.wal.reaches(least_bytes)

    def _checkpoint(self, connection: sqlite3.Connection, wait_s: float, least_bytes: int) -> None:
        self.lock_file(wait_s)
        began = time.monotonic()
        try:
            if self.wal.reaches(least_bytes):
                connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_BUSY_MS}")
                # RESTART holds SQLite's own lock while it writes and syncs; PASSIVE leaves it little to do. Another
                # program waited up to 431 ms (p99) for a store that is being pruned, with this 21.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                # Not TRUNCATE: to write over the pages of a file takes 75 us a run, to make it longer anew takes 100.
                is_held, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
                if not is_held:
                    self._begin_wal(connection)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {opening.BUSY_MS}")
            self.unlock_file()
            self.checkpoint_s = time.monotonic() - began

    def _begin_wal(self, connection: sqlite3.Connection) -> None:
        # The first commit of each round syncs the WAL's head, 0.2 to 20 ms: here, and not in an agent's next call.
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {number}")

    def quarantine(self, wait_s: float) -> Path | None:
        """
        Set the damaged file aside and return its new path; None when another process has done so already.

        Raises:
            Retryable: a lock was not to be had within *wait_s* seconds.
            StoreError: the file cannot be renamed.
        """
        turn = Turn()
        try:
            self.take(turn, wait_s)
            return self._set_aside(wait_s)
        except OSError as error:
            raise StoreError(f"{self.path} is damaged and cannot be set aside: {error}") from error
        finally:
            self.give_back(turn)

    def _set_aside(self, wait_s: float) -> Path | None:
        self.drop()
        self.lock_file(wait_s)
        try:
            found = opening.identity_of(self.path)
            return set_aside(self.path) if found is not None and found == self._identity else None
        finally:
            self._lock.close()

    def park(self) -> None:
        """Close the connection because the process is about to fork; nobody opens it until `unpark()`."""
        self._close(_FORK_WAIT_S, parks=True)

    def unpark(self) -> None:
        """Go on in the parent after a fork."""
        self._is_parked = False

    def renew(self) -> None:
        """Start anew in the child of a fork."""
        self._is_parked = False
        self._turns = Turns()
        self._lock.abandon()
        self.wal.close()
        if self._opened is not None:
            _given_up.append(self._opened)  # closing it would undo locks in books that are not ours
            self._opened, self._lost_by = None, "this process was forked off"

    def close(self, wait_s: float = 0.1) -> None:
        """Close the connection and the lock; the next use opens them anew."""
        self._close(wait_s)

    def _close(self, wait_s: float, *, parks: bool = False) -> None:
        """Close what is open, and park it in the same turn; when another thread is inside its connection stays open."""
        turn = Turn()
        try:
            if not self._turns.take(turn, wait_s):
                return
            if self._opened is not None:
                # The last connection that closes writes the WAL back: that is a checkpoint, and wants the lock.
                self._try_lock(wait_s)
            self.drop()
            self._is_parked = parks or self._is_parked
        finally:
            self.give_back(turn)

    def _try_lock(self, wait_s: float) -> bool:
        try:
            return self._lock.acquire(wait_s)
        except OSError:
            return False  # the folder is gone, and the WAL with it
