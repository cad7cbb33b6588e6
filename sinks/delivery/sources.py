"""Say which journals a delivery is fed from: the shared one, and the sink's own."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from ..journal import JournalFile, journal_files
from .cursor import Cursor, day_of
from .places import Places

__all__ = ["Source", "sources_of"]


@frozen
class Source:
    """
    A journal that is delivered.

    Args:
        prefix: stands before its files' names in the cursor, which tells the files of two journals apart.
        first_day: what is older (`YYYYMMDD`) is not looked at.
        left_out: names of further files that are not.
        is_own: nobody else reads it, so what is delivered may be deleted.
    """

    directory: Path
    prefix: str = ""
    first_day: str = ""
    left_out: frozenset[str] = frozenset()
    is_own: bool = False

    def files(self) -> list[JournalFile]:
        """Return its files, oldest first."""
        files = journal_files(self.directory)
        return [file for file in files if day_of(file) >= self.first_day and file.name not in self.left_out]

    def name_of(self, file: JournalFile) -> str:
        """Return the name of *file* in the cursor."""
        return self.prefix + file.name


def sources_of(places: Places, journal_dir: Path | None, cursor: Cursor) -> tuple[Source, ...]:
    """
    Return the sink's own journal, and last the shared one where there is one, as far as *cursor* does not leave it out.

    The own one also holds the dead letters that are tried again, and what was kept before there was a shared one.
    """
    own = Source(places.journal, "own/", is_own=True)
    if journal_dir is None:
        return (own,)
    if cursor.left_out is None:
        return own, Source(journal_dir, first_day=cursor.first_day)
    return own, Source(journal_dir, left_out=frozenset(cursor.left_out))
