"""The lock is taken in turns, waited for within bounds, and never in the way when it cannot be had."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.sinks.journal import side_lock
from telemetry.sinks.journal.side_lock import SideLock


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[SideLock, SideLock]]:
    """Two locks on one file, as two processes have them: each has opened it for itself."""
    locks = tuple(SideLock(str(tmp_path / ".lock"), wait_s=0.2) for _ in range(2))
    for lock in locks:
        lock.renew()
    yield locks  # type: ignore[misc]
    for lock in locks:
        lock.close()


def test_one_at_a_time(pair):
    """The second gets it when the first has let go."""
    first, second = pair

    taken = [first.acquire(), second.acquire()]
    first.release()
    taken.append(second.acquire())
    second.release()

    assert [True, False, True] == taken
    assert (0, 0) == (first.misses, first.timeouts)
    assert (1, 1) == (second.misses, second.timeouts)


def test_filelock_and_we_exclude_each_other(pair):
    """On each system it is the lock that filelock takes too."""
    from filelock import FileLock, Timeout

    lock, _ = pair
    other = FileLock(lock.path, timeout=0)

    assert lock.acquire()
    with pytest.raises(Timeout):
        other.acquire()
    lock.release()
    with other:
        assert not lock.acquire()


def test_a_whole_wait_is_waited_once(pair):
    """Who froze with the lock costs its neighbour one wait, not one a line; once it moves, it is waited for again."""
    holder, waiting = pair
    holder.acquire()
    took_s = []

    for _ in range(4):
        started = time.monotonic()
        assert not waiting.acquire()
        took_s.append(time.monotonic() - started)
    holder.release()
    assert waiting.acquire()
    waiting.release()
    holder.acquire()
    assert not waiting.acquire()

    assert took_s[0] >= 0.2
    assert min(took_s[1:]) < 0.2  # a machine that is busy does not hold each of them
    assert (5, 2) == (waiting.misses, waiting.timeouts)


@pytest.mark.parametrize("tries", [1, 25, 70])
def test_it_is_had_soon_after_it_is_free(pair, monkeypatch, tries):
    """First others are let run, then it is looked for often, then once a millisecond."""
    holder, waiting = pair
    holder.acquire()
    pauses: list[float] = []

    def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == tries:
            holder.release()

    monkeypatch.setattr(side_lock.time, "sleep", sleep)

    assert waiting.acquire()
    assert ([0.0] * 20 + [0.00002] * 40 + [0.001] * 10)[:tries] == pauses
    assert 0 == waiting.timeouts


def test_a_deleted_lock_file_is_made_again(pair):
    """Otherwise newcomers would lock another file than we do."""
    first, second = pair
    os.unlink(first.path)

    second.renew()
    is_alone = first.acquire() and second.acquire()
    first.release()
    second.release()
    first.renew()
    first.acquire()

    assert is_alone
    assert not second.acquire()


def test_a_file_system_without_locks_is_no_fault_of_the_line(pair, monkeypatch):
    """Some network file systems have none; the error is told by `health()` and the line is written without."""
    lock, _ = pair

    def refused(descriptor: int, act: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(side_lock, "_flock", refused)

    assert not lock.acquire()
    lock.release()
    assert lock.fault is not None
    assert errno.ENOLCK == lock.fault.errno
    assert 1 == lock.misses


def test_a_lock_file_that_cannot_be_made_is_done_without(tmp_path):
    """Neither opening nor taking it raises."""
    lock = SideLock(str(tmp_path / "nowhere" / ".lock"), wait_s=0.05)

    lock.renew()

    assert not lock.acquire()
    lock.release()
    assert isinstance(lock.fault, FileNotFoundError)


def test_closing_twice_does_no_harm(pair):
    """And after closing it is not had, until it is renewed."""
    lock, _ = pair
    lock.close()
    lock.close()
    without = lock.acquire()

    lock.renew()

    assert (False, True) == (without, lock.acquire())
