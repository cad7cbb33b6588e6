"""Copy all that a set-up keeps on disk into a folder that is a base directory itself, while agents write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from ...plugins.care import JournalCare, Progress, StoreCare
from ...plugins.durable import sync_directory
from ...plugins.errors import StoreError
from ...plugins.private import make_private_folder
from .copies import chunks_of, copy_file, digest_of, whole_lines

__all__ = ["FOLDER", "MANIFEST", "BackedUp", "Backup", "Manifest", "newest_backup", "read_manifest"]

MANIFEST = "backup.json"
FOLDER = "backups"
_PART = ".part"
ANOTHER = "take another backup; what is whole of this one telemetry merge brings in"
"""What to do about a backup that is not whole."""
_STATE = ("*.cursor.json", "*.dead.ndjson", "*.aside.ndjson", "*/events_*.ndjson*")


@frozen(kw_only=True)
class BackedUp:
    """A backup that was made: where it lies, and how much is in it."""

    path: str
    files: int
    size_bytes: int
    stores: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@frozen(kw_only=True)
class Manifest:
    """
    What a backup says of itself.

    Args:
        made_at: when, ISO 8601 text in UTC.
        files: digest (SHA-256) by path in the backup.
        stores: path in the backup, by the name of the sink that keeps the store.
    """

    made_at: str
    files: Mapping[str, str]
    stores: Mapping[str, str]


@define
class Backup:
    """
    One backup.

    State goes first, then the stores, then the journal: so the journal has whatever the others speak of, and what a
    remote sink got in between is delivered to it again, under its old key.

    Args:
        base_dir: what is copied.
        target: a folder that does not exist yet; it appears when all is in it.
    """

    base_dir: Path
    target: Path
    stores: Mapping[str, StoreCare]
    journal: JournalCare | None
    progress: Progress
    _files: dict[str, str] = field(factory=dict, init=False)
    _done: int = field(default=0, init=False)

    def run(self) -> BackedUp:
        """
        Make the backup.

        Raises:
            StoreError: the target exists, or a store is damaged.
            OSError: something cannot be read or written.
        """
        if self.target.exists():
            raise StoreError(f"{self.target} exists already", "name a folder that does not")
        part = self.target.with_name(self.target.name + _PART)
        for left in (part, *(self.base_dir / FOLDER).glob(f"*{_PART}")):
            shutil.rmtree(left, ignore_errors=True)  # of a backup that was killed; there is one at a time
        make_private_folder(part.parent)
        part.mkdir(mode=0o700)
        try:
            stores = self._fill(part)
        finally:
            shutil.rmtree(part, ignore_errors=True)  # interrupted or failed; a whole one has its name by now
        sync_directory(self.target.parent)
        size = sum((self.target / name).stat().st_size for name in self._files)
        return BackedUp(path=str(self.target), files=len(self._files), size_bytes=size, stores=tuple(stores.values()))

    def _fill(self, part: Path) -> dict[str, str]:
        self._copy_state(part)
        stores = self._copy_stores(part)
        self._copy_journal(part)
        self._check(part)
        self._write_manifest(part, stores)
        part.rename(self.target)
        return stores

    def _copy_state(self, part: Path) -> None:
        state = self.base_dir / "state"
        for pattern in _STATE:
            for path in sorted(state.glob(pattern)):
                self._copy(part, f"state/{path.relative_to(state).as_posix()}", chunks_of(path), 1)

    def _copy_stores(self, part: Path) -> dict[str, str]:
        copied: dict[str, str] = {}
        for name, care in self.stores.items():
            target = "db/telemetry.sqlite" if not copied else f"db/{name}.sqlite"
            (part / target).parent.mkdir(mode=0o700, exist_ok=True)
            if care.backup(part / target, self.progress):
                self._files[target] = digest_of(part / target)
                copied[name] = target
        return copied

    def _copy_journal(self, part: Path) -> None:
        days = [] if self.journal is None else self.journal.days()
        total = sum(day.size_bytes for day in days)
        self._done = 0
        for day in days:
            if self.journal is not None:
                path = self.journal.directory / day.name
                chunks = chunks_of(path) if day.is_gzipped else whole_lines(path)
                self._copy(part, f"raw/{day.name}", chunks, total)

    def _copy(self, part: Path, name: str, chunks: Iterator[bytes], total: int) -> None:
        def covered(size: int) -> None:
            self._done += size
            self.progress("copying files", min(self._done, total), total)

        self._files[name] = copy_file(chunks, part / name, covered)

    def _check(self, part: Path) -> None:
        for number, (name, digest) in enumerate(self._files.items(), start=1):
            if digest_of(part / name) != digest:
                raise StoreError(f"{part / name} does not read back as it was written; the disk is at fault")
            self.progress("checking files", number, len(self._files))

    def _write_manifest(self, part: Path, stores: Mapping[str, str]) -> None:
        made_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00}"
        manifest = Manifest(made_at=made_at, files=self._files, stores=stores)
        text = json.dumps(asdict(manifest), indent=1)
        copy_file(iter([text.encode()]), part / MANIFEST, lambda size: None)
        for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
            sync_directory(folder)


def read_manifest(backup: Path) -> Manifest:
    """
    Return what the backup in the folder *backup* says of itself.

    Raises:
        StoreError: it is none, or not a whole one.
    """
    try:
        told = json.loads((backup / MANIFEST).read_text("utf-8"))
        return Manifest(made_at=told["made_at"], files=dict(told["files"]), stores=dict(told["stores"]))
    except FileNotFoundError as error:
        told = f"{backup} is no backup: it has no {MANIFEST}"
        raise StoreError(told, "telemetry merge takes in any base directory") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{backup / MANIFEST} cannot be read: {error}", ANOTHER) from error


def newest_backup(base_dir: Path) -> Path | None:
    """Return the newest backup in the place where they are made when nobody says otherwise, None without any."""
    found = [path.parent for path in (base_dir / FOLDER).glob(f"*/{MANIFEST}")]
    return max(found, key=lambda path: (path / MANIFEST).stat().st_mtime, default=None)
