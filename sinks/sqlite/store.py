"""Read the SQLite store of a set-up: it is brought up to the journal first, and answers whatever happens to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from ...plugins import Retryable, StoreError
from ...plugins.complaints import Complaints
from ..journal import has_journal
from .answers import Answers, Readable
from .catch_up import RUNS, CatchUp
from .caught_up import CaughtUpStore, Progress
from .connection import Damaged, Database, Opened
from .journal_store import JournalStore
from .scratch import ScratchDatabase
from .unindexed import Unindexed

__all__ = ["SqliteStore"]

_WAIT_S = 1.0
_Result = TypeVar("_Result")
_complaints = Complaints(logging.getLogger("telemetry.sqlite"))


class SqliteStore(CaughtUpStore):
    """
    The runs and events in one SQLite file, read only; a connection for writing lives as long as catching up takes.

    A database that is missing is built from the journal, a damaged one set aside and built anew. Where neither can
    be done, a `JournalStore` answers. A database that is locked, or that may only be read, answers with what it has.

    Args:
        path: of the database file.
        journal_dir: of the journal that the database follows, None when it follows none.
        wait_s: how long catching up may wait for a lock.
    """

    def __init__(self, path: Path, journal_dir: Path | None = None, *, wait_s: float = _WAIT_S) -> None:
        self._path = path
        self._journal_dir = journal_dir
        self._wait_s = wait_s
        self._reader = Database(path, is_read_only=True)
        self._writer = Database(path)
        self._nothing = ScratchDatabase()
        self._instead: JournalStore | None = None

    def _catch_up(self, *passes: str, deadline_s: float | None = None, progress: Progress | None = None) -> bool:
        if self._instead is not None:
            return self._instead._catch_up(*passes, deadline_s=deadline_s, progress=progress)
        if self._journal_dir is None or not has_journal(self._journal_dir):
            return True
        try:
            return self._advance(self._journal_dir, passes, deadline_s, progress)
        except Damaged as error:
            self._repair(self._journal_dir, error)
        except (Retryable, StoreError) as error:
            if not isinstance(error, StoreError) or self._path.exists():
                _complaints.say(f"behind:{self._path}", "%s; its answers may lack what the journal has since", error)
                return False
            self._stand_in(self._journal_dir, error)
        return self._catch_up(*passes, deadline_s=deadline_s, progress=progress)

    def _advance(
        self, journal_dir: Path, passes: tuple[str, ...], deadline_s: float | None, progress: Progress | None
    ) -> bool:
        pair = _Pair(self._reader, self._writer)
        catch_up = CatchUp(pair, journal_dir, wait_s=self._wait_s)
        try:
            return catch_up.run(*passes, deadline_s=deadline_s, progress=progress)
        finally:
            if pair.is_writing:
                self._writer.close()
                self._reader.close()  # it may have met the file before it was migrated

    def _repair(self, journal_dir: Path, error: Damaged) -> None:
        """Set the damaged file aside, so that the next catch-up builds it anew."""
        _complaints.say(f"damaged:{self._path}", "%s; it is set aside and built anew from the journal", error)
        try:
            # Whoever met the damage knows which file that was; another process may have put a new one there.
            is_set_aside = self._reader.quarantine(self._wait_s) is not None
            if not is_set_aside and self._path.exists():
                self._writer.quarantine(self._wait_s)
        except (Retryable, StoreError) as fault:
            self._stand_in(journal_dir, fault)

    def _stand_in(self, journal_dir: Path, error: Exception) -> None:
        _complaints.say(f"stands in:{self._path}", "%s; the journal itself answers", error)
        self._instead = JournalStore(journal_dir)

    def _ask(self, question: Callable[[Answers], _Result]) -> _Result:
        if self._instead is not None:
            return self._instead._ask(question)
        try:
            return question(Answers(self._database()))
        except Damaged as error:
            if self._journal_dir is None or not has_journal(self._journal_dir):
                raise  # nothing could take its place
            self._repair(self._journal_dir, error)
            self._catch_up(RUNS)
            return self._ask(question)
        except Retryable as error:
            raise StoreError(str(error), "try again") from error

    def _database(self) -> Readable:
        """Return what answers now: an empty database as long as nothing was recorded, which is no error."""
        if not self._path.exists():
            return self._nothing
        with self._reader.reading() as opened:
            is_made = "agent_runs" in opened.shape.tables
        if not is_made:
            self._reader.close()
        return self._reader if is_made else self._nothing

    def _unindexed(self) -> Unindexed:
        if self._instead is not None:
            return self._instead._unindexed()
        if self._journal_dir is None:
            return Unindexed()
        journal_dir = self._journal_dir
        return self._ask(lambda answers: answers.unindexed(journal_dir))

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._nothing.close()
        if self._instead is not None:
            self._instead.close()


class _Pair:
    """The database as a catch-up sees it: opened for writing only when there is something to write."""

    def __init__(self, reader: Database, writer: Database) -> None:
        self._reader = reader
        self._writer = writer
        self.is_writing = False

    def reading(self) -> AbstractContextManager[Opened]:
        # A reader may have met the file before it had tables; once the writer is open, that one knows best.
        self.is_writing |= not self._reader.path.exists()
        return (self._writer if self.is_writing else self._reader).reading()

    def writing(self, wait_s: float) -> AbstractContextManager[Opened]:
        self.is_writing = True
        return self._writer.writing(wait_s)

    def checkpoint(self, wait_s: float) -> bool:
        return self._writer.checkpoint(wait_s)
