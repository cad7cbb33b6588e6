"""Say which schema a file has, how it came to it, and what opening it for writing would change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ...plugins.care import Schema
from ...plugins.errors import StoreError
from ...plugins.records import SCHEMA_VERSION
from . import migrate
from .faults import NAMED, named
from .opening import Opened, open_for_reading
from .shapes import OUR_TABLES, SCHEMA_TABLES, Shape

__all__ = ["schema_of"]


def schema_of(path: Path) -> Schema:
    """
    Return the schema of the store at *path*; nothing is opened for writing.

    Raises:
        Damaged: it is no database.
        StoreError: it cannot be read.
    """
    if not path.exists() or not path.stat().st_size:
        return Schema(path=str(path), version=None, wanted=SCHEMA_VERSION, steps=("create it, at the first run",))
    try:
        opened = open_for_reading(path)
    except StoreError as error:
        return Schema(path=str(path), version=None, wanted=SCHEMA_VERSION, refusal=str(error))
    except NAMED as error:
        raise named(error, path) from error
    try:
        return _told(path, opened)
    finally:
        opened.connection.close()


def _told(path: Path, opened: Opened) -> Schema:
    shape = opened.shape
    return Schema(
        path=str(path),
        version=shape.version,
        wanted=shape.version if shape.is_of_later_lineage else SCHEMA_VERSION,
        steps=tuple(_steps(shape)) if migrate.needs_work(shape) else (),
        applied=tuple(_applied(opened.connection, shape)),
    )


def _steps(shape: Shape) -> Iterator[str]:
    if "agent_runs" not in shape.tables:
        yield "make the tables"
        return
    if not shape.is_of_later_lineage:
        if shape.missing:
            yield f"back it up beside itself, and add the columns {', '.join(shape.missing)}"
        if missing := SCHEMA_TABLES - shape.tables:
            yield f"make the tables {', '.join(sorted(missing))}"
        if shape.version != SCHEMA_VERSION:
            yield f"note version {SCHEMA_VERSION}"
    if missing := OUR_TABLES - shape.tables:
        yield f"make the platform's own tables {', '.join(sorted(missing))}"
    if not shape.has_view:
        yield "make the view runs"


def _applied(connection: sqlite3.Connection, shape: Shape) -> Iterator[tuple[int, str, str]]:
    if "schema_migrations" not in shape.tables:
        return
    names = [row[1] for row in connection.execute("PRAGMA table_info(schema_migrations)")]
    if "version" not in names:
        return
    wanted = [name if name in names else "NULL" for name in ("version", "applied_at", "description")]
    for version, applied_at, description in connection.execute(
        f"SELECT {', '.join(wanted)} FROM schema_migrations ORDER BY version"
    ):
        yield int(version), str(applied_at or ""), str(description or "")
