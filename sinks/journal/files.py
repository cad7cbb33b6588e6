"""Name the files of a journal in the order in which they were written, closed days that were gzipped included."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, cast

from attrs import frozen

__all__ = [
    "JournalFile",
    "Stamp",
    "file_name",
    "free_number",
    "gzip_faults",
    "has_journal",
    "journal_files",
    "number_to_open",
]

_NAME = re.compile(r"events_(\d{8})(?:\.r(\d+))?\.ndjson(\.gz)?")
_CHUNK_BYTES = 1 << 16
_DIGEST_BYTES = 16
_TAIL_BYTES = 16
_RECENT_NS = 2 * 86_400 * 10**9


class Stamp(NamedTuple):
    """What the system tells of a file at one look; all of it is 0 for a file that is gone."""

    size: int = 0
    changed_ns: int = 0
    inode: int = 0

    @property
    def is_recent(self) -> bool:
        """
        Whether the file was written within two days, or in the future by a clock that was wrong.

        Only such a file can be another one than it was a moment ago, and of the same size; to read the first line of
        every file would cost 50 us each.
        """
        return time.time_ns() - self.changed_ns < _RECENT_NS


@frozen
class JournalFile:
    """
    One file of a journal: `events_YYYYMMDD.ndjson`, or `.r1.ndjson`, `.r2.ndjson` ... after a fault of the disk, and
    where a line came for a day that was gzipped.

    `name` is the same before and after the file is gzipped, and so are `head` and all offsets: they count
    uncompressed bytes. `head` and `size` ask the disk at each use.
    """

    path: Path
    name: str

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be added to the file any more, because it was gzipped."""
        return self.path.suffix == ".gz"

    @property
    def head(self) -> str | None:
        """
        Digest of the first line, which tells two files of one name apart; None while that line has no newline yet.

        Unlike an inode it survives copying, rsync and gzip. None too for a file that is gone.
        """
        import hashlib  # 3 ms, which few agents ever need

        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for chunk in self.chunks():
            line, newline, _ = chunk.partition(b"\n")
            digest.update(line)
            if newline:
                return digest.hexdigest()
        return None

    @property
    def size(self) -> int:
        """
        Count of uncompressed bytes; 0 for a file that is gone.

        A gzipped file is read through for it (about 3 ms a megabyte): `has_more()` answers most questions at once.
        """
        if self.is_closed:
            return sum(map(len, self.chunks()))
        return self.stamp.size

    @property
    def stamp(self) -> Stamp:
        """Size as it is stored, time of the last change, and inode; costs one look."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return Stamp()
        return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)

    @property
    def told_size(self) -> int:
        """Count of uncompressed bytes as a gzipped file tells it of itself, modulo 4 GB; costs one look."""
        return (_gzip_trailer(self.path) or 0) if self.is_closed else self.stamp.size

    def has_more(self, offset: int) -> bool:
        """Return whether bytes may lie behind *offset*; costs one look at the file, gzipped or not."""
        if not self.is_closed:
            return self.stamp.size > offset
        return _gzip_trailer(self.path) != offset % 2**32

    def tail_before(self, offset: int) -> str:
        """
        Return the bytes before *offset*, as hex digits: a file that lost its end and grew again has others there.

        Nothing for a gzipped file, which is complete for ever; to read there would mean to unpack all before it.
        """
        if self.is_closed or offset == 0:
            return ""
        try:
            with self.open() as stream:
                stream.seek(max(0, offset - _TAIL_BYTES))
                return stream.read(min(offset, _TAIL_BYTES)).hex()
        except FileNotFoundError:
            return ""

    def open(self) -> IO[bytes]:
        """
        Open the file for reading, uncompressed.

        A file that was gzipped after it was listed is found under its new name.

        Raises:
            FileNotFoundError: the file is gone.
        """
        try:
            return _opened(self.path)
        except FileNotFoundError:
            if self.is_closed:
                raise
            return _opened(self.path.with_name(f"{self.name}.gz"))

    def chunks(self) -> Iterator[bytes]:
        """Yield what the file holds, uncompressed; nothing for a file that is gone."""
        # A cut gzip file gives what it holds: a part is better than nothing, and the reader complains of it.
        try:
            with self.open() as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError:
            return
        except gzip_faults():
            return


def gzip_faults() -> tuple[type[Exception], ...]:
    """Return what reading a gzipped file raises when it was cut or damaged."""
    import gzip  # with zlib 0.3 MB; an agent that only writes meets no gzipped file
    import zlib

    return EOFError, gzip.BadGzipFile, zlib.error


def journal_files(directory: str | os.PathLike[str]) -> list[JournalFile]:
    """
    Return the files of the journal in *directory*, oldest day first; none when there is no such directory.

    While a file lies there both plain and gzipped, the plain one counts: gzip is still at work, or was killed. Where
    their first lines differ they are two files, and the plain one is told under the next free number of its day.
    """
    entries = [entry for entry in _names_in(directory) if _NAME.fullmatch(entry)]
    folder = Path(directory)
    found = {entry.removesuffix(".gz"): folder / entry for entry in entries if entry.endswith(".gz")}
    doubled = []
    for entry in entries:
        if not entry.endswith(".gz"):
            doubled += [entry] if entry in found else []
            found[entry] = folder / entry
    for name in sorted(doubled, key=_age):
        _tell_apart(found, name)
    return [JournalFile(found[name], name) for name in sorted(found, key=_age)]


def _tell_apart(found: dict[str, Path], name: str) -> None:
    """Enter both files called *name*, the plain and the gzipped one, where they hold different lines."""
    # A writer whose clock was set back into a day that was gzipped has made such a pair.
    plain, packed = found[name], found[name].with_name(f"{name}.gz")
    head = JournalFile(packed, name).head
    if head is not None and head != JournalFile(plain, name).head:
        day, _ = _age(name)
        found[name] = packed
        found[file_name(day, _above(found, day))] = plain


def has_journal(directory: str | os.PathLike[str]) -> bool:
    """Return whether a file of a journal lies in *directory*."""
    return any(map(_NAME.fullmatch, _names_in(directory)))


def file_name(day: str, number: int = 0) -> str:
    """Return the name of the journal file of *day* (`YYYYMMDD`, UTC) with this *number*."""
    return f"events_{day}.r{number}.ndjson" if number else f"events_{day}.ndjson"


def number_to_open(directory: str | os.PathLike[str], day: str) -> int:
    """Return the highest number among the files of *day*, the next one where that file is gzipped, so complete."""
    names = set(filter(_NAME.fullmatch, _names_in(directory)))
    number = max(0, _above(names, day) - 1)
    name = file_name(day, number)
    return number + 1 if f"{name}.gz" in names and name not in names else number


def free_number(directory: str | os.PathLike[str], day: str) -> int:
    """Return the lowest number above those of all files of *day*."""
    return _above(filter(_NAME.fullmatch, _names_in(directory)), day)


def _above(names: Iterable[str], day: str) -> int:
    return max((number + 1 for other_day, number in map(_age, names) if other_day == day), default=0)


def _names_in(directory: str | os.PathLike[str]) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _age(name: str) -> tuple[str, int]:
    match = cast("re.Match[str]", _NAME.fullmatch(name))
    return match[1], int(match[2] or 0)


def _opened(path: Path) -> IO[bytes]:
    if path.suffix != ".gz":
        return path.open("rb")
    import gzip

    return cast("IO[bytes]", gzip.open(path, "rb"))


def _gzip_trailer(path: Path) -> int | None:
    # The last four bytes hold the uncompressed size modulo 2^32 (RFC 1952). Where several gzip files were put
    # into one they speak of the last part only; then a look inside finds nothing new, which is right but slow.
    with suppress(FileNotFoundError), path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) >= 18:
            stream.seek(-4, os.SEEK_END)
            return int.from_bytes(stream.read(4), "little")
    return None
