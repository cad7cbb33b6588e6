"""Lock an open file among processes, without waiting: by flock(), and on Windows as filelock does it there."""

from __future__ import annotations

import sys

__all__ = ["FREE", "TAKE", "flock", "free", "is_taken"]

if sys.platform == "win32":
    from filelock import lock_descriptor, unlock_descriptor

    TAKE, FREE = True, False

    def flock(descriptor: int, act: bool) -> None:
        """Take or free the lock of *descriptor*; raises BlockingIOError when somebody else holds it."""
        if act is FREE:
            unlock_descriptor(descriptor)
        elif not lock_descriptor(descriptor, blocking=False):
            raise BlockingIOError
else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

    # What filelock.lock_descriptor() does here, without it: its import takes 13 ms, half of what
    # `import telemetry` may take, and each call 0.16 us.
    TAKE, FREE = LOCK_EX | LOCK_NB, LOCK_UN


def is_taken(descriptor: int) -> bool:
    """Try once to take the lock of *descriptor*; return whether it is ours now."""
    try:
        flock(descriptor, TAKE)
    except BlockingIOError:
        return False
    return True


def free(descriptor: int) -> None:
    """Free the lock of *descriptor*."""
    flock(descriptor, FREE)
