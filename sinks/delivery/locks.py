"""Let one process at a time do a thing; the kernel frees the lock of a process that dies."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

__all__ = ["PathLock"]

_PAUSE_S = 0.002

_guard = threading.Lock()
_held: dict[str, tuple[int, PathLock]] = {}
"""The locks that this process holds: path of the lock file, its descriptor, and the object that took it."""

if sys.platform == "win32":
    from filelock import lock_descriptor

    def _try_lock(descriptor: int) -> bool:
        return lock_descriptor(descriptor, blocking=False)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        # lockf() and not flock(): a child that the agent forks would inherit a flock, and hold it for ever.
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class PathLock:
    """
    A lock named by a file, among all processes and all threads of this one.

    lockf() knows processes only, and closing any descriptor of the file frees it: so a table per process says who
    holds what, and the file is opened by nobody else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def is_held(self) -> bool:
        """Whether this very object holds the lock."""
        return any(owner is self for _, owner in list(_held.values()))

    def acquire(self, wait_s: float = 0.0) -> bool:
        """
        Take the lock; return False when somebody else held it for *wait_s* seconds.

        Raises:
            OSError: the lock file cannot be opened.
        """
        end = time.monotonic() + wait_s
        while not self._try():
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _try(self) -> bool:
        key = os.path.realpath(self._path)
        with _guard:
            if key in _held:
                return False
            descriptor = os.open(key, os.O_RDWR | os.O_CREAT, 0o600)
            if not _try_lock(descriptor):
                os.close(descriptor)
                return False
            _held[key] = descriptor, self
            return True

    def release(self) -> None:
        """Let the next one in; does nothing when the lock is not held by this object."""
        with _guard:
            for key, (descriptor, owner) in list(_held.items()):
                if owner is self:
                    del _held[key]
                    os.close(descriptor)


def _forget_parents_locks() -> None:
    # The child of a fork holds none of them; closing its copies of the descriptors frees nothing of the parent's.
    global _guard
    _guard = threading.Lock()
    for descriptor, _ in _held.values():
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents_locks)
