"""Hold the cheap ratios of the benchmarks, with slack: a machine that is busy is no fault, an order of magnitude is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.contest import Entry, race
from harness.sample import ratio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the floors are made of POSIX calls")

_TRIES = 3
_WRITE = Entry("floor", "write_floor:Floor", calls=300)
_SYNC = Entry("floor", "write_floor:Floor", {"sync": True}, calls=10)
_INTERVAL = Entry("ours", "ours:Events", calls=300)
_ALWAYS = Entry("ours", "ours:Events", {"fsync": "always"}, calls=10)
_LOGGING = Entry("peer", "stdlib_logging:Logging", calls=300)
_BARE = Entry("peer", "stdlib_logging:Bare", calls=300)
_RUN_FLOOR = Entry("floor", "sqlite_floor:Floor", calls=20)
_RUN = Entry("ours", "ours:Runs", calls=20)


def times(ours: Entry, other: Entry, directory: Path, rounds: int) -> float:
    """Return how many times a call of *other* a call of *ours* takes."""
    samples = race([ours, other], directory, rounds=rounds)
    return ratio(samples[ours.name].medians(), samples[other.name].medians())


def best_of(tries: int, measure: Callable[[int], float], limit: float) -> float:
    """Return the first figure within *limit*, or the least of so many *tries*: noise only ever adds."""
    found: list[float] = []
    for number in range(tries):
        found.append(measure(number))
        if found[-1] <= limit:
            break
    return min(found)


@pytest.mark.parametrize(
    ("ours", "other", "rounds", "limit"),
    [
        pytest.param(_INTERVAL, _LOGGING, 8, 1.5, id="event, interval: asked 0.75 x logging"),
        pytest.param(_INTERVAL, _BARE, 8, 2.0, id="event, interval: asked nothing against the payload alone"),
        pytest.param(_INTERVAL, _WRITE, 8, 12.0, id="event, interval: the floor"),
        pytest.param(_ALWAYS, _SYNC, 30, 2.3, id="event, always: asked 1.15 x write and fdatasync"),
        pytest.param(_RUN, _RUN_FLOOR, 12, 10.0, id="run: asked 2 x both floors"),
    ],
)
def test_a_call_stays_near_its_floor(ours: Entry, other: Entry, rounds: int, limit: float, tmp_path: Path) -> None:
    """Twice what is asked, or what the page shows, is still no alarm."""
    found = best_of(_TRIES, lambda number: times(ours, other, tmp_path / str(number), rounds), limit)

    assert found <= limit


def test_threads_share_their_syncs(tmp_path: Path) -> None:
    """
    Asked are 4 times the durable events that 8 threads write under one lock; here 0.8 times at least.

    On a busy machine both write about as much: whoever waits for the sync waits for a core as well.
    """
    entries = [
        Entry("locked", "write_floor:UnderOneLock", calls=160),
        Entry("ours", "ours:Events", {"fsync": "always"}, calls=160),
    ]

    def slowdown(number: int) -> float:
        samples = race(entries, tmp_path / str(number), rounds=6, act="burst", threads=8)
        return ratio(samples["locked"].rates(), samples["ours"].rates())

    assert best_of(_TRIES, slowdown, 1 / 0.8) <= 1 / 0.8
