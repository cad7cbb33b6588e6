"""Build a store anew from its journal, beside the one in use, and put it in place in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from ...plugins.care import Progress, Rebuilt, counted, nothing_told
from ...plugins.errors import Retryable, StoreError
from ...plugins.private import make_private_folder
from ..journal import JournalFile, journal_files
from .carrying import Carrier
from .catch_up import EVENTS, RUNS, CatchUp
from .connection import Damaged, Database
from .draft import Draft
from .faults import NAMED, named
from .file_lock import FileLock
from .opening import open_for_reading

__all__ = ["Rebuild"]

_WAIT_S = 10.0
_PAGES = 1024
_TRIES = 5


class _Changed(Exception):
    """Another program wrote into the old store since it was compared."""


@define
class Rebuild:
    """
    One rebuild of the store at *path*.

    The draft lies at `{path}.rebuild` and carries its own cursors: what an interruption leaves is gone on with. In the
    end SQLite's own backup copies it over the old content in one transaction, under the lock of all our writers. No
    file is renamed: a process that has the store open would otherwise go on in a file that nobody finds, with a WAL
    that two databases share.

    Args:
        others: stores whose rows are brought in as well, such as that of a backup.
    """

    path: Path
    journal_dir: Path | None
    others: Sequence[Path] = ()
    progress: Progress = nothing_told
    _carriers: list[Carrier] = field(factory=list, init=False)
    _set_aside: Path | None = field(default=None, init=False)

    def run(self) -> Rebuilt:
        """
        Build, compare, put in place.

        Raises:
            StoreError: another rebuild is at work, the disk is full, or the store is not ours to change.
        """
        lock = FileLock(self.path.with_name(f"{self.path.name}.rebuild.lock"))
        database = Database(self.path)
        try:
            make_private_folder(self.path.parent)
            if not lock.acquire(0.0):
                raise StoreError(f"{self.path} is being rebuilt by another process", "wait for it")
            return self._run(database)
        except NAMED as error:
            raise named(error, self.path) from error
        finally:
            database.close()
            lock.close()

    def _run(self, database: Database) -> Rebuilt:
        is_whole = self._is_whole()
        draft = Draft(self.path.with_name(f"{self.path.name}.rebuild"), self._model(is_whole))
        try:
            self._fill(draft)
            self._carriers = [Carrier(draft, path) for path in (*([self.path] if is_whole else []), *self.others)]
            if not is_whole and self.path.exists():
                self._set_aside = _quarantined(database)
            self._compare()
            self._put_in_place(draft, database, is_whole)
            rebuilt = self._told(draft)
        except BaseException:
            draft.close()
            raise
        draft.delete()
        return rebuilt

    def _is_whole(self) -> bool:
        """Whether there is a store to compare with; one that is damaged is set aside, one that is not ours refused."""
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        try:
            opened = open_for_reading(self.path)
        except sqlite3.DatabaseError as error:
            return _unless_damaged(error, self.path)
        try:
            (told,) = opened.connection.execute("PRAGMA quick_check(1)").fetchone()
            return bool(told == "ok")
        except sqlite3.DatabaseError as error:
            return _unless_damaged(error, self.path)
        finally:
            opened.connection.close()

    def _model(self, is_whole: bool) -> Path | None:
        return self.path if is_whole else next(iter(self.others), None)

    def _fill(self, draft: Draft) -> None:
        files = [] if self.journal_dir is None else journal_files(self.journal_dir)
        total = sum(file.told_size for file in files)
        catch_up = None if self.journal_dir is None else CatchUp(draft, self.journal_dir, is_alone=True)
        with draft.reading() as opened:
            has_repeated = _has_repeated(files, opened.connection)
        for kind, stage in ((RUNS, "reading runs"), (EVENTS, "reading events")):
            if kind == EVENTS and has_repeated:
                draft.make_indexes(only_events=True)
            if catch_up is not None:
                catch_up.run(kind, progress=counted(self.progress, stage, total))
        self.progress("making indexes", 0, 1)
        draft.make_indexes()
        draft.check()
        self.progress("making indexes", 1, 1)

    def _compare(self) -> None:
        for number, carrier in enumerate(self._carriers):
            self.progress("comparing", number, len(self._carriers))
            carrier.carry()
        self.progress("comparing", len(self._carriers), len(self._carriers))

    def _put_in_place(self, draft: Draft, database: Database, is_whole: bool) -> None:
        for _ in range(_TRIES):
            with database.reading(_WAIT_S) as opened:
                database.lock_file(_WAIT_S)
                try:
                    if is_whole:
                        self._carriers[0].carry()  # what came in since, now that our own writers are locked out
                    self._copy(draft, opened.connection)
                    break
                except _Changed:
                    continue
                finally:
                    database.unlock_file()
        else:
            raise Retryable(f"another program writes to {self.path} all the time; try again when it is quiet")
        database.close()  # it has other pages now
        database.checkpoint(_WAIT_S)

    def _copy(self, draft: Draft, target: sqlite3.Connection) -> None:
        before = _version_of(target)

        def told(status: int, left: int, total: int) -> None:
            # The first step takes SQLite's own write lock: whoever was quicker than that is seen here.
            if left and _version_of(watcher) != watched:
                raise _Changed
            self.progress("copying", (total - left) * page_bytes, total * page_bytes)

        watcher = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            watched = _version_of(watcher)
            if _version_of(target) != before:
                raise _Changed
            with draft.reading() as opened:
                # In two steps or more, so that the first of them comes before the last.
                (pages,) = opened.connection.execute("PRAGMA page_count").fetchone()
                (page_bytes,) = opened.connection.execute("PRAGMA page_size").fetchone()
                opened.connection.backup(target, pages=max(1, min(_PAGES, pages // 2)), progress=told)
        finally:
            watcher.close()

    def _told(self, draft: Draft) -> Rebuilt:
        with draft.reading() as opened:
            (runs,) = opened.connection.execute("SELECT count(*) FROM agent_runs").fetchone()
            (events,) = opened.connection.execute("SELECT count(*) FROM run_events").fetchone()
        carried: dict[str, int] = {}
        for carrier in self._carriers:
            for kind, number in carrier.carried.items():
                carried[kind] = carried.get(kind, 0) + number
        return Rebuilt(
            path=str(self.path),
            runs=runs,
            events=events,
            carried=carried,
            differing=sum(carrier.differing for carrier in self._carriers),
            was_resumed=draft.was_begun,
            set_aside=None if self._set_aside is None else str(self._set_aside),
        )


def _version_of(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("PRAGMA data_version").fetchone()
    return int(number)


def _unless_damaged(error: sqlite3.DatabaseError, path: Path) -> bool:
    if isinstance(named(error, path), Damaged):
        return False
    raise error


def _quarantined(database: Database) -> Path | None:
    try:
        with database.reading(_WAIT_S):
            pass
    except StoreError:
        pass  # it cannot be opened, which is why it is set aside
    return database.quarantine(_WAIT_S)


def _has_repeated(files: Sequence[JournalFile], connection: sqlite3.Connection) -> bool:
    """Whether lines may stand in two files, so that the index of events is needed while it is made."""
    (numbers, names) = connection.execute("SELECT count(*), count(DISTINCT name) FROM journal_files").fetchone()
    return numbers != names or any(".r" in file.name for file in files)
