"""The length of a WAL is told rightly, though its file keeps its length from round to round."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.sinks.sqlite.wal import Wal

_FULL = 200_000


@pytest.fixture(params=[512, 4096, 65536])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database of this page size in WAL mode, which nobody checkpoints."""
    with contextlib.closing(sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)) as made:
        made.execute(f"PRAGMA page_size = {request.param}")
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("PRAGMA wal_autocheckpoint = 0")
        made.execute("CREATE TABLE t (x)")
        yield made


@pytest.fixture
def wal(tmp_path: Path) -> Iterator[Wal]:
    """The WAL of that database."""
    found = Wal(str(tmp_path / "a.sqlite-wal"))
    yield found
    found.close()


def _frames(connection: sqlite3.Connection) -> int:
    """Return how many frames SQLite says are in use."""
    return int(connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])


def _begin_anew(connection: sqlite3.Connection) -> None:
    assert 0 == connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]
    connection.execute("PRAGMA user_version = 7")


def test_it_tells_what_sqlite_tells(connection: sqlite3.Connection, wal: Wal) -> None:
    """In the first round, where the file is as long as its part in use, and in later ones, where it is longer."""
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    for size in (300_000, 20_000, 250_000):
        connection.execute("INSERT INTO t VALUES (zeroblob(?))", (size,))

        used = wal.used_bytes()

        assert 32 + _frames(connection) * (24 + page_bytes) == used
        assert [True, False] == [wal.reaches(used), wal.reaches(used + 1)]
        assert (used >= _FULL) == wal.is_full(_FULL)
        _begin_anew(connection)
    assert wal.used_bytes() < _FULL < os.stat(wal.path).st_size


def test_it_is_full_when_the_part_in_use_is(connection: sqlite3.Connection, wal: Wal) -> None:
    """Asked after every commit, over some rounds: never before it is, and within a page of it."""
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    for _ in range(3):
        while not wal.is_full(_FULL):
            assert wal.used_bytes() < max(_FULL, 32 + 24 + page_bytes)
            connection.execute("INSERT INTO t VALUES (zeroblob(1000))")
        assert wal.used_bytes() > _FULL - 24 - page_bytes
        _begin_anew(connection)


def test_where_nothing_is_written_it_is_empty(tmp_path: Path) -> None:
    """No file, and an empty one."""
    wal = Wal(str(tmp_path / "a.sqlite-wal"))
    assert (0, False, False) == (wal.used_bytes(), wal.reaches(1), wal.is_full(1))

    Path(wal.path).touch()

    assert (0, False, False) == (wal.used_bytes(), wal.reaches(1), wal.is_full(1))
    wal.close()


def test_one_that_is_cut_to_nothing_is_not_full(connection: sqlite3.Connection, wal: Wal) -> None:
    """Another program may do so between two looks."""
    connection.execute("INSERT INTO t VALUES (zeroblob(300000))")
    assert wal.is_full(_FULL)
    _begin_anew(connection)
    assert not wal.is_full(_FULL)

    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    assert not wal.is_full(_FULL)


def test_a_wal_that_is_dropped_leaves_no_descriptor(connection: sqlite3.Connection, wal: Wal) -> None:
    """A client that nobody closes holds none for ever."""
    dropped = Wal(wal.path)
    assert not dropped.is_full(2**30)
    descriptor = dropped._descriptor
    assert descriptor is not None

    del dropped

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
