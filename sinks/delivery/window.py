"""Hold the part of the journal that is being delivered, and say what a cursor must know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .cursor import Mark
from .feed import Fed, Feed

__all__ = ["Window"]

_LEAST_ITEMS = 64
_MOST_BYTES = 4 << 20
_MOST_GROWN_BYTES = 1 << 20
"""1,100 runs, which take 10 MB of memory: an outage should cost next to none, and 2 MB took twice as much."""
_USUAL_TRIES = 4
_MOST_DOUBLINGS = 4


class Window:
    """
    The items that were read and are not done with, in order.

    Items behind one that has to be tried again may be done already. A cursor cannot pass the first that is not, so
    the keys of those behind it stand beside: a restart does not repeat them.

    Args:
        ahead: keys of items behind the feed's marks that are done.
        batch: at least so many items are held, as far as there are that many.
    """

    def __init__(self, feed: Feed, ahead: Iterable[str], batch: int) -> None:
        self._feed = feed
        self._done = set(ahead)
        self._size = max(_LEAST_ITEMS, batch)
        self._items: list[Fed] = []

    @property
    def waiting(self) -> list[Fed]:
        """The items that are not done."""
        return [fed for fed in self._items if fed.item.key not in self._done]

    def fill(self, tries_of: Callable[[Fed], int] | None) -> None:
        """
        Read on, until enough items wait or they take 4 MB; and more, up to 1 MB, the oftener the first has failed.

        Otherwise as many as are enough, and cannot be digested, would hide for ever whether others are taken.

        Args:
            tries_of: how often an item has failed; None where nobody listens, so that failures say nothing.
        """
        waiting = self._filled(self._size, _MOST_BYTES)
        tries = tries_of(waiting[0]) if waiting and tries_of is not None else 0
        if tries > _USUAL_TRIES:
            doublings = min(tries - _USUAL_TRIES, _MOST_DOUBLINGS)
            more = tries - _USUAL_TRIES - doublings
            self._filled((self._size << doublings) + self._size * more, _MOST_GROWN_BYTES)

    def _filled(self, size: int, most_bytes: int) -> list[Fed]:
        """Read on until *size* items wait, or they take *most_bytes*; return those."""
        waiting = self.waiting
        room_bytes = most_bytes - sum(fed.end - fed.offset for fed in waiting)
        self._items += self._feed.read(size - len(waiting), room_bytes)
        self._pass_what_is_done()
        return self.waiting

    def drop(self, done: Iterable[Fed]) -> None:
        """Be done with these items."""
        self._done.update(fed.item.key for fed in done)
        self._pass_what_is_done()

    def _pass_what_is_done(self) -> None:
        passed = next((n for n, fed in enumerate(self._items) if fed.item.key not in self._done), len(self._items))
        self._done.difference_update([fed.item.key for fed in self._items[:passed]])
        del self._items[:passed]

    @property
    def unsaved_bytes(self) -> int:
        """How far reading is ahead of the marks that were asked for last."""
        return self._feed.unsaved_bytes

    def marks(self) -> tuple[Mark, ...]:
        """Return the marks before the first item that is not done."""
        return self._feed.marks(self._items)

    def ahead(self) -> tuple[str, ...]:
        """Return the keys of the items behind the marks that are done."""
        return tuple(self._done)

    def clean(self) -> None:
        """Delete what nobody needs any more of the own journal."""
        self._feed.delete_delivered()

    def close(self) -> None:
        """Let go of the open file."""
        self._feed.close()
