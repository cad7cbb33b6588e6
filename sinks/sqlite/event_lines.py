"""Index the journal's events: each line once, whatever is read again."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, NamedTuple

import msgspec

from ...plugins import RunEvent
from ...plugins.complaints import Complaints
from ...plugins.lines import records_in
from ...plugins.merge import placeholder
from ..journal import JournalFile, Reader
from ..journal.files import gzip_faults
from ..journal.reading import part_of
from .cursors import Cursor
from .pruned import pruned_among
from .shapes import Shape
from .writes import save_run

__all__ = ["EventLine", "EventReader", "store_events"]

_INSERT = "INSERT OR IGNORE INTO run_events (id, run_id, event_type, timestamp, payload_json) VALUES (?, ?, ?, ?, ?)"
_INSERT_UNNUMBERED = "INSERT INTO run_events (run_id, event_type, timestamp, payload_json) VALUES (?, ?, ?, ?)"
_IS_KNOWN = (
    "SELECT 1 FROM run_events WHERE run_id = ? AND event_type = ? AND timestamp = ? AND payload_json IS ? LIMIT 1"
)
_BY_ID = "SELECT run_id, event_type, timestamp, payload_json FROM run_events WHERE id = ?"
_FREE_IDS = 1 << 62
_BLOCK_BYTES = 1 << 20
_complaints = Complaints(logging.getLogger("telemetry.sqlite"))


class EventLine(NamedTuple):
    """An event as it stands in run_events, and the byte position of its line."""

    offset: int
    run_id: str
    event_type: str
    timestamp: str
    payload_json: str | None


class _Line(msgspec.Struct, tag_field="record_type", tag="event"):
    run_id: str
    event_type: str
    timestamp: str
    payload: msgspec.Raw
    payload_json: None = None


_decode = msgspec.json.Decoder(_Line).decode


class EventReader:
    """
    Read the events of one file from a position on; `position` is where reading goes on.

    The payload goes into the store as the text that it is in the journal, so it is not decoded: 2 us an event, where
    `Reader` takes 8. A line that is not as this platform writes it is left to the rules that `Reader` keeps.

    Args:
        run_id: yields the events of this run, and may yield others; blocks without them are passed over at 5 GB/s.
    """

    def __init__(self, file: JournalFile, offset: int = 0, *, run_id: str | None = None) -> None:
        self.file = file
        self.position = offset
        self._mark = (part_of(run_id) if run_id is not None else b"") or b'"event"'

    def __iter__(self) -> Iterator[EventLine]:
        # What cannot be opened or unpacked is met again by the reader below, which knows what to say.
        with suppress(FileNotFoundError, *gzip_faults()), self.file.open() as stream:
            stream.seek(self.position)
            for block in _whole_lines(stream):
                yield from self._in_block(block)
        rest = Reader(self.file, self.position, kinds=("event",))
        for offset, end, event in rest:
            self.position = end
            if isinstance(event, RunEvent):
                yield _of_record(offset, event)
        self.position = rest.position

    def _in_block(self, block: bytes) -> Iterator[EventLine]:
        start = offset = self.position
        for line in block.split(b"\n")[:-1] if self._mark in block else ():
            end = offset + len(line) + 1
            if self._mark in line:
                for event in _events_in(line, offset):
                    self.position = end
                    yield event
            offset = end
        self.position = start + len(block)


def _whole_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of *stream* in blocks of whole lines, without an unterminated tail."""
    held: list[bytes] = []
    while chunk := stream.read1(_BLOCK_BYTES):  # type: ignore[attr-defined]  # both kinds of stream have it
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join((*held, chunk[:cut]))
            held.clear()
        held.append(chunk[cut:])


def _events_in(line: bytes, offset: int) -> Sequence[EventLine]:
    try:
        event = _decode(line)
        payload = str(event.payload, "utf-8")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _events_in_odd_line(line, offset)
    if not (event.run_id and event.event_type and event.timestamp):
        return _events_in_odd_line(line, offset)
    return (EventLine(offset, event.run_id, event.event_type, event.timestamp, None if payload == "null" else payload),)


def _events_in_odd_line(line: bytes, offset: int) -> Sequence[EventLine]:
    """Return the events in a line that an earlier writer wrote, or that is damaged."""
    return [_of_record(offset + first, event) for first, _, event in records_in(line) if isinstance(event, RunEvent)]


def _of_record(offset: int, event: RunEvent) -> EventLine:
    return EventLine(offset, event.run_id, event.event_type, event.timestamp, event.payload_json)


def store_events(connection: sqlite3.Connection, shape: Shape, cursor: Cursor, events: Sequence[EventLine]) -> None:
    """Put *events*, found behind *cursor*, into run_events, without commit; one that is there already stays single."""
    if pruned := _add_placeholders(connection, shape, events):
        events = [event for event in events if event.run_id not in pruned]
    rows = [(cursor.event_id(event.offset), *event[1:]) for event in events]
    if cursor.is_repeated:
        rows = [row for row in rows if not _is_known(connection, row[1:])]
    if connection.executemany(_INSERT, rows).rowcount < len(rows):
        _settle_clashes(connection, rows)


def _add_placeholders(connection: sqlite3.Connection, shape: Shape, events: Sequence[EventLine]) -> set[str]:
    """Give each event a run that it belongs to; return the ids of those runs that were pruned, which get none."""
    # run_events references agent_runs: a program that checks foreign keys must find no dangling event. And a run of
    # which only an event is known did run.
    first_seen = {event.run_id: event.timestamp for event in reversed(events)}
    is_stored = "SELECT 1 FROM agent_runs WHERE run_id = ?"
    unknown = [run_id for run_id in first_seen if connection.execute(is_stored, (run_id,)).fetchone() is None]
    pruned = pruned_among(connection, unknown)
    for run_id in unknown:
        if run_id not in pruned:
            save_run(connection, shape, placeholder(run_id, first_seen[run_id]))
    return pruned


def _is_known(connection: sqlite3.Connection, values: tuple[Any, ...]) -> bool:
    return connection.execute(_IS_KNOWN, values).fetchone() is not None


def _settle_clashes(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """
    Store those of *rows* whose id a row of another program has.

    Such a program counts on from the highest id, right into the ids of our next lines. This happens once: its
    counter is put to where our ids never come.
    """
    clashing = [row[1:] for row in rows if connection.execute(_BY_ID, row[:1]).fetchone() != row[1:]]
    connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'run_events' AND seq < ?", (_FREE_IDS,) * 2)
    for values in clashing:
        if not _is_known(connection, values):
            _insert_unnumbered(connection, values)


def _insert_unnumbered(connection: sqlite3.Connection, values: tuple[Any, ...]) -> None:
    try:
        connection.execute(_INSERT_UNNUMBERED, values)
    except sqlite3.IntegrityError as error:
        # A check of a file that another program made. The lines behind this one must get through.
        _complaints.say(
            "refused", "the database refuses an event of %s (%s); only the journal has it", values[0], error
        )
