"""Bring the lines of other journals and stores into this one: each once, in whatever order they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import filelock
from attrs import define, field

from ...plugins.codec import decode
from ...plugins.errors import StoreError
from ...plugins.lines import encode_line, record_of, records_in
from ...plugins.mend import start_of
from ...plugins.records import Record
from .files import JournalFile, gzip_faults, journal_files
from .known import Head, KnownLines, head_of
from .reading import lines_of
from .writer import Journal

__all__ = ["Change", "Gathered", "Gatherer", "Progress"]

_BATCH_BYTES = 1 << 18  # the other writers wait 0.2 ms for it, and one sync serves about a thousand lines
_LOCK_NAME = ".gathering.lock"
_NEVER = "1970-01-01T00:00:00.000000+00:00"
Change: TypeAlias = Callable[[Record], Record]
Progress: TypeAlias = Callable[[int], None]
"""Called with the count of bytes that were read."""


def _as_it_is(record: Record) -> Record:
    return record


def _unseen(count: int) -> None:
    """Show no progress."""


@define
class Gathered:
    """
    What became of one source.

    `added` counts lines by their kind, `known` those that were there before; `damaged` counts lines of which nothing
    could be read, such as the torn end of a copy.
    """

    added: dict[str, int] = field(factory=dict)
    known: int = 0
    damaged: int = 0

    @property
    def total(self) -> int:
        """How many lines are new."""
        return sum(self.added.values())

    def count(self, kind: str) -> None:
        """Count a new line."""
        self.added[kind] = self.added.get(kind, 0) + 1


@define(eq=False)
class Gatherer:
    """
    Take in lines from elsewhere, and write those that the journal has not.

    There is no state between two of these: what a process that was killed has written is found in the journal by the
    next one, which adds the rest. Lines that this platform wrote are copied as they stand; those of earlier writers
    are put into today's form.

    Args:
        journal: writes them.
        change: is applied to each record without a number, such as the redaction of secrets.
        is_dry: counts only.
    """

    journal: Journal
    change: Change = _as_it_is
    is_dry: bool = False
    _known: KnownLines = field(factory=KnownLines, init=False)
    _sources: int = field(default=0, init=False)
    _batch: list[bytes] = field(factory=list, init=False)
    _batch_bytes: int = field(default=0, init=False)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """
        Keep others from gathering into the same journal meanwhile; agents go on writing.

        Raises:
            StoreError: somebody is at it.
        """
        lock = filelock.FileLock(f"{self.journal.directory}/{_LOCK_NAME}", timeout=0, mode=0o600)
        if self.is_dry:
            yield
            return
        self.journal.make_directory()
        try:
            lock.acquire()
        except filelock.Timeout as error:
            told = f"another import or merge is writing into {self.journal.directory!r}"
            raise StoreError(told, "try again when it has ended") from error
        try:
            yield
        finally:
            lock.release()

    def look(self, *, with_texts: bool = False, progress: Progress = _unseen) -> None:
        """
        Read what the journal has; to be called once, before anything is taken.

        Args:
            with_texts: remembers what its lines say too, for `take_records()`.
        """
        self._known.with_texts = with_texts
        for file in journal_files(self.journal.directory):
            for line, head in _headed_lines(file, Gathered(), progress):
                self._known.hold(line, head)

    def take_journal(self, place: Path, progress: Progress = _unseen) -> Gathered:
        """Take in the lines of the journal in the folder *place*, or of one file, whatever its name."""
        with self._one_source() as gathered:
            for file in _files_of(place):
                for line, head in _headed_lines(file, gathered, progress):
                    if head.record_type == "pruned":
                        continue  # what was let go of elsewhere may be kept here
                    if head.is_numbered:
                        self._take(line, head, gathered)
                    elif (record := _foreign_record(line)) is not None:
                        self._take(encode_line(self.change(record)), head, gathered)
                    else:
                        gathered.damaged += 1
        return gathered

    def take_records(self, records: Iterable[Record], is_known: Callable[[Record], bool]) -> Gathered:
        """
        Take in *records*, which are one source together and have no numbers.

        Args:
            is_known: tells of a record whose run has numbered lines whether they say all that it says.
        """
        with self._one_source() as gathered:
            for record in records:
                line = encode_line(self.change(record))
                head = head_of(line)
                assert head is not None  # we have just written it
                is_new = self._known.is_new(line, head, self._sources)
                if not is_new or (record.run_id in self._known.numbered_runs and is_known(record)):
                    gathered.known += 1
                else:
                    self._put(line, head, gathered)
        return gathered

    @property
    def place(self) -> Path:
        """Where the journal lies."""
        return Path(self.journal.directory)

    @staticmethod
    def size_of(place: Path) -> int:
        """Return how many bytes of the journal at *place* are read, which is a folder or one file."""
        return sum(file.size for file in _files_of(place))

    @contextmanager
    def _one_source(self) -> Iterator[Gathered]:
        self._sources += 1
        try:
            yield Gathered()
        finally:
            self.flush()  # also what was read before a damaged page, or before ^C

    def _take(self, line: bytes, head: Head, gathered: Gathered) -> None:
        if self._known.is_new(line, head, self._sources):
            self._put(line, head, gathered)
        else:
            gathered.known += 1

    def _put(self, line: bytes, head: Head, gathered: Gathered) -> None:
        gathered.count(head.record_type)
        if self.is_dry:
            return
        self._batch.append(line)
        self._batch_bytes += len(line)
        if self._batch_bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits; it is as safe as the journal's mode promises when this returns."""
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            self.journal.append(b"".join(batch))

    def close(self) -> None:
        """Let go of what is known, and of the journal."""
        self._known.close()
        self.journal.close()


def _files_of(place: Path) -> list[JournalFile]:
    return journal_files(place) if place.is_dir() else [JournalFile(place, place.name.removesuffix(".gz"))]


def _headed_lines(file: JournalFile, gathered: Gathered, progress: Progress) -> Iterator[tuple[bytes, Head]]:
    """Yield each whole line of *file* with its head; what a damaged line still holds comes as lines of its own."""
    try:
        with file.open() as stream:
            for line in lines_of(stream):
                progress(len(line))
                yield from _whole_lines(line, gathered)
    except FileNotFoundError:
        return  # pruned since it was listed
    except gzip_faults():
        gathered.damaged += 1  # a copy that was cut; its lines up to there were read


def _whole_lines(line: bytes, gathered: Gathered) -> Iterator[tuple[bytes, Head]]:
    head = head_of(line)
    if head is not None:
        yield (line if line.endswith(b"\n") else line + b"\n"), head
        return
    found = False
    for _, _, record in records_in(line):
        whole = encode_line(record)
        found, head = True, head_of(whole)
        assert head is not None  # we have just written it
        yield whole, head
    gathered.damaged += not found and not line.isspace()


def _foreign_record(line: bytes) -> Record | None:
    """Return what a line without a number says, None when that is nothing that we know."""
    try:
        values: Any = decode(line)
        if isinstance(values, dict) and values.get("record_type") == "run" and not values.get("start_time"):
            # The reader would take the moment of the reading, and the line would be another one each time.
            values["start_time"] = start_of(values.get("run_id")) or values.get("end_time") or _NEVER
        return record_of(values)
    except ValueError:
        return None
