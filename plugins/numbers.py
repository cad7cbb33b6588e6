"""Keep which numbers were seen of a writer, in room for the gaps alone."""

from __future__ import annotations

from bisect import bisect_right

__all__ = ["Numbers"]


class Numbers:
    """A set of whole numbers that come mostly in their order; it needs room for its gaps only."""

    __slots__ = ("_bounds",)

    def __init__(self) -> None:
        self._bounds: list[int] = []  # begin and end of each stretch without a gap, the end not in it

    def add(self, number: int) -> bool:
        """Put *number* in; return whether it was not there before."""
        bounds = self._bounds
        place = bisect_right(bounds, number)
        if place % 2:
            return False
        joins_left = place > 0 and bounds[place - 1] == number
        joins_right = place < len(bounds) and bounds[place] == number + 1
        if joins_left and joins_right:
            del bounds[place - 1 : place + 1]
        elif joins_left:
            bounds[place - 1] = number + 1
        elif joins_right:
            bounds[place] = number
        else:
            bounds[place:place] = (number, number + 1)
        return True

    def gaps(self, begin: int | None = None) -> list[range]:
        """Return the stretches that are not in, between *begin*, or the lowest number, and the highest."""
        ends = self._bounds[1:-1]
        found = [range(end, next_begin) for end, next_begin in zip(ends[::2], ends[1::2], strict=True)]
        if begin is not None and self._bounds and begin < self._bounds[0]:
            found.insert(0, range(begin, self._bounds[0]))
        return found

    @property
    def highest(self) -> int:
        """The highest number, 0 when there is none."""
        return self._bounds[-1] - 1 if self._bounds else 0
