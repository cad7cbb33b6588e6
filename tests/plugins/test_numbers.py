"""Prove that the numbers of a writer are kept as a set keeps them, in little room."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins.numbers import Numbers


@given(st.lists(st.integers(1, 40)), st.none() | st.integers(1, 45))
def test_numbers_are_a_set(numbers: list[int], begin: int | None) -> None:
    """Whatever comes in whatever order; the gaps are what counting finds."""
    kept, seen = Numbers(), set[int]()

    for number in numbers:
        assert (number not in seen) == kept.add(number)
        seen.add(number)

    highest = max(seen, default=0)
    lowest = min(seen, default=1)
    first = lowest if begin is None else min(begin, lowest)
    assert highest == kept.highest
    assert set(range(first, highest)) - seen == {number for gap in kept.gaps(begin) for number in gap}
    assert all(kept.gaps(begin))


def test_a_gap_of_any_size_takes_no_room() -> None:
    """A number that a disk has damaged may be anything."""
    kept = Numbers()

    for number in (1, 2, 2**62, 2**63 - 1):
        kept.add(number)

    assert [range(3, 2**62), range(2**62 + 1, 2**63 - 1)] == kept.gaps()
    assert sys.getsizeof(kept.gaps()) < 1_000
