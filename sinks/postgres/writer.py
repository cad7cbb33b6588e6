"""Write a batch of records in one transaction: all of it is there and will be found again, or none of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
from attrs import define, field

from ...plugins.errors import Retryable, StoreError
from ...plugins.item import Item
from ...plugins.pruning import RunPruned
from ...plugins.records import RunEvent
from .batches import insert
from .connection import Connection, bounded, opened
from .faults import Overtaken, is_collision, is_of_a_pooler, named, words_of
from .lines import add_placeholders, line_of, store_run_lines
from .options import Access
from .rows import LARGEST, json_text, moment_of, plain_text
from .schema import bring_up

__all__ = ["Writer"]

_TRIES = 5
_MOST_KNOWN = 20_000
_EVENT = "INSERT INTO run_events (run_id, event_type, timestamp, payload_json, writer, seq, logged_at)"


@define(eq=False)
class Writer:
    """
    The connection of one delivery; it is opened with the first batch.

    Not for threads, but for `close()`.
    """

    access: Access
    _connection: Connection | None = field(default=None, init=False)
    _prepares: bool = field(default=True, init=False)
    _known_runs: set[str] = field(factory=set, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def write(self, batch: Sequence[Item]) -> None:
        """
        Write *batch*, in the order of the journal; what is there already stays as it is.

        Raises:
            Refused: the server will never take one of the records.
            Retryable: it did not take them now.
        """
        with self._lock:
            try:
                self._written(batch)
            except psycopg.Error as error:
                self._let_go()
                raise named(error, self.access) from error
            except StoreError as error:
                self._let_go()
                raise Retryable(str(error)) from error

    def _written(self, batch: Sequence[Item]) -> None:
        for attempt in range(1, _TRIES + 1):
            connection = self._opened()
            try:
                with bounded(connection, self.access):
                    seen = self._write_all(connection, batch)
            except Overtaken:
                continue
            except psycopg.Error as error:
                if not self._may_succeed(error) or attempt == _TRIES:
                    raise
            else:
                self._note(seen)
                return
        raise Retryable(f"{self.access.place}: other hosts write to the same runs all the time")

    def _may_succeed(self, error: psycopg.Error) -> bool:
        """Tell whether the same batch may succeed at once, after what this changes."""
        if is_of_a_pooler(error) and self._prepares:
            self._prepares = False
            self._let_go()
            return True
        return is_collision(error)

    def _opened(self) -> Connection:
        if self._connection is not None and self._connection.closed:
            self._let_go()
        if self._connection is None:
            self._connection = self._brought_up(opened(self.access, prepares=self._prepares))
        return self._connection

    def _brought_up(self, connection: Connection) -> Connection:
        try:
            with bounded(connection, self.access):
                bring_up(connection, self.access.place)
        except psycopg.Error as error:
            connection.close()
            # Whatever it is, no record is at fault: none was sent yet.
            raise Retryable(f"{self.access.place}: {words_of(error, self.access)}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _write_all(self, connection: Connection, batch: Sequence[Item]) -> set[str]:
        """Write *batch* and return the ids of the runs that have a row now."""
        events: list[tuple[Any, ...]] = []
        lines = []
        for item in batch:
            if isinstance(item.record, RunEvent):
                events.append(_event_row(item, item.record))
            elif not isinstance(item.record, RunPruned):  # what one host prunes, the fleet may keep
                lines.append(line_of(item.record, *_origin_of(item)))
        if lines:
            store_run_lines(connection, lines)
        seen = {line.run_id for line in lines}
        first_seen = {row[0]: row[2] for row in reversed(events) if row[0] not in seen}
        add_placeholders(
            connection, {run_id: first for run_id, first in first_seen.items() if run_id not in self._known_runs}
        )
        insert(connection, _EVENT, events, "ON CONFLICT DO NOTHING")
        return seen | first_seen.keys()

    def _note(self, seen: set[str]) -> None:
        if len(self._known_runs) > _MOST_KNOWN:
            self._known_runs.clear()
        self._known_runs |= seen

    def _let_go(self) -> None:
        self._known_runs.clear()
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def close(self, deadline_s: float = 0.0) -> None:
        """Close the connection; one that a thread still works with is left to it, and ends with the process."""
        if self._lock.acquire(timeout=max(0.0, deadline_s)):
            try:
                self._let_go()
            finally:
                self._lock.release()


def _origin_of(item: Item) -> tuple[str, int]:
    """Return writer and number of a record; a line of an earlier writer, which has none, goes by its key."""
    writer, seq = item.record.writer, item.record.seq
    if not isinstance(writer, str) or not isinstance(seq, int) or abs(seq) > LARGEST:
        return f"line:{item.key}", 0
    return plain_text(writer), seq


def _event_row(item: Item, event: RunEvent) -> tuple[Any, ...]:
    payload = event.payload_json if event.payload_bytes is not None else _payload_json(event.payload)
    return (
        plain_text(event.run_id),
        plain_text(event.event_type),
        plain_text(event.timestamp),
        payload,
        *_origin_of(item),
        moment_of(event.timestamp),
    )


def _payload_json(payload: Any) -> str | None:
    return None if payload is None else json_text(payload)
