"""Let one thread at a time have a turn, for a bounded wait, whatever interrupts a thread at the wrong moment."""

from __future__ import annotations

import threading
import time

__all__ = ["Turns"]

_ORPHANED_AFTER_S = 1.0


class Turns:
    """
    A lock for pieces of work that a signal may enter again or break off.

    Each piece of work names itself by a token. A signal handler that wants a turn while its own thread has one is
    refused at once. A KeyboardInterrupt may come between the lock and the note of who has it: such a lock has no
    owner, and is replaced when that is still so after a second.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: tuple[int, object] | None = None
        self._count = 0
        self._suspicion: tuple[int, float] | None = None

    def take(self, token: object, wait_s: float) -> bool:
        """Take the turn for *token*; return False when another thread had it for *wait_s* seconds, or this one."""
        thread = threading.get_ident()
        owner = self._owner
        if owner is not None and owner[0] == thread:
            return False
        if not self._lock.acquire(timeout=wait_s):
            self._look_for_owner()
            return False
        self._owner = (thread, token)
        self._count += 1
        return True

    def give_back(self, token: object) -> None:
        """End the turn of *token*; does nothing when it has none."""
        owner = self._owner
        if owner is not None and owner[1] is token:
            self._owner = None
            self._lock.release()

    def _look_for_owner(self) -> None:
        if self._owner is not None:
            return
        now = time.monotonic()
        if self._suspicion is None or self._suspicion[0] != self._count:
            self._suspicion = (self._count, now)
        elif now - self._suspicion[1] >= _ORPHANED_AFTER_S:
            self._suspicion, self._lock = None, threading.Lock()
