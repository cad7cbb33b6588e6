"""Bring a store up to its journal, in batches that carry their cursor along: it can stop anywhere and go on there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from ..journal import JournalFile, Reader, journal_files
from .connection import Opened
from .cursors import (
    EVENTS,
    RUNS,
    Cursor,
    find_cursor,
    move_cursor,
    register,
    settle_cursor,
    tail_of,
    unread,
    unregistered,
)
from .event_lines import EventReader, store_events
from .pruned import LINE_KINDS, store_lines

__all__ = ["EVENTS", "RUNS", "CatchUp", "Writable"]

_FIRST_LINES = 256
# With 8192 of either a rebuild reached 62 of the 64 MiB that it may have; with these 53, in the same time.
_MOST_LINES = {RUNS: 1024, EVENTS: 4096}
_MOST_BYTES = 4 << 20
_HELD_S = 0.02  # aimed at; the limit for holding the write lock is 0.05
_HELD_ALONE_S = 0.2
_WORTH_A_WRITE_BYTES = 1 << 20


class Writable(Protocol):
    """A store that lends its connection, for reading or inside a transaction."""

    def reading(self) -> AbstractContextManager[Opened]:
        """Lend the connection for queries."""
        ...

    def writing(self, wait_s: float) -> AbstractContextManager[Opened]:
        """Lend the connection inside a transaction."""
        ...

    def checkpoint(self, wait_s: float) -> bool:
        """Keep what is written aside of the file from growing; return whether it is short now."""
        ...


class CatchUp:
    """
    Read what a journal has that a store has not.

    Two passes with cursors of their own: `RUNS` folds the lines about runs and skips events without decoding them,
    so that it stays fast behind millions of them; `EVENTS` indexes the events. Several processes may catch up at
    once: whoever comes second finds the cursor moved and goes on from there. What is in the store and not in the
    journal stays.

    Args:
        wait_s: how long a batch may wait for the store's write lock.
        lines: how many lines the first batch of a pass has; later ones have as many as 20 ms are enough for.
        is_alone: nobody else waits for the store, so that a batch may take 200 ms.
    """

    def __init__(
        self,
        database: Writable,
        journal_dir: Path,
        *,
        wait_s: float = 1.0,
        lines: int = _FIRST_LINES,
        is_alone: bool = False,
    ) -> None:
        self._database = database
        self._journal_dir = journal_dir
        self._wait_s = wait_s
        self._lines = {RUNS: lines, EVENTS: lines}
        self._held_s = _HELD_ALONE_S if is_alone else _HELD_S

    def run(
        self,
        *passes: str,
        deadline_s: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> bool:
        """
        Catch up with *passes*; return False when *deadline_s* seconds were over before the journal's end.

        What was done until then stays done, and the next call goes on there.

        Args:
            progress: called after each batch with the count of journal bytes that it covered.

        Raises:
            Retryable: somebody else held the store for longer than `wait_s`.
            StoreError: the store cannot be written.
        """
        end = None if deadline_s is None else time.monotonic() + deadline_s
        files = journal_files(self._journal_dir)
        self._register(files)
        for kind in passes:
            for file in self._unread(files, kind):
                for covered in self._batches(file, kind):
                    if progress is not None:
                        progress(covered)
                    if end is not None and time.monotonic() >= end:
                        return False
        return True

    def _register(self, files: list[JournalFile]) -> None:
        with self._database.reading() as opened:
            new = unregistered(opened, files)
        if new:
            heads = [(file.name, file.head or "") for file in new]  # read before the lock is taken
            with self._database.writing(self._wait_s) as opened:
                register(opened.connection, heads)

    def _unread(self, files: list[JournalFile], kind: str) -> list[JournalFile]:
        """Leave out what was read to its end: on 730 days each question cost 87 ms when every file was asked for."""
        with self._database.reading() as opened:
            return unread(opened, files, kind)

    def _batches(self, file: JournalFile, kind: str) -> Iterator[int]:
        """Store batch after batch of one file; yield the count of bytes that each covered."""
        while (cursor := self._find(file, kind)) is not None:
            source = _source(file, cursor)
            for found in self._batched(source, kind):
                if not found and source.position - cursor.offset < _WORTH_A_WRITE_BYTES:
                    return  # only lines of the other pass, which are passed over again in a moment
                moved = self._stored(cursor, found, source.position)
                if moved is None:
                    break  # another process stored these lines; its cursor says where to go on
                self._database.checkpoint(self._wait_s)
                yield moved.offset - cursor.offset
                cursor = moved
            else:
                return

    def _find(self, file: JournalFile, kind: str) -> Cursor | None:
        with self._database.reading() as opened:
            return find_cursor(opened, file, kind)

    def _batched(self, source: _Source, kind: str) -> Iterator[list[Any]]:
        """Yield what *source* finds in lists that fit into one transaction; the last one may be empty."""
        found: list[Any] = []
        start = source.position
        for item in source:
            found.append(item)
            if len(found) >= self._lines[kind] or source.position - start >= _MOST_BYTES:
                yield found
                found, start = [], source.position
        yield found

    def _stored(self, cursor: Cursor, found: list[Any], position: int) -> Cursor | None:
        """Store what was *found* behind *cursor* and move it; return None when it had been moved already."""
        tail = tail_of(cursor.file, position)
        with self._database.writing(self._wait_s) as opened:
            began = time.monotonic()
            settled = settle_cursor(opened.connection, cursor)
            if settled is None:
                return None
            _store(opened, settled, found)
            moved = move_cursor(opened.connection, settled, position, tail)
        self._adapt(cursor.kind, len(found), time.monotonic() - began)
        return moved

    def _adapt(self, kind: str, count: int, held_s: float) -> None:
        """Choose how many lines the next batch has, by how long this one held the lock."""
        fitting = int(count * self._held_s / max(held_s, 1e-6))
        self._lines[kind] = max(1, min(fitting, 2 * self._lines[kind], _MOST_LINES[kind]))


class _Source(Protocol):
    """A reader of one pass: yields what it finds, and knows up to where it has read."""

    position: int

    def __iter__(self) -> Iterator[Any]: ...


def _source(file: JournalFile, cursor: Cursor) -> _Source:
    if cursor.kind == RUNS:
        return Reader(file, cursor.offset, kinds=LINE_KINDS)
    return EventReader(file, cursor.offset)


def _store(opened: Opened, cursor: Cursor, found: list[Any]) -> None:
    if cursor.kind == RUNS:
        store_lines(opened.connection, opened.shape, (line for _, _, line in found))
    else:
        store_events(opened.connection, opened.shape, cursor, found)
