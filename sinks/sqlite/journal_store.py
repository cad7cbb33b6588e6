"""Read a journal as a store, for set-ups that keep no database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .answers import Answers
from .catch_up import CatchUp
from .caught_up import CaughtUpStore, Progress
from .scratch import ScratchDatabase
from .unindexed import Unindexed

__all__ = ["JournalStore"]

_Result = TypeVar("_Result")


class JournalStore(CaughtUpStore):
    """
    The runs and events of one journal, by way of a database that lives as long as this object.

    It costs a reading of the journal's runs at the first question (about 5 s for a million lines), and of what is new
    at each further one.

    Args:
        journal_dir: the folder of the journal; nothing is written there.
    """

    _journal_dir: Path

    def __init__(self, journal_dir: Path) -> None:
        self._journal_dir = journal_dir
        self._database = ScratchDatabase()
        self._answers = Answers(self._database)

    def _catch_up(self, *passes: str, deadline_s: float | None = None, progress: Progress | None = None) -> bool:
        return CatchUp(self._database, self._journal_dir).run(*passes, deadline_s=deadline_s, progress=progress)

    def _ask(self, question: Callable[[Answers], _Result]) -> _Result:
        return question(self._answers)

    def _unindexed(self) -> Unindexed:
        return self._answers.unindexed(self._journal_dir)

    def close(self) -> None:
        """Forget the database; the next question builds it anew."""
        self._database.close()
