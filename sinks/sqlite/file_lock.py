"""Lock a store among our processes, by a side file that is opened nowhere else; a waiter never waits unbounded."""

from __future__ import annotations

import os
import time
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor

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

    def acquire(self, wait_s: float) -> bool:
        """
        Take the lock; return False when somebody else held it for *wait_s* seconds.

        Raises:
            OSError: the lock file cannot be opened.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        self._may_be_held = True  # noted before: a KeyboardInterrupt may come between the lock and a note of it
        if lock_descriptor(self._descriptor, blocking=False):
            return True
        self._may_be_held = self._wait(self._descriptor, time.monotonic() + wait_s)
        return self._may_be_held

    def _wait(self, descriptor: int, end: float) -> bool:
        # Short pauses first: a write holds the lock for 0.1 ms, and filelock's own 50 ms poll gave a p99 of 100 ms.
        pause_s = _FIRST_PAUSE_S
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(pause_s, left_s))
            if lock_descriptor(descriptor, blocking=False):
                return True
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        return False

    def release(self) -> None:
        """Let the next one in."""
        if self._descriptor is not None and self._may_be_held:
            unlock_descriptor(self._descriptor)
            self._may_be_held = False

    def close(self) -> None:
        """Release the lock and close its file; `acquire()` opens it anew."""
        descriptor, self._descriptor, self._may_be_held = self._descriptor, None, False
        if descriptor is not None:
            os.close(descriptor)
