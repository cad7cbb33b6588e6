"""Answer an agent's questions about what is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..plugins import asking, clock
from ..plugins.errors import InputError
from ..plugins.ids import parse_time
from ..plugins.records import RunEvent, RunRecord
from ..plugins.rows import Rows
from ..plugins.store import RunQuery, RunStore
from .shield import border, nothing

__all__ = ["StoredRuns"]


class StoredRuns:
    """
    The reading half of the client; the store is opened at the first question.

    Args:
        open_store: opens the store of the client's set-up.
        judge: writes the verdicts on dead runs, so that none is told to be running.
        delivers: whether a sink of the set-up delivers runs elsewhere.
    """

    def __init__(self, open_store: Callable[[], RunStore], judge: Callable[[], None], delivers: bool) -> None:
        self._open_store = open_store
        self._delivers = delivers
        self._judge = judge
        self._store: RunStore | None = None

    @border(otherwise=lambda self: {"total_runs": 0, "status_counts": {}, "pending_api_posts": 0})
    def get_stats(self) -> dict[str, Any]:
        """
        Return `total_runs`, `status_counts` (status to count) and `pending_api_posts` of the store.

        Where no sink delivers anything elsewhere, no run waits for that, and the last is 0.
        """
        waiting = {} if self._delivers else {"pending_api_posts": 0}
        return {**self._up_to_date().stats(), **waiting}

    @border(otherwise=nothing)
    def get_run(self, run_id: str) -> RunRecord | None:
        """
        Return the run with this id as it stands now, None when no store knows it.

        What is no text is the id of no run: a warning tells it, or in strict mode `InputError`.
        """
        return self._up_to_date().get_run(run_id)

    def runs(
        self,
        *,
        agent: str | None = None,
        job: str | None = None,
        status: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int | None = 20,
        where: tuple[str, ...] = (),
    ) -> Rows[RunRecord]:
        """
        Return stored runs, newest first, as an iterator that streams; it also has `to_pandas()` and `to_polars()`.

        Args:
            since: the first start time that counts: ISO 8601 text, in UTC where it has no offset; or as behind the
                command line's `--since` one of `2d` (ago), `1h30m`, `today`, `yesterday`, `now`.
            until: likewise, the first start time that does not count any more.
            limit: how many at most; None for all.
            where: conditions as `metrics.tokens>1000`.

        Raises:
            InputError: nothing can be asked for like that; the message says of which argument.
            StoreError: no store can be read.
        """
        since, until = _moment("since", since), _moment("until", until)
        query = RunQuery(agent=agent, job=job, status=status, since=since, until=until, limit=limit, where=where)
        return self._up_to_date().runs(query)

    def events(self, run_id: str | None = None, event_type: str | None = None) -> Rows[RunEvent]:
        """
        Return stored events in the order in which they were written, as an iterator that streams.

        Raises:
            InputError: an id or a type that is no text.
            StoreError: no store can be read.
        """
        return self._reader().events(run_id, event_type)

    def _up_to_date(self) -> RunStore:
        self._judge()
        return self._reader()

    def _reader(self) -> RunStore:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    def _forget_store(self) -> None:
        # In the child of a fork the connection is the parent's: closing it here could free the parent's locks.
        self._store = None


def _moment(name: str, text: str | None) -> str | None:
    """Return the time that was given for *name* as a store compares it."""
    if text is None or _is_iso(text):
        return text
    from .spans import read_moment, stored_text

    asking.need_text(name, text, "text, as '2d' or '2026-11-23T10:00:00Z'")
    try:
        return stored_text(read_moment(text, datetime.fromtimestamp(clock.time_ns() / 1e9).astimezone()))
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def _is_iso(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True
