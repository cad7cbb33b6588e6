"""The agent may close our files, as code that makes a daemon does: what it opens under their numbers stays its own."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from telemetry.sinks.journal.disk import Disk

fcntl = pytest.importorskip("fcntl")
DAY = "events_20261123.ndjson"
MODES = pytest.mark.parametrize("fsync", ["always", "interval", "never"])


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[int]:
    """A file of the agent's, with a line in it."""
    descriptor = os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"my own line\n")
    yield descriptor
    os.close(descriptor)


def _numbers_of(path: Path) -> list[int]:
    """Return the descriptors that this process has of the file at *path*."""
    found = []
    for number in range(3, 256):
        with suppress(OSError):
            found += [number] if os.path.samestat(os.fstat(number), path.stat()) else []
    return found


def _taken(directory: Path, mine: int) -> list[int]:
    """Put the agent's file in place of each one of the journal's."""
    taken = [number for name in (DAY, ".lock") for number in _numbers_of(directory / name)]
    for number in taken:
        os.dup2(mine, number)
    return taken


@MODES
def test_a_number_that_is_the_agents_now_is_not_written_to(open_journal, tmp_path, mine, numbers, line, fsync, request):
    """No line is lost and none is in the agent's file, which the journal does not close either."""
    journal = open_journal(fsync=fsync)
    journal.append(line(1))
    taken = _taken(tmp_path / "raw", mine)
    request.addfinalizer(lambda: [os.close(number) for number in taken])

    journal.append(line(2))
    journal.append(line(3))
    journal.close()

    assert 2 == len(taken)
    assert [1, 2, 3] == numbers(tmp_path / "raw")
    assert b"my own line\n" == (tmp_path / "mine").read_bytes()
    assert [mine, *taken] == sorted(_numbers_of(tmp_path / "mine"), key=[mine, *taken].index)
    assert [DAY] == [path.name for path in (tmp_path / "raw").glob("events_*")]


@MODES
def test_a_number_that_is_closed_is_not_missed(open_journal, tmp_path, numbers, line, fsync):
    """The next line is in the journal, whoever closed its files."""
    journal = open_journal(fsync=fsync)
    journal.append(line(1))
    for name in (DAY, ".lock"):
        for number in _numbers_of(tmp_path / "raw" / name):
            os.close(number)

    journal.append(line(2))

    assert [1, 2] == numbers(tmp_path / "raw")
    assert 0 == journal.health()["lock_misses"]


def test_a_lock_of_the_agents_stays_its_own(open_journal, tmp_path, mine, line, request):
    """A daemon locks its pid file, which has got the number of our lock: to free that would let a second one in."""
    journal = open_journal()
    journal.append(line(1))
    (number,) = _numbers_of(tmp_path / "raw" / ".lock")
    os.dup2(mine, number)
    request.addfinalizer(lambda: os.close(number))
    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)

    journal.append(line(2))
    journal.close()

    with (tmp_path / "mine").open() as second, pytest.raises(BlockingIOError):
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_was_written_before_is_synced_all_the_same(open_journal, tmp_path, mine, line, request):
    """The sync that is due goes to the journal's file and not to what has its number."""
    synced: list[os.stat_result] = []
    journal = open_journal(fsync="never", disk=Disk(sync=lambda descriptor: synced.append(os.fstat(descriptor))))
    journal.append(line(1))
    taken = _taken(tmp_path / "raw", mine)
    request.addfinalizer(lambda: [os.close(number) for number in taken])

    assert journal.sync(10.0)

    assert [(tmp_path / "raw" / DAY).stat().st_ino] == [found.st_ino for found in synced]


def test_a_sync_of_a_file_that_is_nowhere_is_none(open_journal, tmp_path, mine, line, request):
    """Closed and deleted, what was written to it cannot be made safe: that is said."""
    journal = open_journal(fsync="never")
    journal.append(line(1))
    taken = _taken(tmp_path / "raw", mine)
    request.addfinalizer(lambda: [os.close(number) for number in taken])
    (tmp_path / "raw" / DAY).unlink()

    assert not journal.sync(10.0)


def test_a_line_does_not_go_to_a_file_that_was_just_packed(open_journal, tmp_path, numbers, line):
    """A prune of a machine whose clock is right packs the day of one whose clock is not, between two of its lines."""
    journal = open_journal()
    journal.append(line(1))
    plain = tmp_path / "raw" / DAY
    plain.with_name(f"{DAY}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()

    journal.append(line(2))

    assert [1, 2] == numbers(tmp_path / "raw")
