"""Open a store: private files, the right journal mode, schema v3; the first of many processes does the work."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from attrs import frozen

from ...plugins.errors import Retryable, StoreError
from ...plugins.private import make_private_folder
from . import migrate
from .file_lock import FileLock
from .filesystems import can_hold_wal
from .patience import patiently
from .shapes import Shape, inspect

__all__ = ["BUSY_MS", "Opened", "identity_of", "open_for_reading", "open_for_writing"]

BUSY_MS = 2
"""How long SQLite itself waits for a lock; only strangers can hold one, as our processes have their own lock."""

_READ_BUSY_MS = 5000
# mmap: a write error of the disk would kill the agent by SIGBUS. Checkpoints are made by us, under our lock. The limit
# cuts a WAL that a reader has let grow, when it is begun anew.
_PRAGMAS = """
PRAGMA mmap_size = 0;
PRAGMA foreign_keys = OFF;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = 0;
PRAGMA journal_size_limit = 8388608;
"""
# What SQLite says where the file system lends no memory to the -shm file; a full disk is IOERR_SHMSIZE.
_NO_SHARED_MEMORY = frozenset(
    (
        *(sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMLOCK, sqlite3.SQLITE_IOERR_SHMOPEN),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
    )
)


@frozen(eq=False)
class Opened:
    """A connection, and what the file behind it looks like."""

    connection: sqlite3.Connection
    shape: Shape
    is_wal: bool
    is_new: bool
    identity: tuple[int, int] | None


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from any other that is put in its place, None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_for_reading(path: Path) -> Opened:
    """
    Open the file as it is; nothing is created or changed.

    Raises:
        StoreError: there is no such file, or it is none of ours.
        sqlite3.Error: it cannot be read.
    """
    if not path.exists():
        raise StoreError(f"there is no database at {path}; an agent makes it with its first run")
    try:
        return _checked(_connect(path, "mode=ro", _READ_BUSY_MS), path)
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK):
            raise
    # A WAL needs its -shm file; where the folder cannot be written, nobody else writes either.
    return _checked(_connect(path, "mode=ro&immutable=1", _READ_BUSY_MS), path)


def _checked(connection: sqlite3.Connection, path: Path) -> Opened:
    try:
        shape = inspect(connection)
        migrate.check(shape, path)
        return Opened(connection, shape, _mode(connection) == "wal", False, identity_of(path))
    except BaseException:
        connection.close()
        raise


def open_for_writing(path: Path, lock: FileLock, wait_s: float) -> Opened:
    """
    Open the file for writing; create it, bring it to schema v3 and set its journal mode where that is to be done.

    Raises:
        Retryable: another process was at it for *wait_s* seconds.
        StoreError: the file must be left as it is.
        sqlite3.Error: it cannot be read or written.
        OSError: folder or file cannot be created.
    """
    make_private_folder(path.parent)
    end = time.monotonic() + wait_s
    try:
        # Even a look at the file is refused while another process sets its journal mode, or closes it as the last.
        return patiently(lambda: _open(path, lock, _wanted_mode(path), end), end)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in _NO_SHARED_MEMORY or not _is_in_wal_mode(path):
            raise
    _leave_wal(path)
    return patiently(lambda: _open(path, lock, "truncate", end), end)


def _open(path: Path, lock: FileLock, mode: str, end: float) -> Opened:
    if not _make_file(path) and path.stat().st_size:
        # A file that is not ours to change is not even opened for it.
        _checked(_connect(path, "mode=ro", BUSY_MS), path).connection.close()
    connection = _connect(path, "mode=rw", BUSY_MS)
    try:
        return _settled(connection, path, lock, mode, end)
    except BaseException:
        connection.close()
        raise


def _settled(connection: sqlite3.Connection, path: Path, lock: FileLock, wanted: str, end: float) -> Opened:
    shape, is_new = inspect(connection), False
    if migrate.needs_work(shape) or _mode(connection) != wanted:
        if not lock.acquire(max(0.0, end - time.monotonic())):
            raise Retryable(f"{path} is being prepared by another process")
        try:
            is_new = _prepare(connection, path, shape, wanted, end)
        finally:
            lock.release()
        shape = inspect(connection)
    return Opened(connection, shape, _mode(connection) == "wal", is_new, identity_of(path))


def _prepare(connection: sqlite3.Connection, path: Path, shape: Shape, wanted: str, end: float) -> bool:
    if not shape.tables:
        # Nothing can be lost of an empty file: without its five syncs it is made in 1 ms, not in 5 to 100.
        connection.execute("PRAGMA synchronous = OFF")
    is_new = migrate.prepare(connection, path, end)
    patiently(lambda: _set_mode(connection, wanted), end)
    connection.execute("PRAGMA synchronous = NORMAL")
    return is_new


class _Connection(sqlite3.Connection):
    """A connection that closes itself without a word when nobody holds it any more."""

    def __del__(self) -> None:
        # Python 3.13 warns of every connection that is not closed. Ours stays open until the process exits, on
        # purpose, since records may come until the very end; this method takes the place of the one that warns.
        with contextlib.suppress(sqlite3.ProgrammingError):  # it was never opened
            self.close()


def _connect(path: Path, how: str, busy_ms: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=busy_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=_Connection,
    )
    connection.executescript(_PRAGMAS)
    return connection


def _make_file(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return False
    return True


def _wanted_mode(path: Path) -> str:
    return "wal" if can_hold_wal(path.parent) else "truncate"


def _mode(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def _set_mode(connection: sqlite3.Connection, wanted: str) -> None:
    if _mode(connection) == wanted:
        return
    connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
    # The -shm file is made with the first transaction: only that shows whether the file system can do it.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


def _is_in_wal_mode(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(20)[18:20] == b"\x02\x02"


def _leave_wal(path: Path) -> None:
    """Take a file out of WAL mode where no -shm file can be made: alone with it, SQLite needs none."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        # Before anything else: the first look at the file would want the -shm file.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone()
        connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    finally:
        connection.close()
