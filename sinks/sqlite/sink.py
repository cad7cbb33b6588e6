"""Keep each run as one row: an INSERT when it starts, an UPDATE when it ends, neither of which holds the agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field, frozen, validators

from ...plugins.commit_link import CommitLink
from ...plugins.context import SinkContext
from ...plugins.errors import StoreError
from ...plugins.hookspecs import hookimpl
from ...plugins.policies import RetryPolicy
from ...plugins.records import DeliveryReport, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...plugins.care import StoreCare
    from ...plugins.records import Record
    from ...plugins.store import RunStore
    from .backlog import Backlog

__all__ = ["SqliteSink"]

_SETTLED_AFTER_S = 2.0


@frozen(kw_only=True)
class _Options:
    """
    Where and how the runs are kept.

    `write` is `inline` (a row at once when the lock is free, behind the agent when it is not) or `behind` (always
    behind the agent). `lock_wait_ms` is how long the agent may be held for a lock; `retry` are the pauses of the
    tries behind it; `queue_limit` is how many records may wait there.
    """

    path: Path | None = None
    write: str = field(default="inline", validator=validators.in_(("inline", "behind")))
    retry: RetryPolicy = field(factory=RetryPolicy)
    lock_wait_ms: float = field(default=4.0, validator=validators.ge(0))
    queue_limit: int = field(default=10_000, validator=validators.ge(1))


@define(eq=False)
class SqliteSink:
    """The runs in one SQLite file, schema v3; other programs may read it with plain SQL while agents write."""

    Options: ClassVar[type[_Options]] = _Options
    contract: ClassVar[int] = 1
    runs_inline: ClassVar[bool] = True

    options: _Options = field(factory=_Options)
    _backlog: Backlog | None = field(default=None, init=False)

    @hookimpl
    def telemetry_open(self, context: SinkContext) -> None:
        """Make ready; the file itself is opened with the first run."""
        path = self._path(context)
        self._backlog = self._new_backlog(path, context.journal_dir)
        self._backlog.expects_new_store = not _has_lines(context.journal_dir)
        if not (context.is_read_only or self._backlog.expects_new_store):
            is_missing = not path.exists()
            # What a process that was killed left in the journal only is fetched too, when the agent has settled.
            self._backlog.heal(0.0 if is_missing else _SETTLED_AFTER_S, is_urgent=is_missing)

    def _path(self, context: SinkContext) -> Path:
        return self.options.path or context.database_path

    def _new_backlog(self, path: Path, journal_dir: Path | None) -> Backlog:
        from .backlog import Backlog  # for writers only: readers of the store need none of it
        from .connection import Database

        options = self.options
        return Backlog(
            Database(path),
            journal_dir,
            options.retry,
            wait_s=options.lock_wait_ms / 1000,
            limit=options.queue_limit,
            is_behind=options.write == "behind",
        )

    @property
    def _open_backlog(self) -> Backlog:
        if self._backlog is None:
            raise StoreError("this SqliteSink was never opened; call telemetry_open() first")
        return self._backlog

    @hookimpl
    def telemetry_run_started(self, run: RunRecord) -> None:
        """Insert the run."""
        self._open_backlog.put(run)

    @hookimpl
    def telemetry_run_ended(self, run: RunRecord) -> None:
        """Update the run, or insert it when its start is not there."""
        self._open_backlog.put(run)

    @hookimpl
    def telemetry_delivery_reported(self, report: DeliveryReport) -> None:
        """Note at the run that a remote sink took it, or how often it failed to."""
        self._open_backlog.put(report)

    @hookimpl
    def telemetry_commit_linked(self, commit: CommitLink) -> None:
        """Keep a commit with its run."""
        self._open_backlog.put(commit)

    @hookimpl
    def telemetry_flush(self, deadline_s: float) -> bool:
        """Bring what waits into the store."""
        return self._open_backlog.flush(deadline_s)

    @hookimpl
    def telemetry_health(self) -> dict[str, Any]:
        """Return counts, path and the last fault."""
        return self._open_backlog.facts()

    @hookimpl
    def telemetry_forked(self, context: SinkContext) -> None:
        """Forget the parent's work; the connection was closed before the fork and is opened anew."""
        self._open_backlog.renew()

    @hookimpl
    def telemetry_close(self, deadline_s: float) -> None:
        """Flush, and close the file."""
        self._open_backlog.close(deadline_s)

    def open_store(self, context: SinkContext) -> RunStore:
        """Return the store for reading; works also when the sink was never opened."""
        from .store import SqliteStore

        return SqliteStore(self._path(context), context.journal_dir)

    def file_system(self, context: SinkContext) -> tuple[str, bool]:
        """Return the kind of file system that the database lies on, and whether its WAL can live there."""
        from .filesystems import can_hold_wal, kind_of

        folder = self._path(context).parent
        return kind_of(folder), can_hold_wal(folder)

    def read_records(self, context: SinkContext) -> Iterator[Record]:
        """Yield all that the database tells, whatever its version, and nothing of a journal; see `records_told()`."""
        from .telling import records_told

        return records_told(self._path(context))

    def count_records(self, context: SinkContext) -> int:
        """Return how many records `read_records()` yields, or more."""
        from .telling import count_rows

        return count_rows(self._path(context))

    def open_care(self, context: SinkContext) -> StoreCare:
        """Return what looks after the store; works also when the sink was never opened."""
        from .care import SqliteCare

        return SqliteCare(self._path(context), context.journal_dir)


def _has_lines(journal_dir: Path | None) -> bool:
    return journal_dir is not None and any(journal_dir.glob("events_*.ndjson*"))
