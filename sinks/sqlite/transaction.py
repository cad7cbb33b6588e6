"""Lend a store's connection for one piece of work, and leave no lock and no half transaction behind it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

from ...plugins.errors import Refused, Retryable, TelemetryError
from .faults import NAMED, named
from .opening import Opened
from .patience import patiently
from .turns import Turn

__all__ = ["Transaction", "unshared"]


class _Lockable(Protocol):
    path: Path

    def take(self, turn: Turn, wait_s: float) -> None: ...

    def give_back(self, turn: Turn | None) -> None: ...

    def lock_file(self, wait_s: float) -> None: ...

    def unlock_file(self) -> None: ...

    def opened(self, wait_s: float) -> Opened: ...

    def drop(self) -> None: ...


class Transaction:
    """
    Lend the connection of a `Database` for one piece of work.

    A class and not a generator: three nested context managers cost 5 us a write, this one costs 1.
    """

    __slots__ = ("_begins", "_database", "_is_writing", "_opened", "_turn", "_wait_s")

    def __init__(self, database: _Lockable, wait_s: float, *, is_writing: bool, begins: bool = True) -> None:
        self._database = database
        self._wait_s = wait_s
        self._is_writing = is_writing
        self._begins = begins
        self._opened: Opened | None = None
        self._turn: Turn | None = None

    def __enter__(self) -> Opened:
        turn = self._turn = Turn()
        try:
            self._database.take(turn, self._wait_s)
            opened = self._opened = self._database.opened(self._wait_s)
            if self._is_writing:
                self._database.lock_file(self._wait_s)
                if self._begins:
                    self._begin(opened.connection)
        except BaseException as error:
            self._leave(error)
            raise
        return opened

    def _begin(self, connection: sqlite3.Connection) -> None:
        end = time.monotonic() + self._wait_s
        patiently(lambda: connection.execute("BEGIN IMMEDIATE"), end)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._is_writing and self._begins and self._opened is not None:
                self._opened.connection.execute("COMMIT")
            self._leave(error)
        except BaseException as failure:
            # COMMIT failed, or a KeyboardInterrupt broke off what stands above; leaving twice does no harm.
            self._leave(failure)
            raise

    def _leave(self, error: BaseException | None) -> None:
        """Undo what is open, let everybody in again, and say what *error* means for the store."""
        failure = None
        if isinstance(error, NAMED) and not isinstance(error, TelemetryError):
            failure = named(error, self._database.path)
        try:
            if error is not None and self._opened is not None:
                self._undo(self._opened.connection, failure)
        finally:
            self._let_go()
        if failure is not None:
            raise failure from error

    def _undo(self, connection: sqlite3.Connection, failure: Exception | None) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._database.drop()  # closing rolls back whatever is left
        if failure is not None and not isinstance(failure, Retryable | Refused):
            self._database.drop()  # the next use looks at the file anew: it may have another shape by now

    def _let_go(self) -> None:
        if self._is_writing and self._opened is not None:
            self._database.unlock_file()
        self._database.give_back(self._turn)
        self._opened = self._turn = None


@contextmanager
def unshared(opened: Opened) -> Iterator[Opened]:
    """Lend a connection inside a transaction where nobody else is that would have to be waited for."""
    opened.connection.execute("BEGIN")
    try:
        yield opened
        opened.connection.execute("COMMIT")
    finally:
        if opened.connection.in_transaction:
            opened.connection.execute("ROLLBACK")
