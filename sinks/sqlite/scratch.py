"""Lend a database that nobody else sees and that leaves nothing behind: in memory, on disk only as far as it must."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import migrate
from .faults import named
from .opening import Opened
from .shapes import inspect
from .transaction import unshared

__all__ = ["ScratchDatabase"]

_PRAGMAS = """
PRAGMA mmap_size = 0;
PRAGMA foreign_keys = OFF;
PRAGMA synchronous = OFF;
PRAGMA journal_mode = MEMORY;
"""
_PLACE = Path("the temporary database")
_inherited: list[Opened] = []


class ScratchDatabase:
    """
    A store in SQLite's temporary database, for those who read a journal without keeping a database.

    SQLite keeps it in memory up to its cache size and puts the rest into a file that has no name. After a fork the
    child starts with an empty one, since the two would write into the same file.
    """

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.RLock()
        self._opened: Opened | None = None

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """
        Lend the connection for queries.

        Raises:
            StoreError: the disk is full, or has no room for temporary files.
        """
        if self._pid != os.getpid():
            self._abandon()
        with self._mutex:
            try:
                self._opened = self._opened or _open()
                yield self._opened
            except (sqlite3.Error, OSError) as error:
                raise named(error, _PLACE) from error

    def _abandon(self) -> None:
        if self._opened is not None:
            _inherited.append(self._opened)  # what closing does to the file would be done to the parent's
        self._renew()

    @contextmanager
    def writing(self, wait_s: float) -> Iterator[Opened]:
        """Lend the connection inside a transaction; *wait_s* is never needed."""
        with self.reading() as opened, unshared(opened):
            yield opened

    def checkpoint(self, wait_s: float) -> bool:
        """Do nothing: there is no WAL."""
        return True

    def close(self) -> None:
        """Forget everything."""
        with self._mutex:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.connection.close()


def _open() -> Opened:
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.executescript(_PRAGMAS)
    migrate.prepare(connection, _PLACE)
    return Opened(connection, inspect(connection), is_wal=False, is_new=True, identity=None)
