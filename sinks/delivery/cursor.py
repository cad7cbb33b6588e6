"""Remember how far the journal is delivered, in a file that survives crashes and copies of the base directory."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ...plugins.errors import StoreError
from ..journal import JournalFile, journal_files
from .places import create_file, replace_file

__all__ = [
    "Cursor",
    "Mark",
    "Trouble",
    "create_cursor",
    "day_of",
    "first_cursor",
    "is_still_there",
    "load_cursor",
    "mark_at",
    "save_cursor",
]

_VERSION = 1


class Mark(msgspec.Struct, frozen=True):
    """
    A position in one journal file.

    The file is known by its name and the digest of its first line, never by its inode, so that a copied base
    directory goes on where it was. `tail` is what stands before the position: a file that lost its end in a power
    cut and grew again would otherwise be read from the middle of a line.
    """

    name: str
    head: str
    offset: int
    tail: str = ""


class Trouble(msgspec.Struct, frozen=True):
    """
    What holds the delivery up: since when, how many tries failed, why, which run, and when it is tried again.

    `strikes` counts the tries that failed while other records were taken. Kept on disk, because a process that lives
    for a second each minute would otherwise start to count anew for ever.
    """

    since: str
    attempts: int
    strikes: int
    reason: str
    run_id: str
    key: str
    retry_at: str


class Cursor(msgspec.Struct, frozen=True):
    """
    Everything that a delivery must remember.

    `first_day` (`YYYYMMDD`) is the newest day that the shared journal had when the sink was new; it is empty when the
    whole journal is delivered. `left_out` names the gzipped files that were there then, and the plain ones have marks.
    Older versions wrote none and left out whatever had an older name; so do we where it is None. `ahead` has the keys
    of items behind a mark that are done already, while one before them has to be tried again.
    """

    first_day: str = ""
    marks: tuple[Mark, ...] = ()
    ahead: tuple[str, ...] = ()
    trouble: Trouble | None = None
    left_out: tuple[str, ...] | None = None
    version: int = _VERSION


class _Versioned(msgspec.Struct):
    version: int


def first_cursor(journal_dir: Path | None, *, is_backfill: bool) -> Cursor:
    """Return where a sink starts that has no cursor: at the end of the journal as it is now, or at its beginning."""
    files = [] if is_backfill or journal_dir is None else journal_files(journal_dir)
    if not files:
        return Cursor()
    # By name and place, not by day: a clock that was ahead would leave out all that is written when it is right again.
    # A look into a thousand gzipped files would hold the agent for seconds, and nothing can be added to them.
    measured = [(file, file.head) for file in files if not file.is_closed]
    marks = tuple(mark_at(file, file.name, head, file.size) for file, head in measured if head)
    return Cursor(day_of(files[-1]), marks, left_out=tuple(file.name for file in files if file.is_closed))


def create_cursor(path: Path, cursor: Cursor) -> bool:
    """Write *cursor* unless there is one; return whether it was written. Of several processes at once, one wins."""
    return create_file(path, msgspec.json.encode(cursor))


def load_cursor(path: Path) -> Cursor | None:
    """
    Return the cursor in *path*, None when there is no such file.

    Raises:
        StoreError: a later version wrote it.
        ValueError: it is damaged.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        version = msgspec.json.decode(content, type=_Versioned).version
        if version > _VERSION:
            raise StoreError(f"{path} is of a later version ({version})", "update local-telemetry to deliver again")
        return msgspec.json.decode(content, type=Cursor)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no cursor: {error}") from error


def save_cursor(path: Path, cursor: Cursor) -> None:
    """Write *cursor*; only the process that holds the delivery's lock may do it."""
    replace_file(path, msgspec.json.encode(cursor))


def mark_at(file: JournalFile, name: str, head: str, offset: int) -> Mark:
    """Return the mark for a position in *file*, which the cursor knows as *name*."""
    return Mark(name, head, offset, file.tail_before(offset))


def is_still_there(file: JournalFile, mark: Mark) -> bool:
    """Return whether what stood before *mark* stands there still."""
    return mark.tail == "" or file.is_closed or mark.tail == file.tail_before(mark.offset)


def day_of(file: JournalFile) -> str:
    """Return the day (UTC, `YYYYMMDD`) whose records *file* holds."""
    return file.name[len("events_") :][:8]
