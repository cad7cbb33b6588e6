"""Bring what the journal holds behind the cursor, oldest first, and say how far it may be forgotten."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from attrs import frozen

from ...plugins.complaints import Complaints
from ...plugins.records import Record, RunRecord
from ..journal import JournalFile, Reader
from ..journal.files import Stamp
from .completion import completed
from .cursor import Mark, day_of, is_still_there, mark_at
from .item import Item, key_of
from .sources import Source
from .wants import Wants

__all__ = ["Fed", "Feed"]

_MOST_MARKS = 1000
_Spot = tuple[str, str]  # a file's name, as the cursor has it, and the digest of its first line
_complaints = Complaints(logging.getLogger("telemetry.delivery"))


@frozen
class Fed:
    """An item, and where it stands in which file."""

    item: Item
    spot: _Spot
    offset: int
    end: int


class Feed:
    """
    The records behind a cursor, in the order of the journal.

    Not for threads. Made anew whenever the delivery changes hands, because another process moved the cursor then.
    """

    def __init__(self, sources: Sequence[Source], marks: Iterable[Mark], wants: Wants) -> None:
        self._sources = sources
        self._wants = wants
        self._marks = {(mark.name, mark.head): mark for mark in marks}
        self._offsets = {spot: mark.offset for spot, mark in self._marks.items()}
        self._files: dict[str, JournalFile] = {}
        self._stamps: dict[str, Stamp | None] = {}
        self._pass: Generator[Fed] | None = None

    def read(self, limit: int, limit_bytes: int) -> list[Fed]:
        """Return up to *limit* more items, until they pass *limit_bytes*; none when the end is reached."""
        found: list[Fed] = []
        try:
            while len(found) < limit and limit_bytes > 0 and (fed := self._next()) is not None:
                found.append(fed)
                limit_bytes -= fed.end - fed.offset
        except BaseException:
            # A generator that raised is dead, and would pass for one that has come to the end of the journal.
            self._pass = None
            self._offsets.update((fed.spot, fed.offset) for fed in reversed(found))
            raise
        return found

    def _next(self) -> Fed | None:
        if self._pass is None:
            self._pass = self._one_pass()
        fed = next(self._pass, None)
        if fed is None:
            self._pass = None
        return fed

    def close(self) -> None:
        """Let go of the open file; what comes next is read anew from where it stopped."""
        if self._pass is not None:
            self._pass.close()
            self._pass = None

    def _one_pass(self) -> Generator[Fed]:
        for source in self._sources:
            # The newest file is measured first: around midnight a run's first line may go to the old file and its
            # next one to the new, and whatever of the new one is within its measure, the lines before it are too.
            measured = [(file, None if file.is_closed else file.stamp) for file in reversed(source.files())]
            known = self._offsets_by_name()
            for file, stamp in reversed(measured):
                name, size = source.name_of(file), stamp and stamp.size
                self._files[name] = file
                if size == 0:
                    continue  # gzipped since it was listed, as likely as not: the next pass finds it under its new name
                # Few files have news, and the rest must stay cheap: the digest of a first line costs 50 us, of a
                # gzipped file 2 ms, and there may be hundreds.
                is_read = _is_read(file, size, known.get(name, ())) and self._is_as_it_was(name, stamp)
                if not is_read and (head := file.head) is not None:
                    self._stamps[name] = stamp
                    yield from self._items_of(source, file, (name, head), size)

    def _is_as_it_was(self, name: str, stamp: Stamp | None) -> bool:
        """Return whether the file *name*, of the size that was read, can be no other one by that name."""
        return stamp is None or not stamp.is_recent or stamp == self._stamps.get(name)

    def _offsets_by_name(self) -> dict[str, list[int]]:
        known: dict[str, list[int]] = {}
        for (name, _), offset in self._offsets.items():
            known.setdefault(name, []).append(offset)
        return known

    def _items_of(self, source: Source, file: JournalFile, spot: _Spot, size: int | None) -> Generator[Fed]:
        reader = Reader(file, self._start_in(file, spot, size), kinds=self._wants.kinds)
        for offset, end, record in reader:
            if size is not None and offset >= size:
                self._offsets[spot] = offset
                return
            fed = None
            if self._wants.passes(record):
                fed = Fed(self._item(record, source, file, offset), spot, offset, end)
            self._offsets[spot] = end
            if fed is not None:
                yield fed
        self._offsets[spot] = reader.position

    def _start_in(self, file: JournalFile, spot: _Spot, size: int | None) -> int:
        offset, mark = self._offsets.get(spot, 0), self._marks.get(spot)
        is_cut = size is not None and size < offset
        if is_cut or (mark is not None and mark.offset == offset and not is_still_there(file, mark)):
            _complaints.say(
                f"cut:{file.path}", "%s lost lines that were delivered; it is delivered again, whole", file.path
            )
            return 0
        return offset

    def _item(self, record: Record, source: Source, file: JournalFile, offset: int) -> Item:
        key = key_of(record)
        if self._wants.completes and isinstance(record, RunRecord):
            record = completed(record, source.directory, file.name, offset)
        return Item(key, record)

    @property
    def unsaved_bytes(self) -> int:
        """How far reading is ahead of the marks that were asked for last."""
        saved = sum(mark.offset for mark in self._marks.values())
        return abs(sum(self._offsets.values()) - saved)

    def marks(self, pending: Sequence[Fed] = ()) -> tuple[Mark, ...]:
        """Return the marks to keep: behind all that was read, but before every item in *pending*."""
        offsets = dict(self._offsets)
        for fed in reversed(pending):
            offsets[fed.spot] = fed.offset
        for spot, offset in offsets.items():
            mark = self._marks.get(spot)
            if mark is None or mark.offset != offset:
                self._marks[spot] = mark_at(self._files[spot[0]], *spot, offset)
        self._forget_oldest()
        return tuple(self._marks.values())

    def _forget_oldest(self) -> None:
        # A mark of a file that is gone stays a while: the file may only be on its way back, by rsync or a restore.
        gone = [spot for spot in self._marks if spot[0] not in self._files]
        for spot in gone[: max(0, len(self._marks) - _MOST_MARKS)]:
            del self._marks[spot], self._offsets[spot]

    def delete_delivered(self) -> None:
        """Delete what is delivered of our own journal, but for today and yesterday: writers may be at it still."""
        last_day = f"{datetime.now(UTC) - timedelta(days=2):%Y%m%d}"
        known = self._offsets_by_name()
        for source in self._sources:
            for file in source.files() if source.is_own else ():
                name = source.name_of(file)
                if day_of(file) <= last_day and _is_read(file, file.size, known.get(name, ())):
                    file.path.unlink(missing_ok=True)
                    self._forget(name)

    def _forget(self, name: str) -> None:
        for spot in [spot for spot in self._marks if spot[0] == name]:
            del self._marks[spot], self._offsets[spot]


def _is_read(file: JournalFile, size: int | None, offsets: Iterable[int]) -> bool:
    """Return whether one of *offsets* is the end of *file*; *size* is None when it would have to be unpacked."""
    return any(not file.has_more(offset) if size is None else offset == size for offset in offsets)
