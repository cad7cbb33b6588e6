"""Let one thread at a time have a turn, for a bounded wait, whatever breaks a thread off at the wrong moment."""

from __future__ import annotations

import threading
import weakref
from typing import TypeAlias

__all__ = ["Turn", "Turns"]


class Turn:
    """One thread's right to go on, as long as somebody holds this object."""

    __slots__ = ("__weakref__",)


_Note: TypeAlias = tuple[int, "weakref.ref[Turn]"]


class Turns:
    """
    A lock for pieces of work that a signal may enter again or break off.

    A signal handler that wants a turn while its own thread has one is refused at once. A turn that its owner lost,
    because a KeyboardInterrupt came before it could give it back, passes to the next one that is wanted.

    Attributes:
        was_lost: so it was; whoever takes a turn undoes what is left open, and sets this back to False.
    """

    def __init__(self) -> None:
        self.was_lost = False
        self._lock = threading.Lock()
        self._owner: _Note | None = None

    def take(self, turn: Turn, wait_s: float) -> bool:
        """Begin *turn*; return False when another thread had one for *wait_s* seconds, or this thread has."""
        note = (threading.get_ident(), weakref.ref(turn))
        owner = self._owner
        if owner is not None and owner[1]() is None:
            return self._take_over(owner, note)
        if owner is not None and owner[0] == note[0]:
            return False
        # A signal is looked for after each call that stands in the code, but not between the one that map() makes
        # and the note of it: a lock that is held and has no owner would never be given back.
        (is_taken,) = map(self._lock.acquire, (True,), (wait_s,))
        if is_taken:
            self._owner = note
        return is_taken

    def _take_over(self, lost: _Note, note: _Note) -> bool:
        if self._owner is not lost:
            return False  # another thread was quicker
        self._owner, self.was_lost = note, True
        return True

    def give_back(self, turn: Turn | None) -> None:
        """End *turn*; does nothing when it is none, or over already."""
        owner = self._owner
        if turn is not None and owner is not None and owner[1]() is turn:
            self._owner = None
            self._lock.release()
