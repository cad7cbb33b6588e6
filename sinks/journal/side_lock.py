"""Let one process at a time end a torn tail and append; a process that froze with the lock holds up nobody."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import repeat

from ...plugins.same_file import is_same_file
from ..descriptor_lock import FREE, TAKE, close_marked, is_marked, mark
from ..descriptor_lock import flock as _flock
from .disk import open_private

__all__ = ["SideLock"]

_YIELDS = 20
_SHORT_PAUSE_S = 0.00002
_SHORT_PAUSES = 40
_LONG_PAUSE_S = 0.001


def _pauses() -> Iterator[float]:
    # It is held for 3 us, longer only by who was put aside by the scheduler: so let others run first, then look
    # often. With pauses that double from 50 us to 1 ms 8 processes wrote 0.57 of what they write without any lock,
    # with these 0.70, and without waiting 0.73.
    yield from repeat(0.0, _YIELDS)
    yield from repeat(_SHORT_PAUSE_S, _SHORT_PAUSES)
    yield from repeat(_LONG_PAUSE_S)


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
        if self._known is not None and not is_marked(self._descriptor):
            self.renew()  # else we took, and then freed, a lock of the agent's: that on its pid file, say
        try:
            _flock(self._descriptor, TAKE)
        except BlockingIOError:
            if not self._wait():
                self.misses += 1
                return False
        except (OSError, ValueError) as error:  # ValueError: it is not open
            return self._missed(error)
        self._is_frozen = False
        return True

    def _missed(self, error: OSError | ValueError) -> bool:
        if isinstance(error, OSError):
            self.fault = error
        self.misses += 1
        return False

    def release(self) -> None:
        """Free the lock; only after `acquire()` returned True."""
        try:
            _flock(self._descriptor, FREE)
        except OSError as error:
            self.fault = error
        except ValueError:
            return  # a signal handler closed it meanwhile, which frees it too

    def _wait(self) -> bool:
        if self._is_frozen:
            return False
        deadline = time.monotonic() + self._wait_s
        for pause_s in _pauses():
            time.sleep(pause_s)
            try:
                _flock(self._descriptor, TAKE)
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    break
        self._is_frozen = True
        self.timeouts += 1
        return False

    def renew(self) -> None:
        """Open the lock file where it is not open, or was deleted or replaced; never raises."""
        known = self._known
        if known is not None and is_marked(self._descriptor) and is_same_file(self.path, known):
            return
        self.close()
        try:
            self._descriptor = open_private(self.path)
            self._known = os.fstat(self._descriptor)
            mark(self._descriptor)
        except OSError as error:
            self.fault = error

    def close(self) -> None:
        """
        Close the lock file; `renew()` opens it again.

        In a child after fork this leaves the parent's lock alone, which an unlock would take from it.
        """
        descriptor, self._descriptor, self._known = self._descriptor, -1, None
        close_marked(descriptor)
