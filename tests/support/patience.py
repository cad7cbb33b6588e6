"""Tell code that waits from a machine that is busy: what waits does so each time, and noise only ever adds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

__all__ = ["own_clock", "pause_at_midnight_s", "quickest", "until"]

_DAY_S, _LAST_S = 86_400, 60
_SCHEDULE = "/proc/thread-self/schedstat"  # on a core, waiting for one (both in nanoseconds), times on one


def quickest(act: Callable[[], object], within_s: float, *, tries: int = 5) -> float:
    """Return the seconds that *act* took: the first time within *within_s*, else the least of so many tries."""
    least_s = float("inf")
    for _ in range(tries):
        began = time.perf_counter()
        act()
        least_s = min(least_s, time.perf_counter() - began)
        if least_s <= within_s:
            break
    return least_s


def until(claim: Callable[[], object], limit_s: float = 60.0) -> bool:
    """Return whether *claim* came true; the limit only ends a test that fails."""
    end = time.monotonic() + limit_s
    while not (is_true := claim()) and time.monotonic() < end:
        time.sleep(0.002)
    return bool(is_true)


def pause_at_midnight_s(now: float) -> float:
    """Return how long a test that would begin at *now* has to wait, so that it does not begin late in a UTC day."""
    left_s = _DAY_S - now % _DAY_S
    return left_s + 1 if left_s <= _LAST_S else 0.0


def own_clock() -> float:
    """Return a steady clock, in seconds, that stands still while this thread waits for a core, where that is told."""
    waited_ns = 0
    if os.path.exists(_SCHEDULE):
        with open(_SCHEDULE, "rb") as file:
            waited_ns = int(file.read().split()[1])
    return time.perf_counter() - waited_ns / 1e9
