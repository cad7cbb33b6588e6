"""Fetch rows page by page along a key, so that no answer holds a store for long and each page costs the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...plugins import RunEvent, RunQuery, RunRecord

__all__ = ["PAGE", "paged_events", "paged_runs"]

PAGE = 500
"""How many rows are fetched at once: what a page costs to ask for vanishes beside what its rows cost to decode."""

_FIRST_ID = -(1 << 63)
_PageOfRuns = Callable[[tuple[str, str] | None, int], list[RunRecord]]
_PageOfEvents = Callable[[int], list[RunEvent]]


def paged_runs(query: RunQuery, page_behind: _PageOfRuns) -> Iterator[RunRecord]:
    """
    Return the runs of *query*; the first page is fetched by this call, so that what is wrong with it is raised here.

    Args:
        page_behind: returns so many runs at most behind a pair (start_time, run_id).
    """
    return _runs(query.limit, page_behind(query.after, _size(query.limit)), page_behind)


def _runs(left: int | None, page: list[RunRecord], page_behind: _PageOfRuns) -> Iterator[RunRecord]:
    while page:
        yield from page
        left = None if left is None else left - len(page)
        last = page[-1]
        page = page_behind((last.start_time, last.run_id), _size(left)) if len(page) == PAGE else []


def _size(left: int | None) -> int:
    return PAGE if left is None else min(PAGE, max(left, 0))


def paged_events(page_behind: _PageOfEvents) -> Iterator[RunEvent]:
    """
    Return events; the first page is fetched by this call.

    Args:
        page_behind: returns at most `PAGE` events with an id above that.
    """
    return _events(page_behind(_FIRST_ID), page_behind)


def _events(page: list[RunEvent], page_behind: _PageOfEvents) -> Iterator[RunEvent]:
    while page:
        yield from page
        page = page_behind(page[-1].id or 0) if len(page) == PAGE else []
