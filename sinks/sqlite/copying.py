"""Copy a store while it is in use, and make sure that the copy is whole."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ...plugins.care import Progress, nothing_told
from .faults import NAMED, Damaged, named
from .opening import open_for_reading

__all__ = ["check_whole", "copy_store"]

_PAGES = 1024


def copy_store(path: Path, target: Path, progress: Progress = nothing_told) -> None:
    """
    Copy the store at *path*, with what is in its WAL, to the new file *target*; agents may write meanwhile.

    Args:
        target: is one plain file afterwards, which needs no WAL to be read.

    Raises:
        Damaged: the store, or the copy, is not whole.
        StoreError: one of them cannot be read or written.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(path, target, progress)
        check_whole(target)
        _sync(target)
    except NAMED as error:
        raise named(error, path) from error


def _copy(path: Path, target: Path, progress: Progress) -> None:
    source = open_for_reading(path).connection
    copy = sqlite3.connect(target, isolation_level=None)
    (page_bytes,) = source.execute("PRAGMA page_size").fetchone()

    def told(status: int, left: int, total: int) -> None:
        progress("copying", (total - left) * page_bytes, total * page_bytes)

    try:
        # One moment of the store: without a transaction each commit of an agent would make SQLite begin anew.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master").fetchone()
        source.backup(copy, pages=_PAGES, progress=told)
        source.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        copy.close()
        source.close()


def check_whole(path: Path) -> None:
    """
    Read every page and index of the store at *path*.

    Raises:
        Damaged: they contradict each other.
        StoreError: the file cannot be read.
    """
    connection = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        told = [text for (text,) in connection.execute("PRAGMA integrity_check(3)")]
    except sqlite3.Error as error:
        raise named(error, path) from error
    finally:
        if connection is not None:
            connection.close()
    if told != ["ok"]:
        raise Damaged(f"{path} is not whole: {'; '.join(told)}")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
