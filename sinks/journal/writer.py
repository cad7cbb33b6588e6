"""Append records to today's file; a line is on disk before append() returns."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...plugins.private import make_private_folder
from ...plugins.worker import Worker
from .day_file import DayFile, Misplaced
from .disk import Disk, explained
from .files import file_name, number_to_open
from .group_commit import GroupCommit
from .side_lock import SideLock

__all__ = ["FSYNC_MODES", "Journal"]

FSYNC_MODES = ("always", "interval", "never")
_LOOK_EVERY_S = 1.0
_DAY_S = 86400
_MOST_FILES = 99
_LOCK_NAME = ".lock"


class Journal:
    """
    Write the journal in *directory*, together with any number of threads and processes.

    Nothing is opened or made before the first line; a closed journal opens again when a line comes. Safe to use
    from a signal handler that interrupts it.

    Args:
        directory: made when missing, also later when somebody deletes it.
        fsync: `always` - a line survives a power cut before `append()` returns; `interval` - about *interval_s*
            after it was written; `never` - when the system sees fit. In each mode it survives the death of the
            process before `append()` returns.
        interval_s: seconds; only for `interval`.
        lock_wait_s: how long one line waits at most for other processes; then it is appended all the same.
        disk: the calls that reach the disk.
        clock: seconds since 1970.

    Raises:
        ValueError: *fsync* is none of the modes.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        fsync: str = "always",
        interval_s: float = 1.0,
        lock_wait_s: float = 0.1,
        disk: Disk | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if fsync not in FSYNC_MODES:
            raise ValueError(f"fsync is {fsync!r}; it must be one of {', '.join(FSYNC_MODES)}")
        self.directory = os.path.abspath(directory)
        self._fsync = fsync
        self._interval_s = interval_s
        self._disk = Disk() if disk is None else disk
        self._clock = clock
        self._lock_wait_s = lock_wait_s
        self._counts = {"files_opened": 0, "tails_mended": 0, "open_faults": 0, "append_faults": 0, "sync_faults": 0}
        self._last_fault: str | None = None
        self._syncer = Worker(self._sync_when_due, "journal") if fsync == "interval" else None
        self._begin()

    def _begin(self) -> None:
        """Set what a forked child has to start anew: everything that threads share."""
        # Reentrant: a signal handler that logs may interrupt the thread that holds it.
        self._turn = threading.RLock()
        self._depth = 0
        self._group = GroupCommit(self._commit)
        self._lock = SideLock(os.path.join(self.directory, _LOCK_NAME), self._lock_wait_s)
        self._file: DayFile | None = None
        self._day = -1
        self._looked_at = self._look_again_at = 0.0
        self._sync_due: float | None = None

    def append(self, line: bytes, *, is_durable: bool = True) -> None:
        """
        Write *line*, which ends with a newline; return when it is as safe as the mode promises.

        Many lines may come as one: they are written at once, and a single sync serves them all.

        Args:
            is_durable: False spares the sync of mode `always` for a line that can be had again.

        Raises:
            OSError: the line was not kept; it names the path and the cure.
        """
        if is_durable and self._fsync == "always":
            self._group.append(line)
            return
        self._write(line)
        if self._sync_due is None and self._syncer is not None:
            self._sync_due = self._clock() + self._interval_s
            self._syncer.wake()

    def _write(self, lines: bytes) -> DayFile:
        with self._turn:
            self._depth += 1
            try:
                # The day's end and the next look at the path are one comparison; a look costs 4 us, once a second.
                file, now = self._file, self._clock()
                if file is None or (self._depth == 1 and not self._looked_at <= now < self._look_again_at):
                    file = self._looked_after(now)
                # A signal handler's line inside another one goes without the lock or under that of the outer one.
                is_locked = self._depth == 1 and self._lock.acquire()
                try:
                    try:
                        file.append(lines)
                    except Misplaced:
                        file = self._looked_after(now)
                        file.append(lines)
                finally:
                    if is_locked:
                        self._lock.release()
                return file
            except OSError as error:
                self._note("append_faults", error)
                raise
            finally:
                self._depth -= 1

    def _looked_after(self, now: float) -> DayFile:
        """Return the file to write to after a look at the day, at the path and at the lock."""
        day, file = int(now // _DAY_S), self._file
        if file is not None and (file.fault is not None or not file.is_in_place()):
            file = None
        if file is None or day != self._day:
            file = self._opened(day, fallback=file)
        self._lock.renew()
        if self._sync_due is not None and now >= self._sync_due + self._interval_s:
            self._sync_when_due()  # no thread starts any more: the interpreter is about to exit
        self._looked_at = now
        self._look_again_at = min(now + _LOOK_EVERY_S, (day + 1.0) * _DAY_S)
        return file

    def _opened(self, day: int, fallback: DayFile | None) -> DayFile:
        try:
            file = self._open(day)
        except OSError as error:
            fault = explained(error, "open the journal", self.directory)
            if fallback is None:
                raise fault from error
            self._note("open_faults", fault)
            return fallback  # no descriptor left at midnight, say: better in yesterday's file than nowhere
        # Exchanged in one step: a signal handler may have opened one meanwhile, which is let go of like any other.
        old, self._file, self._day = self._file, file, day
        self._retire(old)
        return file

    def make_directory(self) -> None:
        """Make the directory, closed to others, where it is missing."""
        make_private_folder(self.directory)

    def _open(self, day: int) -> DayFile:
        self.make_directory()
        text = time.strftime("%Y%m%d", time.gmtime(day * _DAY_S))
        number = number_to_open(self.directory, text)
        if self._file is not None and self._file.fault is not None and day == self._day:
            # Not for ever: on a disk that fails for good each line would make a file.
            number = min(number + 1, _MOST_FILES)
        self._counts["files_opened"] += 1
        path = os.path.join(self.directory, file_name(text, number))
        return DayFile(path, self._disk, needs_name=self._fsync == "always")

    def _retire(self, file: DayFile | None) -> None:
        if file is None:
            return
        # Before it is closed, also for a leader that has written to it and not yet synced.
        if self._fsync != "never" and not file.is_synced and file.fault is None:
            self._sync_fault(file)
        self._counts["tails_mended"] += file.mended
        file.close()

    def _commit(self, lines: Sequence[bytes]) -> None:
        """Write and sync *lines*; after a failed sync once more, in another file."""
        blob = b"".join(lines)
        if (
            self._sync_fault(self._write(blob)) is not None
            and (fault := self._sync_fault(self._write(blob))) is not None
        ):
            raise fault

    def _sync_fault(self, file: DayFile) -> OSError | None:
        """Sync *file*; return why that failed, after which the next line goes to another file."""
        # Under no lock of the journal's: with it 8 processes write a quarter of the lines.
        try:
            file.sync()
        except OSError as error:
            self._note("sync_faults", error)
            self._look_again_at = 0.0
            return error
        return None

    def _sync_when_due(self) -> float | None:
        """Sync if it is time; return the seconds until it is, None when nothing waits for it."""
        if self._sync_due is None:
            return None
        # The clock may be set back by hours; nobody waits longer than one interval for that.
        pause_s = min(self._sync_due - self._clock(), self._interval_s)
        if pause_s > 0:
            return pause_s
        self._sync_due = None  # first: a line that is written from here on asks for another sync
        if (file := self._file) is not None:
            self._sync_fault(file)
        return None

    def sync(self, deadline_s: float) -> bool:
        """Sync what was written up to now, in each mode; return whether that was done within *deadline_s* seconds."""
        file = self._file
        if file is None or file.is_synced:
            return True
        if file.is_syncing_here:
            return self._sync_fault(file) is None  # asked by a signal handler; another thread would wait for this one
        faults: list[OSError | None] = []
        # In a thread, since a sync cannot be given up: a dead network disk would hold the agent for ever.
        thread = threading.Thread(target=lambda: faults.append(self._sync_fault(file)), name="telemetry-sync")
        thread.daemon = True
        try:
            thread.start()
        except RuntimeError:
            return self._sync_fault(file) is None  # the interpreter is about to exit and starts no thread any more
        thread.join(deadline_s)
        return faults == [None]

    def after_fork(self) -> None:
        """Start anew in a child: own descriptors, locks free of the parent's threads, nothing left to sync."""
        file, lock, is_in_use = self._file, self._lock, self._depth > 0
        self._begin()
        # In use: by a thread that is gone, or by the frame that a signal handler interrupted to fork.
        if not is_in_use:
            lock.close()
            if file is not None:
                file.abandon()

    def close(self, deadline_s: float = 2.0) -> None:
        """
        Sync if the mode says so and let go of the files; a line that comes later opens them again.

        A sync that takes longer than *deadline_s* seconds is left to the system, and its file with it.
        """
        if self._syncer is not None:
            self._syncer.stop(deadline_s)
        is_idle = self._fsync == "never" or self.sync(deadline_s)
        with self._turn:
            if self._depth:
                return  # called by a signal handler inside append(), which needs the file to finish its line
            file, self._file = self._file, None
            self._lock.close()
            if is_idle:
                self._retire(file)

    def health(self) -> dict[str, Any]:
        """Return the journal's place and mode, what went wrong so far and how often; never blocks."""
        file = self._file
        return {
            "directory": self.directory,
            "file": None if file is None else file.path,
            "fsync": self._fsync,
            **self._counts,
            "tails_mended": self._counts["tails_mended"] + (0 if file is None else file.mended),
            "lock_timeouts": self._lock.timeouts,
            "lock_misses": self._lock.misses,
            "lock_fault": None if self._lock.fault is None else str(self._lock.fault),
            "last_fault": self._last_fault,
        }

    def _note(self, count: str, error: OSError) -> None:
        self._counts[count] += 1
        self._last_fault = str(error)
