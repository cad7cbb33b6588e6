"""A retry policy names every pause, so that a test can name it too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import RetryPolicy


def waits(policy: RetryPolicy, tries: int) -> list[float | None]:
    """Return the pauses before the first retries."""
    return [policy.wait_s(attempt) for attempt in range(1, tries + 1)]


def test_without_a_cap_the_tries_end() -> None:
    """The listed pauses, then no more."""
    assert [0.1, 0.2, 0.4, None, None] == waits(RetryPolicy(), 5)


def test_with_a_cap_the_pauses_double_up_to_it() -> None:
    """They go on from the last listed one."""
    assert [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0] == waits(RetryPolicy((1, 2, 4), cap_s=20), 7)


def test_with_a_cap_alone_the_pauses_begin_at_two_seconds() -> None:
    """No listed pause: the first counts as twice a second."""
    assert [2.0, 4.0, 5.0] == waits(RetryPolicy((), cap_s=5), 3)


def test_without_pauses_there_is_one_try() -> None:
    """An empty list and no cap: nothing is tried again."""
    assert [None] == waits(RetryPolicy(()), 1)


@given(st.lists(st.floats(0, 1e6), max_size=4), st.floats(0, 1e6), st.integers(1, 10**9))
def test_a_pause_is_never_above_the_cap(delays_s: list[float], cap_s: float, attempt: int) -> None:
    """Also after a month offline, when powers of two would overflow."""
    pause = RetryPolicy(delays_s, cap_s).wait_s(attempt + len(delays_s))

    assert pause is not None
    assert 0 <= pause <= cap_s


@pytest.mark.parametrize("attempt", [0, -1])
def test_the_first_retry_is_number_one(attempt: int) -> None:
    """The first try has no pause, so there is none to ask for."""
    with pytest.raises(ValueError, match=f"attempt is {attempt}; the first retry is number 1"):
        RetryPolicy().wait_s(attempt)


def test_pauses_are_not_negative() -> None:
    """A wrong setting is refused where it is made."""
    with pytest.raises(ValueError, match=r"delays_s is \(1.0, -1.0\); pauses are seconds and never negative"):
        RetryPolicy((1, -1))


def test_pauses_are_numbers() -> None:
    """They come from a file as whatever somebody wrote there."""
    with pytest.raises(ValueError, match="soon"):
        RetryPolicy(("soon",))


def test_the_listed_pauses_can_be_walked() -> None:
    """Without those that a cap adds."""
    assert [1.0, 2.0] == list(RetryPolicy((1, 2), cap_s=60).pauses())


def test_policies_with_equal_pauses_are_equal() -> None:
    """A policy is a value."""
    assert RetryPolicy([0.1]) == RetryPolicy((0.1,))
