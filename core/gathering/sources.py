"""Find what can be brought in at a path: databases and journals, told apart by what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from ...plugins.errors import StoreError

__all__ = ["DATABASE", "JOURNAL", "Source", "journal_at", "sources_at"]

DATABASE, JOURNAL = "database", "journal"
_MAGIC = b"SQLite format 3\0"
_GZIP = b"\x1f\x8b"
_DAYS = "events_*.ndjson*"
_CURE = "name a base directory, a database, or a file of lines"
_DATABASES = ("*.sqlite", "*.sqlite3", "*.db", "db/*.sqlite", "db/*.sqlite3", "db/*.db")
_LINES = ("*.ndjson", "*.ndjson.gz", "*.jsonl")


@frozen
class Source:
    """One store: a database file, the folder of a journal, or a single file of lines."""

    path: Path
    kind: str


def sources_at(path: Path) -> list[Source]:
    """
    Return the stores at *path*: a database, a file of lines, a base directory, or a folder of either; journals first.

    Raises:
        StoreError: there is none.
    """
    if path.is_dir():
        found = list(_in_folder(path))
        if not found:
            raise StoreError(
                f"{str(path)!r} holds nothing to import: neither {_DAYS} (here or in raw/) nor *.sqlite or *.db "
                "(here or in db/)",
                _CURE,
            )
        return found
    if not path.exists():
        raise StoreError(f"there is nothing at {str(path)!r}", _CURE, is_absent=True)
    return [Source(path, _kind_of(path))]


def journal_at(folder: Path) -> Source:
    """
    Return the journal of the base directory *folder*, or the one in that very folder.

    Raises:
        StoreError: there is none.
    """
    for place in (folder / "raw", folder):
        if next(place.glob(_DAYS), None) is not None:
            return Source(place, JOURNAL)
    cure = "name the base directory of another machine, or a copy of it; telemetry import brings in a database"
    if not folder.exists():
        raise StoreError(f"there is nothing at {str(folder)!r}", cure, is_absent=True)
    raise StoreError(f"{str(folder)!r} holds no journal: no {_DAYS}, here or in raw/", cure)


def _in_folder(folder: Path) -> Iterator[Source]:
    for place in (folder, folder / "raw"):
        days = set(place.glob(_DAYS))
        if days:
            yield Source(place, JOURNAL)
        for path in sorted({path for pattern in _LINES for path in place.glob(pattern)} - days):
            yield Source(path, JOURNAL)
    for path in sorted({path for pattern in _DATABASES for path in folder.glob(pattern) if path.is_file()}):
        if _begins_with(path, _MAGIC):
            yield Source(path, DATABASE)


def _kind_of(path: Path) -> str:
    if _begins_with(path, _MAGIC):
        return DATABASE
    if _begins_with(path, _GZIP) or _begins_with(path, b"{") or path.stat().st_size == 0:
        return JOURNAL
    raise StoreError(f"{str(path)!r} is neither an SQLite database nor lines of JSON", "name one of these")


def _begins_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark
