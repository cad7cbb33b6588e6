"""Let one thread at a time have a turn, for a bounded wait, whatever breaks a thread off at the wrong moment."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

__all__ = ["Turn", "Turns"]


class Turn:
    """One thread's right to go on, as long as somebody holds this object."""

    __slots__ = ("__weakref__",)


class Turns:
    """
    A lock for pieces of work that a signal may enter again or break off.

    A signal handler that wants a turn while its own thread has one is refused at once. A turn that its owner lost,
    because a KeyboardInterrupt came before it could give it back, ends with the next one that is wanted.

    Args:
        clean_up: undoes what the owner of such a turn has left open.
    """

    def __init__(self, clean_up: Callable[[], None] | None = None) -> None:
        self._clean_up = clean_up
        self._lock = threading.Lock()
        self._owner: tuple[int, weakref.ref[Turn]] | None = None

    def take(self, turn: Turn, wait_s: float) -> bool:
        """Begin *turn*; return False when another thread had one for *wait_s* seconds, or this thread has."""
        thread = threading.get_ident()
        owner = self._owner
        if owner is not None and owner[1]() is None:
            self._end_lost(owner)
        elif owner is not None and owner[0] == thread:
            return False
        note = (thread, weakref.ref(turn))
        # A signal is looked for after each call that stands in the code, but not between the one that map() makes
        # and the note of it: a lock that is held and has no owner would never be given back.
        (is_taken,) = map(self._lock.acquire, (True,), (wait_s,))
        if is_taken:
            self._owner = note
        return is_taken

    def give_back(self, turn: Turn | None) -> None:
        """End *turn*; does nothing when it is none, or over already."""
        owner = self._owner
        if turn is not None and owner is not None and owner[1]() is turn:
            self._end()

    def _end_lost(self, owner: tuple[int, weakref.ref[Turn]]) -> None:
        if self._owner is owner:
            self._owner = (threading.get_ident(), owner[1])  # one thread at a time comes past here
            if self._clean_up is not None:
                self._clean_up()
            self._end()

    def _end(self) -> None:
        self._owner = None
        self._lock.release()
