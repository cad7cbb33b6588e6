"""Write every record to the journal before the agent goes on; all else is built from there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field, frozen, validators

from ..plugins.commit_link import CommitLink
from ..plugins.context import SinkContext
from ..plugins.errors import StoreError
from ..plugins.hookspecs import hookimpl
from ..plugins.lines import encode_line
from ..plugins.records import DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from .journal.writer import FSYNC_MODES, Journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..plugins.care import JournalCare
    from ..plugins.store import RunStore
    from .journal.following import Follower
    from .journal.gathering import Change, Gatherer

__all__ = ["NdjsonSink"]


@frozen(kw_only=True)
class _Options:
    """
    Where the journal lies and how safe a line is when the agent's call returns.

    `directory` replaces the usual place. `fsync` is `always` (a line survives a power cut), `interval` (that comes
    about `interval_s` seconds later) or `never` (when the system sees fit); in each mode a line survives the death
    of the process. `lock_wait_s` is how long one line waits at most for other processes.
    """

    directory: Path | None = None
    fsync: str = field(default="always", validator=validators.in_(FSYNC_MODES))
    interval_s: float = field(default=1.0, validator=validators.gt(0))
    lock_wait_s: float = field(default=0.1, validator=validators.ge(0))


@define(eq=False)
class NdjsonSink:
    """The journal: one NDJSON file a UTC day, one line a record, written by any number of threads and processes."""

    Options: ClassVar[type[_Options]] = _Options
    contract: ClassVar[int] = 1
    runs_inline: ClassVar[bool] = True

    options: _Options = field(factory=_Options)
    _journal: Journal | None = field(default=None, init=False)

    def journal_directory(self, default: Path) -> Path:
        """Return where the journal lies, *default* unless the options say otherwise."""
        return default if self.options.directory is None else self.options.directory.expanduser().absolute()

    def open_store(self, context: SinkContext) -> RunStore:
        """Return a store over the journal alone; nothing is written for it, and the sink need not be open."""
        from .sqlite.journal_store import JournalStore

        return JournalStore(self.journal_directory(context.ndjson_dir))

    def open_follower(self, context: SinkContext, kinds: Iterable[str] | None = None) -> Follower:
        """Return what reads the end of the journal and then what is added, for `telemetry tail`; writes nothing."""
        from .journal.following import Follower

        return Follower(self.journal_directory(context.ndjson_dir), kinds)

    def read_journal(self, context: SinkContext) -> Iterator[Record]:
        """Yield every record of the journal in its order; writes nothing, and the sink need not be open."""
        from .journal import journal_files, read_records

        for file in journal_files(self.journal_directory(context.ndjson_dir)):
            for found in read_records(file):
                yield found.record

    def open_care(self, context: SinkContext) -> JournalCare:
        """Return what looks after the days of the journal; the sink need not be open."""
        from .journal.keeping import JournalKeeper

        return JournalKeeper(self.journal_directory(context.ndjson_dir))

    def open_gatherer(self, context: SinkContext, *, change: Change, is_dry: bool = False) -> Gatherer:
        """Return what brings the lines of other stores into the journal, for `telemetry import` and `merge`."""
        from .journal.gathering import Gatherer

        return Gatherer(self._new_journal(context), change, is_dry)

    @hookimpl
    def telemetry_open(self, context: SinkContext) -> None:
        """Make ready; the directory and today's file are made with the first line."""
        if self._journal is not None:
            self._journal.close(0)  # a thread may have written to it when it was closed already, and so opened its file
        self._journal = self._new_journal(context)

    def _new_journal(self, context: SinkContext) -> Journal:
        options = self.options
        return Journal(
            self.journal_directory(context.ndjson_dir),
            fsync=options.fsync,
            interval_s=options.interval_s,
            lock_wait_s=options.lock_wait_s,
        )

    @property
    def journal(self) -> Journal:
        """The journal that is written to; raises StoreError before `telemetry_open()`."""
        if self._journal is None:
            raise StoreError("this NdjsonSink was never opened; call telemetry_open() first")
        return self._journal

    @hookimpl
    def telemetry_run_started(self, run: RunRecord) -> None:
        """Write the line of a run that has begun."""
        self.journal.append(encode_line(run))

    @hookimpl
    def telemetry_event_logged(self, event: RunEvent) -> None:
        """Write the line of an event."""
        self.journal.append(encode_line(event))

    @hookimpl
    def telemetry_metrics_set(self, update: MetricsUpdate) -> None:
        """Write the line of metrics that were set in the middle of a run."""
        self.journal.append(encode_line(update))

    @hookimpl
    def telemetry_run_ended(self, run: RunRecord) -> None:
        """Write the line of a run that has ended."""
        self.journal.append(encode_line(run))

    @hookimpl
    def telemetry_commit_linked(self, commit: CommitLink) -> None:
        """Write the line of a commit that belongs to a run."""
        self.journal.append(encode_line(commit))

    @hookimpl
    def telemetry_delivery_reported(self, report: DeliveryReport) -> None:
        """Write the line of a delivery, without a sync: if it is lost, the run is delivered again under its key."""
        self.journal.append(encode_line(report), is_durable=False)

    @hookimpl
    def telemetry_flush(self, deadline_s: float) -> bool:
        """Sync what the mode has not synced yet."""
        return self.journal.sync(deadline_s)

    @hookimpl
    def telemetry_health(self) -> dict[str, Any]:
        """Return the journal's place, mode and faults."""
        return self.journal.health()

    @hookimpl
    def telemetry_forked(self) -> None:
        """Let go of the parent's descriptors and locks."""
        self.journal.after_fork()

    @hookimpl
    def telemetry_close(self, deadline_s: float) -> None:
        """Sync if the mode says so and close the file; a record that comes later opens it again."""
        self.journal.close(deadline_s)
