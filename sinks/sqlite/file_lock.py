"""Lock a store among our processes, by a side file that is opened nowhere else; a waiter never waits unbounded."""

from __future__ import annotations

import errno
import os
import time
import weakref
from pathlib import Path

from ..descriptor_lock import close_marked, free, is_marked, is_taken, mark

__all__ = ["FileLock"]

_FIRST_PAUSE_S = 0.00005
_LONGEST_PAUSE_S = 0.001


class FileLock:
    """
    One lock of one process on one file.

    Not for threads: the owner puts a thread lock around it. `close()` before a fork: the lock belongs to the open
    descriptor, so a child that inherits it could release what its parent holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._may_be_held = False
        self._closing: weakref.finalize[[int], FileLock] | None = None

    def acquire(self, wait_s: float) -> bool:
        """
        Take the lock; return False when somebody else held it for *wait_s* seconds.

        Raises:
            OSError: the lock file cannot be opened, or the agent has closed it under us.
        """
        if self.is_lost:
            raise OSError(errno.EBADF, "this process has closed it", str(self.path))
        descriptor = self._open() if self._descriptor is None else self._descriptor
        self._may_be_held = True  # noted before: a KeyboardInterrupt may come between the lock and a note of it
        if is_taken(descriptor):
            return True
        self._may_be_held = self._wait(descriptor, time.monotonic() + wait_s)
        return self._may_be_held

    @property
    def is_lost(self) -> bool:
        """Whether the agent has closed the file, as by `os.closerange()`; then also whatever else was open before."""
        return self._descriptor is not None and not is_marked(self._descriptor)

    def _open(self) -> int:
        descriptor = self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        # A descriptor is a plain number: nobody would close it when a client is dropped without being closed.
        mark(descriptor)
        self._closing = weakref.finalize(self, close_marked, descriptor)
        self._closing.atexit = False
        return descriptor

    def _wait(self, descriptor: int, end: float) -> bool:
        # Short pauses first: a write holds the lock for 0.1 ms, and filelock's own 50 ms poll gave a p99 of 100 ms.
        pause_s = _FIRST_PAUSE_S
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(pause_s, left_s))
            if is_taken(descriptor):
                return True
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        return False

    def release(self) -> None:
        """Let the next one in."""
        if self._descriptor is not None and self._may_be_held:
            if not self.is_lost:
                free(self._descriptor)
            self._may_be_held = False

    def close(self) -> None:
        """Release the lock and close its file; `acquire()` opens it anew."""
        self.release()  # first: an interrupt may leave the descriptor behind, but not its lock
        self.abandon()

    def abandon(self) -> None:
        """Close the file and nothing else, in the child of a fork: the lock is its parent's."""
        self._descriptor, self._may_be_held = None, False
        if self._closing is not None:
            self._closing()
