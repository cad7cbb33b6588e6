"""Remember in the store how far each journal file was read, so that rows and cursor are committed together."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import attrs
from attrs import frozen

from ..journal import JournalFile
from ..journal.files import Stamp
from .opening import Opened

__all__ = [
    "EVENTS",
    "RUNS",
    "Cursor",
    "find_cursor",
    "move_cursor",
    "register",
    "settle_cursor",
    "tail_of",
    "unread",
    "unregistered",
]

RUNS = "runs"
EVENTS = "events"
_NO_TAILS = "'', ''"
_MOST_LOOKED_AT = 1000
_OFFSET_BITS = 40  # a file of 1 TB, and four million files, before the id of an event outgrows SQLite's 63 bits


@frozen
class Cursor:
    """
    How far one pass has read one file.

    `file_no` is None while the store does not know the file; `replaces` is then the number of the file that had its
    name before. `is_repeated` says that lines of the file may be indexed already under another number.
    """

    file: JournalFile
    kind: str
    head: str
    offset: int
    file_no: int | None
    replaces: int | None
    is_repeated: bool

    def event_id(self, offset: int) -> int:
        """Return the row id of the event whose line begins at *offset*; the same at each reading of the file."""
        return (self.file_no or 0) << _OFFSET_BITS | offset

    def is_ahead(self, event_id: int) -> bool:
        """Whether *event_id* is that of a line of this file which the pass has not read."""
        if event_id >> _OFFSET_BITS != self.file_no:
            return False
        return event_id & ((1 << _OFFSET_BITS) - 1) >= self.offset


class _Row(NamedTuple):
    file_no: int
    head: str
    runs_offset: int
    events_offset: int
    runs_tail: str
    events_tail: str
    first_no: int

    @property
    def furthest(self) -> int:
        return max(self.runs_offset, self.events_offset)

    def offset(self, kind: str) -> int:
        return self.runs_offset if kind == RUNS else self.events_offset

    def is_another(self, file: JournalFile, head: str, kind: str) -> bool:
        """Whether *file* with the first line *head* is not the one that was read, or lost lines that were."""
        if self.head not in (head, ""):
            return True
        tail = self.runs_tail if kind == RUNS else self.events_tail
        # Earlier versions, and a replay, move the offset alone: then the tail speaks of another one.
        offset = self.offset(kind)
        return tail.startswith(f"{offset}:") and not file.is_closed and tail != tail_of(file, offset)


# An agent's questions take 0.2 ms, and to read the first line for each of them would make that 0.3.
_looked_at: dict[tuple[Path, str], tuple[Stamp, _Row]] = {}


def unregistered(opened: Opened, files: Sequence[JournalFile]) -> list[JournalFile]:
    """Return those of *files* that the store does not know and that hold something."""
    known = set()
    if "journal_files" in opened.shape.tables:
        known = {name for (name,) in opened.connection.execute("SELECT DISTINCT name FROM journal_files")}
    return [file for file in files if file.name not in known and file.has_more(0)]


def register(connection: sqlite3.Connection, files: Sequence[tuple[str, str]]) -> None:
    """
    Give numbers to *files*, pairs of name and head, in their order; without commit.

    All at once, since events are told in the order of their files: were each pass to number the files in which it
    finds something, a day without runs would get its number after the next one.
    """
    sql = (
        "INSERT INTO journal_files (name, head) SELECT :name, :head WHERE :name NOT IN (SELECT name FROM journal_files)"
    )
    for name, head in files:
        connection.execute(sql, {"name": name, "head": head})


def unread(opened: Opened, files: Sequence[JournalFile], kind: str) -> list[JournalFile]:
    """Return those of *files* in which the pass *kind* may find something; one query and one look at each file."""
    if "journal_files" not in opened.shape.tables:
        return list(files)
    # Whether it is the first of its name is not asked here.
    columns = f"file_no, head, runs_offset, events_offset, {_tails(opened)}, 0"
    rows = opened.connection.execute(f"SELECT name, {columns} FROM journal_files ORDER BY file_no")
    latest = {name: _Row(*row) for name, *row in rows}
    return [file for file in files if _has_more(file, latest.get(file.name), kind)]


def _has_more(file: JournalFile, row: _Row | None, kind: str) -> bool:
    if row is None:
        return True
    if file.is_closed:
        return file.has_more(row.offset(kind))
    stamp = file.stamp
    if stamp.size > row.offset(kind) or stamp.size < row.furthest:
        return True
    return stamp.is_recent and _is_replaced(file, stamp, row, kind)


def _is_replaced(file: JournalFile, stamp: Stamp, row: _Row, kind: str) -> bool:
    """Return whether *file*, of the size that was read, is another one; costs 0.1 ms once for each state of it."""
    if _looked_at.get((file.path, kind)) == (stamp, row):
        return False
    if row.is_another(file, file.head or "", kind):
        return True
    if len(_looked_at) >= _MOST_LOOKED_AT:
        _looked_at.clear()
    _looked_at[file.path, kind] = (stamp, row)
    return False


def find_cursor(opened: Opened, file: JournalFile, kind: str) -> Cursor | None:
    """
    Return where the pass *kind* goes on in *file*, None when it has read it all; that costs one look at the file.

    A file whose first line has changed, or that is shorter than it was, is another file and read from its start.
    """
    has_cursors = "journal_files" in opened.shape.tables
    row = _latest(opened.connection, file.name, _tails(opened)) if has_cursors else None
    if not _has_more(file, row, kind):
        return None
    head = file.head or ""
    if row is None:
        return Cursor(file, kind, head, 0, None, None, is_repeated=".r" in file.name)
    if row.is_another(file, head, kind) or _is_shorter(file, row):
        return Cursor(file, kind, head, 0, None, row.file_no, is_repeated=True)
    is_repeated = ".r" in file.name or row.file_no != row.first_no
    return Cursor(file, kind, head, row.offset(kind), row.file_no, None, is_repeated)


def _tails(opened: Opened) -> str:
    # Whoever only reads may meet a store of an earlier version, which has no such columns.
    return "runs_tail, events_tail" if opened.shape.has_tails else _NO_TAILS


def _latest(connection: sqlite3.Connection, name: str, tails: str = _NO_TAILS) -> _Row | None:
    sql = (
        f"SELECT file_no, head, runs_offset, events_offset, {tails}, min(file_no) OVER () FROM journal_files "
        "WHERE name = ? ORDER BY file_no DESC LIMIT 1"
    )
    row = connection.execute(sql, (name,)).fetchone()
    return None if row is None else _Row(*row)


def _is_shorter(file: JournalFile, row: _Row) -> bool:
    # A closed file cannot shrink without being damaged, and its size would cost a whole reading.
    return not file.is_closed and file.size < row.furthest


def settle_cursor(connection: sqlite3.Connection, cursor: Cursor) -> Cursor | None:
    """
    Return *cursor* with the number of its file, inside a transaction; None when another process was here meanwhile.
    """
    row = _latest(connection, cursor.file.name)
    if cursor.file_no is None:
        is_as_found = (None if row is None else row.file_no) == cursor.replaces
        return attrs.evolve(cursor, file_no=_registered(connection, cursor)) if is_as_found else None
    if row is None or (row.file_no, row.offset(cursor.kind)) != (cursor.file_no, cursor.offset):
        return None
    if row.head != cursor.head:  # the first line has got its newline since
        connection.execute("UPDATE journal_files SET head = ? WHERE file_no = ?", (cursor.head, cursor.file_no))
    return cursor


def _registered(connection: sqlite3.Connection, cursor: Cursor) -> int | None:
    identity = (cursor.file.name, cursor.head)
    # A file that came back shorter has the head of the one before, whose row keeps its number: its events are named
    # by it.
    retire = "UPDATE journal_files SET head = head || '~' || file_no WHERE name = ? AND head = ?"
    connection.execute(retire, identity)
    return connection.execute("INSERT INTO journal_files (name, head) VALUES (?, ?)", identity).lastrowid


def tail_of(file: JournalFile, offset: int) -> str:
    """Return what the store keeps of the bytes before *offset*."""
    return f"{offset}:{file.tail_before(offset)}"


def move_cursor(connection: sqlite3.Connection, cursor: Cursor, offset: int, tail: str) -> Cursor:
    """
    Put *cursor* forward to *offset*, in the transaction that stores what lies before it.

    Args:
        tail: what `tail_of()` says there; read before the transaction, which others wait for.
    """
    sql = f"UPDATE journal_files SET {cursor.kind}_offset = ?, {cursor.kind}_tail = ? WHERE file_no = ?"
    connection.execute(sql, (offset, tail, cursor.file_no))
    return attrs.evolve(cursor, offset=offset)
