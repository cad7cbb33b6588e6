"""Be a store for readers: bring the database up to the journal, then let it answer, one bounded page after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ...plugins import RunEvent, RunQuery, RunRecord
from ...plugins.asking import need_text, need_text_or_none
from ...plugins.rows import Rows
from ..journal.last_sign import last_sign
from ..reading.pages import PAGE, paged_events, paged_runs
from .answers import Answers
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

    _journal_dir: Path | None
    _is_settled = False

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

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Catch up with the runs once, and answer from that; for whoever asks about thousands of them."""
        # Each look at the journal costs 12 us a daily file: 9 s for a thousand questions to a store of two years.
        self._look()
        self._is_settled = True
        try:
            yield
        finally:
            self._is_settled = False

    def _look(self) -> None:
        if not self._is_settled:
            self._catch_up(RUNS)

    def is_up_to_date(self) -> bool:
        """Catch up with the runs; return whether nothing is missing that the journal has of them."""
        return self._catch_up(RUNS)

    def catch_up(self, progress: Progress | None = None) -> bool:
        """
        Read all that the journal has and the database has not, however long it takes; return whether it has all.

        Args:
            progress: counts each byte of the journal twice, once for the runs and once for the events.
        """
        return self._catch_up(RUNS, EVENTS, progress=progress)

    def runs(self, query: RunQuery) -> Rows[RunRecord]:
        """See `RunStore`."""
        self._look()
        return Rows(RunRecord, paged_runs(query, lambda after, limit: self._page(query, after, limit)))

    def _page(self, query: RunQuery, after: tuple[str, str] | None, limit: int) -> list[RunRecord]:
        return self._ask(lambda answers: answers.page_of_runs(query, after, limit))

    def top_runs(self, query: RunQuery, sort: str, limit: int, *, is_smallest: bool = False) -> list[RunRecord]:
        """
        Return the *limit* runs of *query* with the most, or the least, of what *sort* names; not those without it.

        Args:
            sort: duration, agent, job, status, items, or `metrics.NAME`.

        Raises:
            InputError: *sort* is none of these, or a condition cannot be understood.
        """
        self._look()
        return self._ask(lambda answers: answers.topmost(query, sort, limit, is_smallest=is_smallest))

    def get_run(self, run_id: str) -> RunRecord | None:
        """See `RunStore`."""
        need_text("run_id", run_id)
        self._look()
        return self._ask(lambda answers: answers.run(run_id))

    def find_ids(self, part: str, limit: int = 10) -> list[str]:
        """See `RunStore`."""
        need_text("part", part)
        self._look()
        return self._ask(lambda answers: answers.ids(part, limit))

    def events(self, run_id: str | None = None, event_type: str | None = None) -> Rows[RunEvent]:
        """
        Return events in the order in which they were written; streams.

        What cannot be indexed within half a second is read from the journal itself, so a store that was not asked for
        its events for a year answers at once as well.
        """
        need_text_or_none(run_id=run_id, event_type=event_type)
        self._look()
        # Lines that stand in two files are told apart by the index only.
        is_repeated = self._unindexed().is_repeated
        self._catch_up(EVENTS, deadline_s=None if is_repeated else _INDEX_S)
        return Rows(RunEvent, self._events(run_id, event_type, self._unindexed()))

    def indexed_events(self, run_id: str) -> Rows[RunEvent]:
        """Return the events of a run that are in the index; for whoever called `catch_up()`, and asks for many runs."""
        return Rows(RunEvent, paged_events(lambda after: self._page_of_events(run_id, None, after)))

    def _events(self, run_id: str | None, event_type: str | None, rest: Unindexed) -> Iterator[RunEvent]:
        after = _FIRST_ID
        while page := self._page_of_events(run_id, event_type, after):
            yield from rest.without_those_of_the_rest(page)
            after = page[-1].id or after
        yield from rest.events(run_id, event_type)

    def _page_of_events(self, run_id: str | None, event_type: str | None, after: int) -> list[RunEvent]:
        return self._ask(lambda answers: answers.page_of_events(run_id, event_type, after, PAGE))

    def last_sign(self, run: RunRecord) -> str | None:
        """Return the time of the last line about a run in the journal, which no column tells; None without one."""
        return None if self._journal_dir is None else last_sign(self._journal_dir, run.run_id, run.start_time)

    def commits(self, run_id: str) -> list[dict[str, Any]]:
        """See `RunStore`."""
        need_text("run_id", run_id)
        self._look()
        return self._ask(lambda answers: answers.commits(run_id))

    def stats(self) -> Mapping[str, Any]:
        """See `RunStore`."""
        self._look()
        return self._ask(lambda answers: answers.stats())

    def sums(self, by: str, query: RunQuery, names: Sequence[str]) -> dict[str | None, dict[str, float]]:
        """
        Return the sums of the metrics *names* over the runs of *query*, by group and name.

        Args:
            by: agent, job, day, status or error.

        Raises:
            InputError: *by* is none of these, or a condition cannot be understood.
        """
        self._look()
        return self._ask(lambda answers: answers.sums(by, query, names))

    def summary(self, by: str, query: RunQuery) -> list[dict[str, Any]]:
        """See `RunStore`."""
        self._look()
        return self._ask(lambda answers: answers.summary(by, query))
