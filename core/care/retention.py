"""Let go of what is old: runs in each store, days of the journal, and the room that closed days take."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import asdict, define, field, frozen

from ...plugins.care import Day, JournalCare, Progress, StoreCare, Thinned
from ...plugins.errors import StoreError
from ...plugins.pruning import RunPruned
from ...plugins.store import RunQuery, RunStore

__all__ = ["Household", "Pruned", "Retention"]

_SOME = 500


@frozen(kw_only=True)
class Pruned:
    """
    What was pruned, or would be.

    Args:
        before: runs that ended before this day (UTC, `YYYY-MM-DD`) go, and the journal's days before it.
        wanted: the day that was asked for; another one when something held it.
        held_by: what held it, such as a sink that has a line of that day to deliver, and the day.
        stores: what was deleted of each store.
        deleted: the files of the journal that were deleted.
        gzipped: the files that were gzipped, with their size before and after.
    """

    before: str
    wanted: str
    held_by: Mapping[str, str] = field(factory=dict)
    stores: tuple[Thinned, ...] = ()
    deleted: tuple[Day, ...] = ()
    gzipped: tuple[tuple[Day, Day], ...] = ()
    is_dry: bool = False

    @property
    def runs(self) -> int:
        """How many runs went, in the store that had most."""
        return max((store.runs for store in self.stores), default=0)

    @property
    def freed_bytes(self) -> int:
        """How much less the journal takes on the disk."""
        packed = sum(before.size_bytes - after.size_bytes for before, after in self.gzipped)
        return packed + sum(day.size_bytes for day in self.deleted)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {**asdict(self), "held_by": dict(self.held_by), "freed_bytes": self.freed_bytes}


@frozen
class Household:
    """What retention works on: the stores, the journal, what has still to be delivered, and a way to read runs."""

    stores: Mapping[str, StoreCare]
    journal: JournalCare | None
    outboxes: Mapping[str, Any]
    reader: RunStore


@define
class Retention:
    """
    One prune.

    Args:
        older_than: how long ago a run must have ended.
        gzip_after: how long ago a day of the journal must have passed to be gzipped; None gzips none.
        is_forced: lines that a remote sink has not had yet go too.
    """

    household: Household
    older_than: timedelta
    gzip_after: timedelta | None
    is_forced: bool
    progress: Progress

    def run(self) -> Pruned:
        """
        Prune.

        Raises:
            StoreError: a store or the journal cannot be written, or it cannot be told what is delivered.
        """
        before, held_by = self._bound()
        house = self.household
        stores = tuple(care.prune(before, self._announce, self.progress) for care in house.stores.values())
        if house.journal is None:
            return Pruned(before=before, wanted=self._wanted, held_by=held_by, stores=stores)
        if not stores:
            self._announce_all(before)
        deleted = tuple(house.journal.delete_before(before, self.progress))
        gzipped = () if self.gzip_after is None else tuple(house.journal.gzip_before(self._gzip_day, self.progress))
        return Pruned(
            before=before, wanted=self._wanted, held_by=held_by, stores=stores, deleted=deleted, gzipped=gzipped
        )

    def look(self) -> Pruned:
        """Return what `run()` would do; nothing is deleted or written."""
        before, held_by = self._bound()
        days = [] if self.household.journal is None else self.household.journal.days()
        latest = _day(timedelta(days=1))
        deleted = [day for day in days if day.day < min(before, latest)]
        packed = [day for day in days if before <= day.day < min(self._gzip_day, latest) and not day.is_gzipped]
        return Pruned(
            before=before,
            wanted=self._wanted,
            held_by=held_by,
            stores=tuple(care.count_old(before) for care in self.household.stores.values()),
            deleted=tuple(deleted),
            gzipped=tuple((day, day) for day in packed),
            is_dry=True,
        )

    @property
    def _wanted(self) -> str:
        return _day(self.older_than)

    @property
    def _gzip_day(self) -> str:
        return "" if self.gzip_after is None else _day(self.gzip_after)

    def _bound(self) -> tuple[str, dict[str, str]]:
        """Return the day up to which may be pruned, and what forbids more."""
        held = dict(self._needed())
        if not self.household.stores and (first := self._first_kept()) is not None:
            held["runs that go on"] = first
        held_by = {name: day for name, day in held.items() if day < self._wanted}
        return min((self._wanted, *held_by.values())), held_by

    def _needed(self) -> dict[str, str]:
        if self.is_forced:
            return {}
        days = {name: outbox.first_day_needed() for name, outbox in self.household.outboxes.items()}
        return {name: f"{day[:4]}-{day[4:6]}-{day[6:]}" for name, day in days.items() if day is not None}

    def _first_kept(self) -> str | None:
        # Without a database the journal alone keeps a run that began long ago and goes on.
        for run in self.household.reader.runs(RunQuery(until=self._wanted, limit=None, oldest_first=True)):
            if run.is_running or (run.end_time or run.start_time) >= self._wanted:
                return run.start_time[:10]
        return None

    def _announce(self, pruned: Any) -> None:
        if self.household.journal is not None:
            self.household.journal.announce(pruned)

    def _announce_all(self, before: str) -> None:
        ids: list[RunPruned] = []
        for run in self.household.reader.runs(RunQuery(until=before, limit=None)):
            ids.append(RunPruned(run_id=run.run_id, before=before))
            if len(ids) == _SOME:
                self._announce(ids)
                ids = []
        if ids:
            self._announce(ids)


def _day(age: timedelta) -> str:
    if age < timedelta(days=1):
        raise StoreError(f"{age} is less than a day", "what is pruned or packed must be a day old at least")
    return f"{datetime.now(UTC) - age:%Y-%m-%d}"
