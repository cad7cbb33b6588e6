"""Read what a fleet has delivered: the answers of every other store, asked of PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg

from ...plugins import Retryable, RunEvent, RunQuery, RunRecord, StoreError
from ...plugins.asking import need_text, need_text_or_none
from ...plugins.checks import parsed
from ...plugins.rows import Rows
from ..reading.pages import PAGE, paged_events, paged_runs
from . import summaries
from .commits import commits_of
from .connection import Connection, bounded, opened
from .faults import OutOfReach, is_of_a_pooler, said_of
from .figures import sums, topmost
from .find import find_ids
from .options import Access
from .queries import page_of_events, page_of_runs
from .rows import plain_text, run_of, selected
from .schema import check

__all__ = ["PostgresStore"]

_RUN = f"SELECT {selected()} FROM agent_runs AS r WHERE r.run_id = %s"
# `telemetry doctor` looks at what the configuration names, and a reader may have named another server.
_LOG = "see the log of the server"
_REACH = "see that the server is up, and that host, port, user and database are right"
_URL = "mend what it names"
_Result = TypeVar("_Result")
_Question = Callable[[Connection], _Result]


class PostgresStore:
    """
    The runs and events in one database, read only; it has what was delivered up to now.

    No call holds a transaction between two pages, so a reader who takes his time holds up no vacuum.

    Args:
        access: to the database.

    Raises:
        StoreError: the server cannot be reached, or its tables are not ours.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._has_tables = False
        self._prepares = True
        self._process = os.getpid()

    def runs(self, query: RunQuery) -> Rows[RunRecord]:
        """See `RunStore`."""
        return Rows(RunRecord, paged_runs(query, lambda after, limit: self._page(query, after, limit)))

    def _page(self, query: RunQuery, after: tuple[str, str] | None, limit: int) -> list[RunRecord]:
        sql, values = page_of_runs(query, after=after, limit=limit)
        return self._ask(lambda connection: [run_of(row) for row in connection.execute(sql, values)], [])

    def top_runs(self, query: RunQuery, sort: str, limit: int, *, is_smallest: bool = False) -> list[RunRecord]:
        """
        Return the *limit* runs of *query* with the most, or the least, of what *sort* names; not those without it.

        Args:
            sort: duration, agent, job, status, items, or `metrics.NAME`.

        Raises:
            InputError: *sort* is none of these, or a condition cannot be understood.
        """
        sql, values = topmost(query, sort, limit, is_smallest=is_smallest)
        return self._ask(lambda connection: [run_of(row) for row in connection.execute(sql, values)], [])

    def get_run(self, run_id: str) -> RunRecord | None:
        """See `RunStore`."""
        need_text("run_id", run_id)

        def question(connection: Connection) -> RunRecord | None:
            row = connection.execute(_RUN, (plain_text(run_id),)).fetchone()
            return None if row is None else run_of(row)

        return self._ask(question, None)

    def find_ids(self, part: str, limit: int = 10) -> list[str]:
        """See `RunStore`."""
        need_text("part", part)
        nothing: list[str] = []
        return self._ask(lambda connection: find_ids(connection, part, limit), nothing)

    def events(self, run_id: str | None = None, event_type: str | None = None) -> Rows[RunEvent]:
        """Return events in the order in which they arrived, which is for each host that of its journal; streams."""
        need_text_or_none(run_id=run_id, event_type=event_type)
        return Rows(RunEvent, paged_events(lambda after: self._page_of_events(run_id, event_type, after)))

    def _page_of_events(self, run_id: str | None, event_type: str | None, after: int) -> list[RunEvent]:
        sql, values = page_of_events(run_id, event_type, after=after, limit=PAGE)
        return self._ask(lambda connection: [_event(row) for row in connection.execute(sql, values)], [])

    def commits(self, run_id: str) -> list[dict[str, Any]]:
        """See `RunStore`."""
        need_text("run_id", run_id)
        nothing: list[dict[str, Any]] = []
        return self._ask(lambda connection: commits_of(connection, run_id), nothing)

    def stats(self) -> Mapping[str, Any]:
        """See `RunStore`."""
        return self._ask(summaries.stats, summaries.stats(None))

    def sums(self, by: str, query: RunQuery, names: Sequence[str]) -> dict[str | None, dict[str, float]]:
        """
        Return the sums of the metrics *names* over the runs of *query*, by group and name.

        Args:
            by: agent, job, day, status or error.

        Raises:
            InputError: *by* is none of these, or a condition cannot be understood.
        """
        nothing = sums(None, by, query, names)
        return self._ask(lambda connection: sums(connection, by, query, names), nothing)

    def summary(self, by: str, query: RunQuery) -> list[dict[str, Any]]:
        """See `RunStore`."""
        nothing = summaries.summary(None, by, query)
        return self._ask(lambda connection: summaries.summary(connection, by, query), nothing)

    def _ask(self, question: _Question[_Result], nothing: _Result) -> _Result:
        """Return the answer to *question*, or *nothing* while nobody has delivered anything yet."""
        self._leave_to_parent()
        with self._lock:
            try:
                return self._asked(question, nothing)
            except psycopg.Error as error:
                if not self._may_succeed(error):
                    raise self._fault(error) from error
            # The server was restarted since the last question, as likely as not: once more, by a new connection.
            try:
                return self._asked(question, nothing)
            except psycopg.Error as error:
                raise self._fault(error) from error

    def _asked(self, question: _Question[_Result], nothing: _Result) -> _Result:
        connection = self._opened()
        with bounded(connection, self._access):
            self._has_tables = self._has_tables or check(connection, self._access.place)
            return question(connection) if self._has_tables else nothing

    def _opened(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = opened(self._access, prepares=self._prepares)
                self._connection.read_only = True  # said at the begin of each transaction
            except OutOfReach as error:
                raise StoreError(error.what, error.cure or _REACH) from None
            except Retryable as error:
                raise StoreError(str(error), _URL) from None
        return self._connection

    def _may_succeed(self, error: psycopg.Error) -> bool:
        """Tell whether a new connection may have the answer."""
        if is_of_a_pooler(error) and self._prepares:
            self._prepares = False
            self.close()
            return True
        if self._connection is None or not self._connection.closed:
            return False
        self._connection = None
        return True

    def _fault(self, error: psycopg.Error) -> StoreError:
        told, cure = said_of(error, self._access)
        return StoreError(f"{self._access.place}: {told}", cure or _LOG)

    def _leave_to_parent(self) -> None:
        # The connection belongs to the parent of a fork; so may the lock, if another of its threads held it.
        if self._process != os.getpid():
            self._forget()

    def close(self) -> None:
        """Let go of the connection; the next question opens another."""
        self._leave_to_parent()
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(psycopg.Error):
                    self._connection.close()
            self._connection = None


def _event(row: tuple[Any, ...]) -> RunEvent:
    event_id, run_id, event_type, timestamp, payload = row
    return RunEvent(run_id or "unknown", event_type or "unknown", timestamp or "unknown", parsed(payload), id=event_id)
