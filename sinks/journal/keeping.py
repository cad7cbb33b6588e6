"""Look after the days of a journal: delete the old, gzip those that are closed, never what somebody still writes to."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

from ...plugins.care import Day, Progress, nothing_told
from ...plugins.lines import encode_line
from ...plugins.pruning import RunPruned
from ...plugins.records import Record
from .disk import Disk
from .files import JournalFile, file_name, free_number, journal_files
from .reading import read_records
from .side_lock import SideLock
from .writer import Journal

__all__ = ["JournalKeeper"]

_CHUNK_BYTES = 1 << 20
_LOCK_WAIT_S = 2.0


@frozen
class JournalKeeper:
    """
    The care of the journal in *directory*; agents may write meanwhile.

    Today and yesterday are never touched, whatever is asked: a process that was stopped over midnight may have a line
    to finish.
    """

    directory: Path

    def days(self) -> list[Day]:
        """Return the files of the journal, oldest first."""
        return [_day_of(file) for file in journal_files(self.directory)]

    def at(self, directory: Path) -> JournalKeeper:
        """Return the care of the journal in another folder."""
        return JournalKeeper(directory)

    def records(self, day: str | None, progress: Progress = nothing_told) -> Iterator[Record]:
        """Yield the records of the journal from *day* (`YYYY-MM-DD`, None for all) on, in its order."""
        files = [file for file in journal_files(self.directory) if day is None or _day_of(file).day >= day]
        for number, file in enumerate(files, start=1):
            for found in read_records(file):
                yield found.record
            progress("replaying days", number, len(files))

    def pruned_before(self) -> str:
        """Return the day (`YYYY-MM-DD`) up to which was pruned at last, empty when nothing was."""
        found = (
            found.record for file in journal_files(self.directory) for found in read_records(file, kinds=("pruned",))
        )
        return max((record.before for record in found if isinstance(record, RunPruned)), default="")

    def announce(self, pruned: Sequence[RunPruned]) -> None:
        """Write into the journal that runs were pruned; they are safe there when this returns."""
        journal = Journal(self.directory)
        try:
            journal.append(b"".join(map(encode_line, pruned)))
        finally:
            journal.close()

    def delete_before(self, day: str, progress: Progress = nothing_told) -> list[Day]:
        """Delete the files of the days before *day* (`YYYY-MM-DD`); return them."""
        found = [file for file in journal_files(self.directory) if _is_before(file, day)]
        deleted = []
        for number, file in enumerate(found, start=1):
            deleted.append(_day_of(file))
            # The gzipped one first, which counts less: killed between the two, the whole day is there still.
            for path in (_packed_path(file), file.path):
                path.unlink(missing_ok=True)
            progress("deleting days", number, len(found))
        if found:
            Disk().sync_directory(str(self.directory))
        return deleted

    def gzip_before(self, day: str, progress: Progress = nothing_told) -> list[tuple[Day, Day]]:
        """
        Gzip the files of the days before *day* (`YYYY-MM-DD`); return each as it was and as it is.

        Positions in a file count uncompressed bytes, so cursors and the numbers of events hold.
        """
        found = [file for file in journal_files(self.directory) if _is_before(file, day) and not file.is_closed]
        total, done = sum(file.size for file in found), 0
        packed = []
        for file in map(self._with_own_name, found):
            before = _day_of(file)
            for size in self._packed(file):
                done += size
                progress("packing days", done, total)
            packed.append((before, _day_of(JournalFile(_packed_path(file), file.name))))
        return packed

    def _with_own_name(self, file: JournalFile) -> JournalFile:
        """Rename *file* where a gzipped one has its name and holds other lines, which are kept."""
        if file.name == file.path.name and _may_replace(file, _packed_path(file)):
            return file
        path = self.directory / file.name  # where readers tell the two apart, it has a name of its own already
        if path.exists() or _packed_path(file).exists():
            day = _day_of(file).day.replace("-", "")
            path = self.directory / file_name(day, free_number(self.directory, day))
        # Before it is packed: killed in between, it is a file like any other. Who has it open goes on in it.
        file.path.rename(path)
        Disk().sync_directory(str(self.directory))
        return JournalFile(path, path.name)

    def _packed(self, file: JournalFile) -> Iterator[int]:
        """Gzip one file; yield the count of bytes after each piece."""
        part = _packed_path(file).with_name(f"{file.name}.gz.part")
        lock = SideLock(str(self.directory / ".lock"), _LOCK_WAIT_S)
        try:
            while True:
                size = file.size
                yield from _compress(file.path, part)
                lock.renew()
                is_locked = lock.acquire()
                try:
                    if file.size == size:  # nobody has added a line since
                        os.replace(part, _packed_path(file))
                        Disk().sync_directory(str(self.directory))
                        file.path.unlink()
                        return
                finally:
                    if is_locked:
                        lock.release()
        finally:
            part.unlink(missing_ok=True)
            lock.close()


def _compress(path: Path, part: Path) -> Iterator[int]:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with path.open("rb") as source, open(descriptor, "wb") as target:
        with gzip.GzipFile("", "wb", 6, target, mtime=0) as packer:
            while chunk := source.read(_CHUNK_BYTES):
                packer.write(chunk)
                yield len(chunk)
        target.flush()
        os.fsync(target.fileno())
    shutil.copymode(path, part)


def _may_replace(file: JournalFile, packed: Path) -> bool:
    """Whether nothing is lost with *packed*: it is not there, or *file* begins with all that can be read of it."""
    with file.open() as stream:
        return all(stream.read(len(chunk)) == chunk for chunk in JournalFile(packed, file.name).chunks())


def _packed_path(file: JournalFile) -> Path:
    return file.path.with_name(f"{file.name}.gz")


def _day_of(file: JournalFile) -> Day:
    text = file.name[len("events_") :][:8]
    size = file.path.stat().st_size if file.path.exists() else 0
    return Day(
        name=file.path.name, day=f"{text[:4]}-{text[4:6]}-{text[6:]}", size_bytes=size, is_gzipped=file.is_closed
    )


def _is_before(file: JournalFile, day: str) -> bool:
    last_closed = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
    own = _day_of(file).day
    return own < day and own <= last_closed
