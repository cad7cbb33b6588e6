"""Look after one store: build it anew, and what else has to be done once in a while."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from attrs import frozen

from ...plugins.care import Progress, Rebuilt, Schema, Thinned, nothing_told
from ...plugins.errors import StoreError
from .connection import Database
from .copying import check_whole, copy_store
from .rebuilding import Rebuild
from .replaying import Replaying
from .store import SqliteStore
from .thinning import Announce, Thinning, count_old
from .versions import schema_of

__all__ = ["SqliteCare"]

_WAIT_S = 10.0


@frozen
class SqliteCare:
    """
    The care of the store at *path*; agents may write to it meanwhile.

    Args:
        journal_dir: of the journal that the store follows, None when it follows none.
    """

    path: Path
    journal_dir: Path | None

    @property
    def _journal(self) -> Path:
        if self.journal_dir is None:
            raise StoreError(f"no sink keeps a journal, so {self.path} is the only copy", "add a sink of type 'ndjson'")
        return self.journal_dir

    def rebuild(self, progress: Progress = nothing_told) -> Rebuilt:
        """Build the store anew from its journal and put it in place; see `Rebuild`."""
        return Rebuild(self.path, self._journal, progress=progress).run()

    def prune(self, before: str, announce: Announce | None, progress: Progress = nothing_told) -> Thinned:
        """Delete the runs that ended before a day; see `Thinning`."""
        kept = self.count_old(before).kept
        thinning = Thinning(self.path, self.journal_dir, before, announce, progress)
        if self.path.exists():
            thinning.run()
        return Thinned(
            path=str(self.path),
            runs=thinning.runs,
            events=thinning.events,
            kept=kept,
            longest_ms=round(thinning.longest_s * 1000, 1),
        )

    def count_old(self, before: str) -> Thinned:
        """Return what `prune()` would delete; the store is brought up to its journal first, as by any reader."""
        with closing(SqliteStore(self.path, self.journal_dir)) as store:
            store.stats()
        if not self.path.exists():
            return Thinned(path=str(self.path), runs=0, events=0)
        database = Database(self.path, is_read_only=True)
        try:
            with database.reading() as opened:
                runs, events, kept = count_old(opened, before)
        finally:
            database.close()
        return Thinned(path=str(self.path), runs=runs, events=events, kept=kept)

    def backup(self, target: Path, progress: Progress = nothing_told) -> bool:
        """Copy the store to the new file *target* and check it; return False without a store."""
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        copy_store(self.path, target, progress)
        return True

    def bring_in(self, other: Path, progress: Progress = nothing_told) -> Rebuilt:
        """Build the store anew from its journal, and add what the store in the file *other* has and it has not."""
        check_whole(other)
        return Rebuild(self.path, self.journal_dir, (other,), progress).run()

    def replay(self, day: str | None, progress: Progress = nothing_told) -> int:
        """Read the journal again from *day* on; return how many records it has there."""
        return Replaying(self.path, self._journal, day, progress).run()

    def schema(self) -> Schema:
        """Return which schema the store has; nothing is changed."""
        return schema_of(self.path)

    def migrate(self) -> Schema:
        """Bring the store to the schema of this release; what it needs is done when it is opened."""
        database = Database(self.path)
        try:
            with database.writing(_WAIT_S):
                pass
        finally:
            database.close()
        return schema_of(self.path)
