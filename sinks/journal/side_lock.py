"""Let one process at a time end a torn tail and append; a process that froze with the lock holds up nobody."""

from __future__ import annotations

import os
import sys
import time

from .disk import is_same_file, open_private

__all__ = ["SideLock"]

_FIRST_PAUSE_S = 0.00005
_LONGEST_PAUSE_S = 0.001

if sys.platform == "win32":
    from filelock import lock_descriptor
    from filelock import unlock_descriptor as _unlock

    def _try_lock(descriptor: int) -> bool:
        return lock_descriptor(descriptor, blocking=False)
else:
    import fcntl

    # What filelock.lock_descriptor() does here, without it: its import takes 13 ms, half of what
    # `import telemetry` may take, and each call 0.16 us.
    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class SideLock:
    """
    An advisory lock on a file beside the journal, for one thread at a time.

    `acquire()` waits at most *wait_s* seconds. When that was in vain the holder is taken for frozen, and from
    then on a single try must do, until one succeeds: a stopped process costs its neighbours one wait each, not
    one a line. The lock protects no data (a line is one write to an O_APPEND file), only the look at the tail.

    Attributes:
        timeouts: how often a whole wait was in vain.
        misses: how often the lock was not got, those counted in `timeouts` among them.
        fault: the last error of the lock itself; there are file systems without locks.
    """

    def __init__(self, path: str, wait_s: float) -> None:
        self.path = path
        self.timeouts = 0
        self.misses = 0
        self.fault: OSError | None = None
        self._wait_s = wait_s
        self._descriptor = -1
        self._known: os.stat_result | None = None
        self._is_frozen = False

    def acquire(self) -> bool:
        """Return whether the lock is held now; never raises and never waits longer than agreed."""
        try:
            if self._descriptor >= 0 and (_try_lock(self._descriptor) or self._wait()):
                self._is_frozen = False
                return True
        except OSError as error:
            self.fault = error
        self.misses += 1
        return False

    def release(self) -> None:
        """Free the lock; only after `acquire()` returned True."""
        try:
            if self._descriptor >= 0:  # a signal handler may have closed it meanwhile, which frees it too
                _unlock(self._descriptor)
        except OSError as error:
            self.fault = error

    def _wait(self) -> bool:
        if self._is_frozen:
            return False
        deadline, pause_s = time.monotonic() + self._wait_s, _FIRST_PAUSE_S
        while time.monotonic() < deadline:
            time.sleep(pause_s)
            if _try_lock(self._descriptor):
                return True
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self._is_frozen = True
        self.timeouts += 1
        return False

    def renew(self) -> None:
        """Open the lock file where it is not open, or was deleted or replaced; never raises."""
        if self._known is not None and is_same_file(self.path, self._known):
            return
        self.close()
        try:
            self._descriptor = open_private(self.path)
            self._known = os.fstat(self._descriptor)
        except OSError as error:
            self.fault = error

    def close(self) -> None:
        """
        Close the lock file; `renew()` opens it again.

        In a child after fork this leaves the parent's lock alone, which an unlock would take from it.
        """
        descriptor, self._descriptor, self._known = self._descriptor, -1, None
        if descriptor >= 0:
            os.close(descriptor)
