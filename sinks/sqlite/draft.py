"""Hold a store that is built beside the one in use: nobody else sees it, and it goes on after any interruption."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...plugins.errors import StoreError
from . import migrate
from .faults import NAMED, Damaged, named
from .opening import Opened
from .shapes import OUR_TABLES, SCHEMA_TABLES, inspect, quoted
from .transaction import unshared

__all__ = ["Draft", "strange_tables"]

# Synced once, when it is whole. A kill leaves all that was committed; what a power cut tore is found and begun anew.
_PRAGMAS = """
PRAGMA mmap_size = 0;
PRAGMA foreign_keys = OFF;
PRAGMA synchronous = OFF;
PRAGMA journal_mode = TRUNCATE;
PRAGMA cache_size = -8000;
"""
# An index that is made over all rows at once costs a third of one that is kept up row by row.
_LATE = (
    *("idx_runs_agent", "idx_runs_status", "idx_runs_start", "idx_runs_api_posted", "idx_runs_insight"),
    "idx_events_run",
)
_NUMBERED = "INSERT INTO journal_files (file_no, name, head) SELECT file_no, name, head FROM model.journal_files"


class Draft:
    """
    The new store; to its `CatchUp` it is a database like any other.

    Args:
        path: where it lies, or will lie.
        model: the store whose place it will take, if there is one that can be read: it gives tables and numbers.

    Attributes:
        was_begun: an earlier rebuild, which was interrupted, left it.

    Raises:
        StoreError: the file cannot be written, or the model has a table that cannot be copied.
    """

    def __init__(self, path: Path, model: Path | None) -> None:
        self.path = path
        try:
            begun = _begun(path)
            self.was_begun = begun is not None
            self._opened = _look(begun or _begin(path, model))
        except NAMED as error:
            raise named(error, path) from error

    @contextmanager
    def reading(self) -> Iterator[Opened]:
        """Lend the connection for queries."""
        try:
            yield self._opened
        except NAMED as error:
            raise named(error, self.path) from error

    @contextmanager
    def writing(self, wait_s: float = 0.0) -> Iterator[Opened]:
        """Lend the connection inside a transaction; nobody else is there to wait for."""
        with self.reading() as opened, unshared(opened):
            yield opened

    def checkpoint(self, wait_s: float) -> bool:
        """Do nothing: there is no WAL."""
        return True

    def make_indexes(self, *, only_events: bool = False) -> None:
        """Make the indexes that were left out; that of the events alone is needed while lines may be repeated."""
        with self.reading() as opened:
            migrate.add_indexes(opened.connection, only=_LATE[-1] if only_events else "")

    def check(self) -> None:
        """
        Read the whole file.

        Raises:
            Damaged: its pages contradict each other.
        """
        with self.reading() as opened:
            (told,) = opened.connection.execute("PRAGMA quick_check(1)").fetchone()
        if told != "ok":
            raise Damaged(f"{self.path} is damaged: {told}")

    def close(self) -> None:
        """Close the file; what is committed stays for the next rebuild."""
        self._opened.connection.close()

    def delete(self) -> None:
        """Close the file and delete it."""
        self.close()
        _delete(self.path)


def _begun(path: Path) -> sqlite3.Connection | None:
    """Return the draft of an earlier rebuild, None when there is none or it is not whole."""
    if not path.exists():
        return None
    connection = _connect(path)
    if _is_whole(connection):
        connection.executescript(_PRAGMAS)
        return connection
    connection.close()
    _delete(path)
    return None


def _is_whole(connection: sqlite3.Connection) -> bool:
    try:
        is_sound = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        return is_sound and not migrate.needs_work(inspect(connection))
    except sqlite3.DatabaseError:
        return False  # damaged; or its rebuild was killed before the tables were made


def _begin(path: Path, model: Path | None) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = _connect(path)
    try:
        connection.executescript(_PRAGMAS)
        if model is not None:
            _copy_shape(connection, model)
        migrate.prepare(connection, path)
        if not inspect(connection).is_of_later_lineage:
            for name in _LATE:
                connection.execute(f"DROP INDEX IF EXISTS {name}")
        return connection
    except BaseException:
        connection.close()
        _delete(path)
        raise


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=256)


def _delete(path: Path) -> None:
    for ending in ("", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _look(connection: sqlite3.Connection) -> Opened:
    return Opened(connection, inspect(connection), is_wal=False, is_new=False, identity=None)


def _copy_shape(connection: sqlite3.Connection, model: Path) -> None:
    """Give the draft the tables of *model*, its version, and the numbers by which events name their files."""
    connection.execute("ATTACH ? AS model", (f"{model.absolute().as_uri()}?mode=ro",))
    try:
        for name in ("page_size", "encoding"):
            (value,) = connection.execute(f"PRAGMA model.{name}").fetchone()
            connection.execute(f"PRAGMA main.{name} = {quoted(str(value))}")
        (version,) = connection.execute("PRAGMA model.user_version").fetchone()
        connection.execute("BEGIN")
        for name, sql in connection.execute(_MADE).fetchall():
            if sql.upper().startswith("CREATE VIRTUAL"):
                raise StoreError(f"{model} has the virtual table {name} of another program, which cannot be copied")
            connection.execute(sql)
        for name in ("schema_migrations", "pruned_runs"):
            if name in inspect(connection).tables:
                connection.execute(f"INSERT INTO main.{name} SELECT * FROM model.{name}")
        if "journal_files" in inspect(connection).tables:
            connection.execute(_NUMBERED)
        connection.execute(f"PRAGMA main.user_version = {version}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("DETACH model")


_MADE = """
SELECT name, sql FROM model.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
ORDER BY type <> 'table', type <> 'index', type <> 'view', rowid
"""


def strange_tables(opened: Opened) -> list[str]:
    """Return the tables of other programs in a store."""
    return sorted(opened.shape.tables - SCHEMA_TABLES - OUR_TABLES)
