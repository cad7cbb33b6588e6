"""Answer a reader's questions from one database, page by page, so that no answer holds the file for long."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ...plugins import RunEvent, RunQuery, RunRecord
from ...plugins.codec import safe_text
from ...plugins.mend import canonical_status
from ..reading.groups import fingerprint
from . import summaries
from .commits import commits_of
from .find import find_ids
from .many_rows import runs_of
from .opening import Opened
from .pruned import without_pruned
from .queries import page_of_runs
from .shapes import Shape
from .storable import payload_of
from .sums import ExactSum, sums
from .topmost import topmost
from .unindexed import Unindexed, find_unindexed
from .writes import load_run

__all__ = ["Answers", "Readable"]

_Result = TypeVar("_Result")


class Readable(Protocol):
    """A store that lends its connection for queries."""

    def reading(self) -> AbstractContextManager[Opened]:
        """Lend the connection; other threads wait meanwhile."""
        ...


class Answers:
    """
    Ask one database, as it stands; nothing is caught up, created or changed.

    Raises:
        Damaged: the file is no database any more.
        StoreError: it cannot be read.
        Retryable: another thread or program holds it for too long.
    """

    def __init__(self, database: Readable) -> None:
        self._database = database
        self._equipped: sqlite3.Connection | None = None

    def _ask(self, question: Callable[[Opened], _Result]) -> _Result:
        with self._database.reading() as opened:
            if opened.connection is not self._equipped:
                _equip(opened.connection)
                self._equipped = opened.connection
            return question(opened)

    def page_of_runs(self, query: RunQuery, after: tuple[str, str] | None, limit: int) -> list[RunRecord]:
        """Return at most *limit* runs of *query* behind *after*, a pair (start_time, run_id)."""

        def question(opened: Opened) -> list[RunRecord]:
            sql, values = page_of_runs(opened.shape, query, after=after, limit=limit)
            return _runs(opened, sql, values)

        return self._ask(question)

    def topmost(self, query: RunQuery, sort: str, limit: int, *, is_smallest: bool) -> list[RunRecord]:
        """Return the *limit* runs of *query* with the most, or the least, of what *sort* names."""

        def question(opened: Opened) -> list[RunRecord]:
            sql, values = topmost(opened.shape, query, sort, limit, is_smallest=is_smallest)
            return _runs(opened, sql, values)

        return self._ask(question)

    def run(self, run_id: str) -> RunRecord | None:
        """Return the run with this whole id, None when there is none."""
        return self._ask(lambda opened: load_run(opened.connection, opened.shape, safe_text(run_id)))

    def ids(self, part: str, limit: int) -> list[str]:
        """Return up to *limit* ids that *part* abbreviates."""
        return self._ask(lambda opened: find_ids(opened.connection, part, limit))

    def page_of_events(self, run_id: str | None, event_type: str | None, after: int, limit: int) -> list[RunEvent]:
        """Return at most *limit* events with an id above *after*, in the order of their ids."""

        def question(opened: Opened) -> list[RunEvent]:
            if "run_events" not in opened.shape.tables:
                return []
            sql, values = _events(opened.shape, run_id, event_type, after, limit)
            return list(map(_event, opened.connection.execute(sql, values)))

        return self._ask(question)

    def commits(self, run_id: str) -> list[dict[str, Any]]:
        """Return the commits of a run, as dicts by column name."""
        return self._ask(lambda opened: commits_of(opened.connection, safe_text(run_id)))

    def unindexed(self, journal_dir: Path) -> Unindexed:
        """Return the events of the journal in *journal_dir* that are not in the database."""
        return self._ask(lambda opened: find_unindexed(opened, journal_dir))

    def stats(self) -> dict[str, Any]:
        """Return the totals."""
        return self._ask(lambda opened: summaries.stats(opened.connection, opened.shape))

    def sums(self, by: str, query: RunQuery, names: Sequence[str]) -> dict[str | None, dict[str, float]]:
        """Return the sums of the metrics *names*, by group and name."""
        return self._ask(lambda opened: sums(opened.connection, opened.shape, by, query, names))

    def summary(self, by: str, query: RunQuery) -> list[dict[str, Any]]:
        """Return one dict a group."""
        return self._ask(lambda opened: summaries.summary(opened.connection, opened.shape, by, query))


def _equip(connection: sqlite3.Connection) -> None:
    connection.create_function("canonical_status", 1, canonical_status, deterministic=True)
    connection.create_function("fingerprint", 1, fingerprint, deterministic=True)
    connection.create_aggregate("exact_sum", 1, ExactSum)  # type: ignore[arg-type]  # it also adds up floats


def _runs(opened: Opened, sql: str, values: list[Any]) -> list[RunRecord]:
    cursor = opened.connection.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return list(runs_of(cursor, names, opened.shape))


def _events(shape: Shape, run_id: str | None, event_type: str | None, after: int, limit: int) -> tuple[str, list[Any]]:
    asked = [("run_id = ?", run_id), ("event_type = ?", event_type)]
    given = [(sql, safe_text(value)) for sql, value in asked if value is not None]
    conditions = " AND ".join(["id > ?", *(sql for sql, _ in given), without_pruned(shape)])
    columns = "id, run_id, event_type, timestamp, payload_json"
    sql = f"SELECT {columns} FROM run_events WHERE {conditions} ORDER BY id LIMIT ?"
    return sql, [after, *(value for _, value in given), limit]


def _event(row: tuple[Any, ...]) -> RunEvent:
    event_id, run_id, event_type, timestamp, payload = row
    return RunEvent(
        str(run_id) or "unknown",
        str(event_type) or "unknown",
        str(timestamp) or "unknown",
        payload_of(payload),
        id=event_id,
    )
