"""Check the SQLite library and the database: versions, integrity, schema, and the size of the WAL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ...plugins.records import SCHEMA_VERSION
from ..sizes import size_text
from .finding import FAULT, NOTE, OK, WARNING, Finding

__all__ = ["check_database", "check_library"]

_RESET_FAULT = ((3, 7, 0), (3, 51, 2))
_NEWEST_KNOWN = 7
_LARGE_WAL_BYTES = 64_000_000
_PATIENCE_S = 10.0
_STEPS = 100_000


def check_library(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> Iterator[Finding]:
    """Tell whether the SQLite library has the fault in which two checkpoints at once can damage a WAL database."""
    text = ".".join(map(str, version))
    if _RESET_FAULT[0] <= version <= _RESET_FAULT[1]:
        told = f"SQLite {text} can damage a database when two programs reset its WAL at once"
        evidence = "versions 3.7.0 to 3.51.2; our own processes take turns at it"
        yield Finding("sqlite", NOTE, told, evidence, "let no other program write to the database, or update SQLite")
    else:
        yield Finding("sqlite", OK, f"SQLite {text}")


def check_database(path: Path) -> Iterator[Finding]:
    """Tell whether the database is whole and of a schema that is known; reads it, changes nothing."""
    if not path.is_file():
        yield Finding("database", NOTE, "there is none yet", str(path), "it is made when the first run is recorded")
        return
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            yield _integrity(connection, path)
            yield _schema(connection, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        cure = "the next agent sets it aside and builds it anew from the journal"
        yield Finding("database", FAULT, f"it cannot be read: {error}", str(path), cure)
        return
    yield from _wal(path)


def _integrity(connection: sqlite3.Connection, path: Path) -> Finding:
    deadline = time.monotonic() + _PATIENCE_S
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
    try:
        rows = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError as error:
        if str(error) != "interrupted":
            raise
        return Finding("database", NOTE, f"too large to be checked within {_PATIENCE_S:.0f} s", str(path))
    finally:
        connection.set_progress_handler(None, 0)
    if rows == ["ok"]:
        return Finding("database", OK, f"whole, {size_text(path.stat().st_size)}")
    cure = "telemetry rebuild, or telemetry doctor --fix: it is built anew from the journal"
    return Finding("database", FAULT, "it is damaged", f"{path}: {'; '.join(rows)}", cure)


def _schema(connection: sqlite3.Connection, path: Path) -> Finding:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "agent_runs" not in tables:
        return Finding("schema", NOTE, "it has no tables yet", str(path), "they are made when a run is recorded")
    newest = None
    if "schema_migrations" in tables:
        (newest,) = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    if isinstance(newest, int) and newest > _NEWEST_KNOWN:
        cure = "update local-telemetry; until then agents write to the journal alone"
        return Finding("schema", FAULT, f"version {newest} is newer than any that is known", str(path), cure)
    if newest == SCHEMA_VERSION:
        return Finding("schema", OK, f"version {newest}")
    told = f"version {newest}, of another writer; it is kept as it is" if newest else "it does not say its version"
    return Finding("schema", NOTE, told, str(path))


def _wal(path: Path) -> Iterator[Finding]:
    wal = path.with_name(f"{path.name}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > _LARGE_WAL_BYTES:
        told = f"its WAL has grown to {size_text(size)}"
        cure = "some program reads the database without an end; find it with lsof or fuser"
        yield Finding("database", WARNING, told, str(wal), cure)
