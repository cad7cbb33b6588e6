"""Find the sinks of a set-up that can be looked after, and do with each what the user asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import filelock
from attrs import define, evolve, field

from ...plugins.care import JournalCare, Progress, Rebuilt, Schema, StoreCare, nothing_told
from ...plugins.context import SinkContext
from ...plugins.errors import ConfigError, NotFound, StoreError
from ...plugins.ids import new_writer_id
from ...plugins.private import make_private_folder
from ..config import TelemetryConfig
from ..readable import first_store
from ..wiring import build_sinks, context_for, unusable_remote_sinks
from .arguments import day_of, need_span, place_of
from .backups import FOLDER, BackedUp, Backup, newest_backup
from .replaying import Replay, Replayed
from .restoring import Restore, Restored
from .retention import Household, Pruned, Retention

__all__ = ["Care"]


@define
class Care:
    """
    The care of everything that a configuration keeps on disk; agents may write meanwhile.

    Long work calls *progress* (stage, done, total), and may be interrupted anywhere: what is on disk is whole, and the
    next call goes on.

    Args:
        config: the set-up; what environment and file say when left out.
    """

    config: TelemetryConfig = field(factory=TelemetryConfig.load)
    sinks: Mapping[str, Any] = field(init=False)
    faults: Mapping[str, Sequence[str]] = field(init=False)
    contexts: Mapping[str, SinkContext] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sinks, self.faults = build_sinks(self.config)
        journal = next((sink for sink in self.sinks.values() if hasattr(sink, "journal_directory")), None)
        self.contexts = {name: context_for(self.config, name, journal) for name in self.sinks}

    @property
    def stores(self) -> dict[str, StoreCare]:
        """The stores that can be looked after, by the name of their sink."""
        return {name: care for name, care in self._offered().items() if isinstance(care, StoreCare)}

    @property
    def journal(self) -> JournalCare | None:
        """The journal, None when no sink keeps one."""
        return next((care for care in self._offered().values() if isinstance(care, JournalCare)), None)

    def _offered(self) -> dict[str, object]:
        return {name: sink.open_care(self.contexts[name]) for name, sink in self._having("open_care")}

    def _having(self, method: str) -> list[tuple[str, Any]]:
        return [(name, sink) for name, sink in self.sinks.items() if hasattr(sink, method)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from looking after the same files meanwhile; agents go on writing."""
        folder = self.config.metrics_dir / "state"
        make_private_folder(folder)
        lock = filelock.FileLock(folder / "care.lock", timeout=0, mode=0o600)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            told = f"another prune, backup, restore or replay is at work in {self.config.metrics_dir}"
            raise StoreError(told, "wait for it") from error
        try:
            yield
        finally:
            lock.release()

    def rebuild(self, progress: Progress = nothing_told) -> list[Rebuilt]:
        """
        Build each store anew from the journal and put it in place; return what was done.

        What only the old store has (rows of other programs, runs whose journal is gone) is carried over.

        Raises:
            StoreError: there is no store or no journal, or the store cannot be written.
        """
        stores = self.stores
        if not stores:
            raise StoreError("no sink of the configuration keeps a database", "add one of type 'sqlite'")
        return [care.rebuild(progress) for care in stores.values()]

    def prune(
        self,
        older_than: timedelta,
        *,
        gzip_after: timedelta | None = None,
        is_forced: bool = False,
        is_dry: bool = False,
        progress: Progress = nothing_told,
    ) -> Pruned:
        """
        Delete the runs that ended longer than *older_than* ago, and the days of the journal before that; return what.

        Whole days (UTC) go, and never more than what each remote sink has had, unless *is_forced*. A run that goes on
        stays. No step holds the write lock of a store for 50 ms.

        Args:
            older_than: a day at least.
            gzip_after: days of the journal that passed longer ago are gzipped; readers see no difference.
            is_dry: nothing is deleted; the answer says what would be.

        Raises:
            InputError: a length of time is none.
            StoreError: it is less than a day, a store or the journal cannot be written, a cursor cannot be read, or a
                remote sink cannot be built, so that nobody knows what it has had.
        """
        need_span("older_than", older_than)
        if gzip_after is not None:
            need_span("gzip_after", gzip_after)
        if not is_forced:
            self._need_remote_sinks()
        outboxes = {name: sink.open_outbox(self.contexts[name]) for name, sink in self._having("open_outbox")}
        with closing(first_store(self.sinks, self.contexts)) as reader:
            household = Household(self.stores, self.journal, outboxes, reader)
            retention = Retention(household, older_than, gzip_after, is_forced, progress)
            if is_dry:
                return retention.look()
            with self._alone():
                return retention.run()

    def _need_remote_sinks(self) -> None:
        unusable = unusable_remote_sinks(self.config, self.sinks, self.faults)
        if unusable:
            told = f"nobody knows what has still to be delivered to {', '.join(unusable)}, which cannot be used here"
            raise StoreError(told, "mend that, as telemetry config check tells it, or telemetry prune --force")

    def backup(self, to: str | os.PathLike[str] | None = None, progress: Progress = nothing_told) -> BackedUp:
        """
        Copy journal, stores and the state of deliveries to a new folder, and check the copy; return what was made.

        The folder is a base directory itself, and appears when all is in it.

        Args:
            to: must not exist; `{base}/backups/{now}` when left out.

        Raises:
            InputError: *to* is no path.
            StoreError: *to* exists, or a store is damaged.
            OSError: something cannot be read or written.
        """
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        target = (self.config.metrics_dir / FOLDER / now) if to is None else place_of("to", to)
        with self._alone():
            return Backup(self.config.metrics_dir, target, self.stores, self.journal, progress).run()

    def restore(self, backup: str | os.PathLike[str] | None = None, progress: Progress = nothing_told) -> Restored:
        """
        Bring back what *backup* has and is missing here; return what that was.

        Nothing that is here is overwritten or lost; what was pruned here stays pruned.

        Args:
            backup: a folder that `backup()` made; the newest in `{base}/backups` when left out.

        Raises:
            InputError: *backup* is no path.
            NotFound: there is no backup.
            StoreError: it is no whole backup, or a store here cannot be written.
        """
        place = newest_backup(self.config.metrics_dir) if backup is None else place_of("backup", backup)
        if place is None or not place.is_dir():
            raise NotFound(f"there is no backup at {place or self.config.metrics_dir / FOLDER}")
        with self._alone():
            opener = self._open_gatherer
            return Restore(place, self.config.metrics_dir, self.stores, self.journal, opener, progress).run()

    def _open_gatherer(self) -> Any:
        name, sink = self._having("open_gatherer")[0]
        return sink.open_gatherer(self.contexts[name], change=lambda record: record)

    def replay(self, into: str, day: str | None = None, progress: Progress = nothing_told) -> Replayed:
        """
        Feed the journal to the sink called *into* again; what it has already changes nothing.

        Args:
            day: the first day (UTC, `YYYY-MM-DD`); the whole journal when left out.

        Raises:
            InputError: *day* is no day.
            NotFound: there is no such sink.
            ConfigError: there is, and it cannot be built.
            StoreError: no sink keeps a journal, or the sink is the journal itself.
        """
        day = None if day is None else day_of("day", day)
        if into not in self.sinks and into in self.faults:
            raise ConfigError("; ".join(self.faults[into]), tuple(self.faults[into]))
        if into not in self.sinks:
            raise NotFound(f"there is no sink {into!r}; there are {', '.join(self.sinks) or 'none'}")
        if self.journal is None:
            raise StoreError("no sink keeps a journal that could be fed", "add one of type 'ndjson'")
        context = evolve(self.contexts[into], is_read_only=False, writer=new_writer_id())
        with self._alone():
            return Replay(self.config, into, self.sinks[into], context, self.journal, day, progress).run()

    def schemas(self) -> dict[str, Schema]:
        """Return which schema each store has, by the name of its sink; nothing is changed."""
        return {name: care.schema() for name, care in self.stores.items()}

    def migrate(self) -> dict[str, Schema]:
        """
        Bring each store to the schema of this release, after a backup beside it; return what they have then.

        Raises:
            StoreError: a store cannot be written.
        """
        known = self.schemas()
        # What is not ours to change is told, not touched; the others need not wait for it.
        return {name: known[name] if known[name].refusal else care.migrate() for name, care in self.stores.items()}
