"""Read the events that no store has indexed yet from the journal itself, so that an answer is whole at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from ...plugins import RunEvent
from ..journal import journal_files
from .cursors import EVENTS, Cursor, find_cursor, unread
from .event_lines import EventLine, EventReader
from .opening import Opened
from .storable import payload_of

__all__ = ["Unindexed", "find_unindexed"]

_LAST_ID = (1 << 63) - 1


@frozen
class Unindexed:
    """
    What lies behind the cursors of a store at one moment.

    `last_id` was the highest id in the index then: what was indexed since by another process lies behind a cursor too.
    """

    cursors: Sequence[Cursor] = ()
    last_id: int = _LAST_ID

    @property
    def is_repeated(self) -> bool:
        """Whether some of these events may be in the index already, under another id."""
        return any(cursor.is_repeated for cursor in self.cursors)

    def without_those_of_the_rest(self, page: Iterable[RunEvent]) -> Iterator[RunEvent]:
        """Yield the events of a *page* of the index that `events()` does not yield again."""
        for event in page:
            event_id = event.id or 0
            if event_id <= self.last_id and not any(cursor.is_ahead(event_id) for cursor in self.cursors):
                yield event

    def events(self, run_id: str | None, event_type: str | None) -> Iterator[RunEvent]:
        """Yield the events behind the cursors, of one run or type only where they are given."""
        for cursor in self.cursors:
            for line in EventReader(cursor.file, cursor.offset, run_id=run_id):
                if run_id in (None, line.run_id) and event_type in (None, line.event_type):
                    yield _event(cursor, line)


def find_unindexed(opened: Opened, journal_dir: Path) -> Unindexed:
    """Return what the store in front of us has not indexed of the journal in *journal_dir*."""
    files = unread(opened, journal_files(journal_dir), EVENTS)
    found = [find_cursor(opened, file, EVENTS) for file in files]
    return Unindexed([cursor for cursor in found if cursor is not None], _last_id(opened))


def _last_id(opened: Opened) -> int:
    if "run_events" not in opened.shape.tables:
        return _LAST_ID
    (last_id,) = opened.connection.execute("SELECT max(id) FROM run_events").fetchone()
    return last_id or 0


def _event(cursor: Cursor, line: EventLine) -> RunEvent:
    event_id = None if cursor.file_no is None else cursor.event_id(line.offset)
    return RunEvent(line.run_id, line.event_type, line.timestamp, payload_of(line.payload_json), id=event_id)
