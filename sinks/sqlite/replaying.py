"""Read a journal again into a store that has read it: each line is folded once more, which changes nothing true."""

from __future__ import annotations

from pathlib import Path

from attrs import define

from ...plugins.care import Progress
from ..journal import JournalFile, journal_files
from ..journal.reading import lines_of
from .catch_up import EVENTS, RUNS, CatchUp
from .connection import Database

__all__ = ["Replaying"]

_WAIT_S = 5.0
_REWIND = "UPDATE journal_files SET runs_offset = 0, events_offset = 0 WHERE name >= ?"


@define
class Replaying:
    """
    One replay into the store at *path*.

    The cursors are set back, and catching up does the rest: broken off, any reader goes on with it.

    Args:
        day: the first day (UTC, `YYYY-MM-DD`), None for the whole journal.
    """

    path: Path
    journal_dir: Path
    day: str | None
    progress: Progress
    _done: int = 0

    def run(self) -> int:
        """
        Do it; return how many records were read.

        Raises:
            Retryable: somebody else held the store for 5 s.
            StoreError: the store cannot be written.
        """
        first = f"events_{(self.day or '').replace('-', '')}"
        files = [file for file in journal_files(self.journal_dir) if file.name >= first]
        total = 2 * sum(file.told_size for file in files)
        database = Database(self.path)

        def covered(size: int) -> None:
            self._done += size
            self.progress("replaying", min(self._done, total), total)

        try:
            with database.writing(_WAIT_S) as opened:
                opened.connection.execute(_REWIND, (first,))
            CatchUp(database, self.journal_dir, wait_s=_WAIT_S).run(RUNS, EVENTS, progress=covered)
        finally:
            database.close()
        return sum(_count(file) for file in files)


def _count(file: JournalFile) -> int:
    with file.open() as stream:
        return sum(not line.isspace() for line in lines_of(stream))
