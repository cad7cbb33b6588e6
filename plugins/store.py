"""Say how stored runs are read, whatever store they lie in: one interface for the client and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from . import asking
from .records import RunEvent, RunRecord
from .rows import Rows

__all__ = ["RunQuery", "RunStore"]


@frozen(kw_only=True)
class RunQuery:
    """
    Which runs are asked for; what is None does not filter.

    `since` and `until` are ISO 8601 text in UTC and bound `start_time` (since <= start_time < until). `after` is the
    (start_time, run_id) of the last run of the page before (newest first; the oldest first with `oldest_first`).

    Raises:
        InputError: nothing can be asked for like that: text that is none, a negative limit, an unknown status.
    """

    agent: str | None = field(default=None, validator=asking.is_text)
    job: str | None = field(default=None, validator=asking.is_text)
    status: str | None = field(default=None, converter=asking.status)
    since: str | None = field(default=None, validator=asking.is_text)
    until: str | None = field(default=None, validator=asking.is_text)
    parent_run_id: str | None = field(default=None, validator=asking.is_text)
    limit: int | None = field(default=20, converter=asking.limit)
    after: tuple[str, str] | None = None
    oldest_first: bool = False
    where: tuple[str, ...] = field(default=(), converter=asking.conditions)


@runtime_checkable
class RunStore(Protocol):
    """
    A store opened for reading; rows come as records.

    Every call sees what agents have written up to now: the store catches up with the journal by itself.

    Raises:
        StoreError: the store cannot be read.
    """

    def runs(self, query: RunQuery) -> Rows[RunRecord]:
        """
        Return the runs that *query* asks for, newest first unless it says otherwise; streams.

        Raises:
            InputError: a condition or a time in *query* cannot be understood; raised by this call.
        """
        ...

    def get_run(self, run_id: str) -> RunRecord | None:
        """Return the run with this whole id, None when there is none; InputError where it is no text."""
        ...

    def find_ids(self, part: str, limit: int = 10) -> list[str]:
        """Return up to *limit* run ids that begin or end with *part*, newest first; *part* alone where it is one."""
        ...

    def events(self, run_id: str | None = None, event_type: str | None = None) -> Rows[RunEvent]:
        """Return events in the order in which they were written; streams."""
        ...

    def commits(self, run_id: str) -> list[dict[str, Any]]:
        """Return the commits that belong to a run, as dicts by column name."""
        ...

    def stats(self) -> Mapping[str, Any]:
        """Return `total_runs`, `status_counts` (mapping status to count) and `pending_api_posts`."""
        ...

    def summary(self, by: str, query: RunQuery) -> list[dict[str, Any]]:
        """
        Return one dict a group: key, runs, running, success, failed, partial, failure_rate, p50_ms, p95_ms.

        Limit and paging of *query* do not count.

        Args:
            by: agent, job, day, status or error.

        Raises:
            InputError: *by* is none of these, or a condition cannot be understood.
        """
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...
