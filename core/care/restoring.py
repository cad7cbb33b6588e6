"""Bring back what a backup has and is missing here; nothing that is here is overwritten, and agents may write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from ...plugins.care import Day, JournalCare, Progress, Rebuilt, StoreCare
from ...plugins.errors import StoreError
from ...plugins.private import make_private_folder
from .backups import ANOTHER, Manifest, read_manifest
from .copies import chunks_of, digest_of, put_new

__all__ = ["Restore", "Restored"]


@frozen(kw_only=True)
class Restored:
    """
    What was brought back.

    Args:
        days: files of the journal that were missing here.
        lines: lines that were missing in days that are here; they stand in today's file now.
        pruned: files that were left out, because their day was pruned here.
        changed: files of the backup that are not as they were written.
        state: cursors and dead letters that were missing here.
        stores: what became of each database.
    """

    backup: str
    made_at: str
    days: tuple[str, ...] = ()
    lines: int = 0
    pruned: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    stores: tuple[Rebuilt, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@define
class Restore:
    """
    One restore of the backup in the folder *backup*.

    Args:
        base_dir: where it is brought to.
        open_gatherer: opens what adds missing lines to the journal here.
    """

    backup: Path
    base_dir: Path
    stores: Mapping[str, StoreCare]
    journal: JournalCare | None
    open_gatherer: Callable[[], Any]
    progress: Progress
    _manifest: Manifest = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._manifest = read_manifest(self.backup)

    def run(self) -> Restored:
        """
        Bring it back.

        Raises:
            StoreError: it is no whole backup, or a store here cannot be written.
            OSError: something cannot be read or written.
        """
        changed = tuple(self._changed())
        days, lines, pruned = self._restore_journal() if self.journal is not None else ((), 0, ())
        # The journal first: a cursor that speaks of files which are not here would have them delivered again.
        state = tuple(self._restore_state())
        return Restored(
            backup=str(self.backup),
            made_at=self._manifest.made_at,
            days=days,
            lines=lines,
            pruned=pruned,
            changed=changed,
            state=state,
            stores=tuple(care.bring_in(path, self.progress) for care, path in self._pairs()),
        )

    def _changed(self) -> Iterator[str]:
        files = self._manifest.files
        for number, (name, digest) in enumerate(files.items(), start=1):
            path = self.backup / name
            if not path.is_file():
                raise StoreError(f"{self.backup} is not whole: {name} is missing", ANOTHER)
            if digest_of(path) != digest:
                yield name
            self.progress("checking files", number, len(files))

    def _restore_journal(self) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
        assert self.journal is not None
        here = {day.file: day for day in self.journal.days()}
        theirs = self.journal.at(self.backup / "raw")
        before = self.journal.pruned_before()
        pruned = [day for day in theirs.days() if day.day < before]
        days, doubtful = [], []
        wanted = [day for day in theirs.days() if day.day >= before]
        for number, day in enumerate(wanted, start=1):
            path = theirs.directory / day.name
            if day.file not in here and put_new(path, self.journal.directory / day.name, lambda size: None):
                days.append(day.name)
            elif not self._is_within(path, here.get(day.file)):
                doubtful.append(path)
            self.progress("restoring days", number, len(wanted))
        return tuple(days), self._gather(doubtful), tuple(day.name for day in pruned)

    def _is_within(self, path: Path, day: Day | None) -> bool:
        """Whether the file here begins with all that the backup has, as after an ordinary day."""
        assert self.journal is not None
        if day is None or day.is_gzipped or path.suffix == ".gz":
            return False
        own = self.journal.directory / day.name
        if own.stat().st_size < path.stat().st_size:
            return False
        with own.open("rb") as file:
            return all(file.read(len(chunk)) == chunk for chunk in chunks_of(path))

    def _gather(self, paths: list[Path]) -> int:
        if not paths:
            return 0
        with self._gatherer() as gatherer:
            gatherer.look()
            count = 0
            for number, path in enumerate(paths, start=1):
                count += gatherer.take_journal(path).total
                self.progress("adding days", number, len(paths))
            return count

    @contextmanager
    def _gatherer(self) -> Iterator[Any]:
        gatherer = self.open_gatherer()
        try:
            with gatherer.alone():
                yield gatherer
        finally:
            gatherer.close()

    def _restore_state(self) -> Iterator[str]:
        for name in self._manifest.files:
            if name.startswith("state/"):
                target = self.base_dir / name
                make_private_folder(target.parent)
                if put_new(self.backup / name, target, lambda size: None):
                    yield name

    def _pairs(self) -> Iterator[tuple[StoreCare, Path]]:
        stored = self._manifest.stores
        for name, care in self.stores.items():
            # A sink may have got another name since; where there is one of each, they belong together.
            only = next(iter(stored.values())) if len(stored) == len(self.stores) == 1 else None
            if (path := stored.get(name, only)) is not None:
                yield care, self.backup / path
