"""Be a store for readers: bring the database up to the journal, then let it answer, one bounded page after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from ...plugins import RunEvent, RunQuery, RunRecord
from .answers import PAGE, Answers
from .catch_up import EVENTS, RUNS
from .unindexed import Unindexed

__all__ = ["CaughtUpStore", "Progress"]

_INDEX_S = 0.5
_FIRST_ID = -(1 << 63)
_Result = TypeVar("_Result")
Progress: TypeAlias = Callable[[int], None]
"""Called after each piece of work with the count of journal bytes that it covered."""


class CaughtUpStore(ABC):
    """
    The answers of a `RunStore`, from a database that a subclass catches up and lends.

    No call holds the database between two pages, so a reader who takes his time never keeps the WAL from being cut.
    """

    @abstractmethod
    def _catch_up(self, *passes: str, deadline_s: float | None = None, progress: Progress | None = None) -> bool:
        """Bring the database up to the journal as far as it can be; return whether it is there."""

    @abstractmethod
    def _ask(self, question: Callable[[Answers], _Result]) -> _Result:
        """Return what the database answers."""

    @abstractmethod
    def _unindexed(self) -> Unindexed:
        """Return the events that are in the journal and not in the database yet."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store."""

    def catch_up(self, progress: Progress | None = None) -> bool:
        """
        Read all that the journal has and the database has not, however long it takes; return whether it has all.

        Args:
            progress: counts each byte of the journal twice, once for the runs and once for the events.
        """
        return self._catch_up(RUNS, EVENTS, progress=progress)

    def runs(self, query: RunQuery) -> Iterator[RunRecord]:
        """
        Yield the runs that *query* asks for, newest first unless it says otherwise; streams.

        Raises:
            InputError: a condition or a time in *query* cannot be understood; raised by this call.
        """
        self._catch_up(RUNS)
        first = self._page(query, query.after, query.limit)
        return self._pages(query, first)

    def _pages(self, query: RunQuery, page: list[RunRecord]) -> Iterator[RunRecord]:
        left = query.limit
        while page:
            yield from page
            left = None if left is None else left - len(page)
            last = page[-1]
            page = self._page(query, (last.start_time, last.run_id), left) if len(page) == PAGE else []

    def _page(self, query: RunQuery, after: tuple[str, str] | None, left: int | None) -> list[RunRecord]:
        limit = PAGE if left is None else min(PAGE, max(left, 0))
        return self._ask(lambda answers: answers.page_of_runs(query, after, limit))

    def get_run(self, run_id: str) -> RunRecord | None:
        """Return the run with this whole id, None when there is none."""
        self._catch_up(RUNS)
        return self._ask(lambda answers: answers.run(run_id))

    def find_ids(self, part: str, limit: int = 10) -> list[str]:
        """Return up to *limit* ids that begin or end with *part*, newest first; only *part* itself where it is one."""
        self._catch_up(RUNS)
        return self._ask(lambda answers: answers.ids(part, limit))

    def events(self, run_id: str | None = None, event_type: str | None = None) -> Iterator[RunEvent]:
        """
        Yield events in the order in which they were written; streams.

        What cannot be indexed within half a second is read from the journal itself, so a store that was not asked for
        its events for a year answers at once as well.
        """
        self._catch_up(RUNS)
        # Lines that stand in two files are told apart by the index only.
        is_repeated = self._unindexed().is_repeated
        self._catch_up(EVENTS, deadline_s=None if is_repeated else _INDEX_S)
        return self._events(run_id, event_type, self._unindexed())

    def _events(self, run_id: str | None, event_type: str | None, rest: Unindexed) -> Iterator[RunEvent]:
        after = _FIRST_ID
        while page := self._page_of_events(run_id, event_type, after):
            yield from rest.without_those_of_the_rest(page)
            after = page[-1].id or after
        yield from rest.events(run_id, event_type)

    def _page_of_events(self, run_id: str | None, event_type: str | None, after: int) -> list[RunEvent]:
        return self._ask(lambda answers: answers.page_of_events(run_id, event_type, after, PAGE))

    def commits(self, run_id: str) -> list[dict[str, Any]]:
        """Return the commits that belong to a run, as dicts by column name."""
        self._catch_up(RUNS)
        return self._ask(lambda answers: answers.commits(run_id))

    def stats(self) -> Mapping[str, Any]:
        """Return `total_runs`, `status_counts` (mapping status to count) and `pending_api_posts`."""
        self._catch_up(RUNS)
        return self._ask(lambda answers: answers.stats())

    def summary(self, by: str, query: RunQuery) -> list[dict[str, Any]]:
        """
        Return one dict a group: key, runs, running, success, failed, partial, failure_rate, p50_ms, p95_ms.

        Limit and paging of *query* do not count.

        Args:
            by: agent, job, day, status or error.

        Raises:
            InputError: *by* is none of these, or a condition cannot be understood.
        """
        self._catch_up(RUNS)
        return self._ask(lambda answers: answers.summary(by, query))
