"""Bring a file to schema v3, once, whoever is first; a file that is newer than we know is never touched."""

from __future__ import annotations

import logging
import os
import pkgutil
import re
import sqlite3
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from ...plugins.errors import StoreError
from ...plugins.records import SCHEMA_VERSION, STATUSES, RunRecord
from .patience import patiently
from .shapes import NEWEST_VERSION, OUR_TABLES, SCHEMA_TABLES, Shape, inspect, quoted
from .writes import save_run

__all__ = ["add_indexes", "check", "needs_work", "prepare"]

_log = logging.getLogger("telemetry.sqlite")
_STEPS = {2: "migrate_to_2.sql", 3: "migrate_to_3.sql"}
_DESCRIPTIONS = {2: "insight_id", 3: "product_family and subdomain"}
_ADDED_COLUMN = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (\w+)")


def check(shape: Shape, path: Path) -> None:
    """
    Raise when the file must be left as it is.

    Raises:
        StoreError: its version is newer than is known, or its tables are not ours.
    """
    if (shape.version or 0) > NEWEST_VERSION:
        raise StoreError(
            f"{path} has schema version {shape.version}, and this release knows versions up to {NEWEST_VERSION}. "
            "It is left untouched; the journal keeps every record",
            "upgrade local-telemetry, or set another database_path",
        )
    if "agent_runs" in shape.tables and not shape.is_runs_table_known:
        raise StoreError(
            f"{path} has a table agent_runs without the columns run_id, agent_name, start_time, status. "
            "It is left untouched; the journal keeps every record",
            "name another file: as database_path in the configuration, or on the command line",
        )
    strangers = shape.tables - SCHEMA_TABLES - OUR_TABLES
    if "agent_runs" not in shape.tables and strangers:
        raise StoreError(
            f"{path} holds the tables of another program ({', '.join(sorted(strangers)[:5])}) and no agent_runs. "
            "It is left untouched; the journal keeps every record",
            "name another file: as database_path in the configuration, or on the command line",
        )


def needs_work(shape: Shape) -> bool:
    """Whether `prepare()` has something to do in a file of this shape."""
    if "agent_runs" not in shape.tables or not shape.tables >= OUR_TABLES:
        return True
    if not (shape.has_view and shape.has_marks and shape.has_tails):
        return True
    if shape.is_of_later_lineage:
        return "commits" not in shape.tables
    return bool(shape.missing) or not shape.tables >= SCHEMA_TABLES or shape.version != SCHEMA_VERSION


def prepare(connection: sqlite3.Connection, path: Path, end: float = 0.0) -> bool:
    """
    Create or migrate the file behind *connection* as far as it needs it; return whether the runs' table is new.

    The shape is read again inside BEGIN IMMEDIATE: of 64 processes that start at once the first does the work and
    the others find it done. Until the monotonic clock shows *end* it waits for those who read meanwhile.

    Raises:
        StoreError: the file must be left as it is.
        sqlite3.Error: somebody else holds the file, or it is damaged.
    """
    connection.execute("BEGIN IMMEDIATE")
    backup = None
    try:
        shape = inspect(connection)
        check(shape, path)
        if needs_work(shape):
            backup = _back_up(path, shape)
            _change(connection, shape)
        _probe(connection, path)
        # A store of an earlier version is not in WAL mode yet: there a reader keeps COMMIT out.
        patiently(lambda: connection.execute("COMMIT"), end)
        if backup is not None:
            _log.warning("database is migrated", extra={"database": str(path), "backup": str(backup)})
        return "agent_runs" not in shape.tables
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
            if backup is not None:
                backup.unlink(missing_ok=True)  # each try would leave one more copy of the whole store


def _change(connection: sqlite3.Connection, shape: Shape) -> None:
    if shape.is_of_later_lineage:
        _run(connection, "schema_v3.sql", only="CREATE TABLE IF NOT EXISTS commits")
    else:
        _bring_to_v3(connection, shape)
    _run(connection, "own_tables.sql")
    _add_view(connection)
    _add_run_index(connection, shape)


def _bring_to_v3(connection: sqlite3.Connection, shape: Shape) -> None:
    if "agent_runs" in shape.tables:
        for step in _STEPS.values():
            _run(connection, step)
        _add_columns(connection)
    _run(connection, "schema_v3.sql")
    migrated = [number for number in _STEPS if "agent_runs" in shape.tables and number > (shape.version or 1)]
    for number in migrated or [SCHEMA_VERSION]:
        _note_version(connection, number, _DESCRIPTIONS[number] if migrated else "created")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _add_columns(connection: sqlite3.Connection) -> None:
    """Add what even v1 should have: some old tools left columns out."""
    known = {row[1] for row in connection.execute("PRAGMA table_info(agent_runs)")}
    for line in _text("schema_v3.sql").partition("agent_runs (")[2].partition("\n);")[0].splitlines():
        name = line.split(maxsplit=1)[0] if line.strip() else ""
        if name and name not in known:
            declaration = line.strip().rstrip(",").replace("DEFAULT (datetime('now'))", "")
            connection.execute(f"ALTER TABLE agent_runs ADD COLUMN {declaration}")


def _note_version(connection: sqlite3.Connection, number: int, description: str) -> None:
    names = {row[1] for row in connection.execute("PRAGMA table_info(schema_migrations)")}
    if {"version", "description"} <= names:
        sql = "INSERT OR IGNORE INTO schema_migrations (version, description) VALUES (?, ?)"
        connection.execute(sql, (number, description))


def _add_view(connection: sqlite3.Connection) -> None:
    shape = inspect(connection)
    if shape.has_view:
        return
    columns = "r.*" if "parent_run_id" not in shape.columns else None
    connection.execute(f"CREATE VIEW runs AS {shape.select(columns)}")


def add_indexes(connection: sqlite3.Connection, only: str = "") -> None:
    """Make the indexes of schema v3 that are missing, or the one called *only*."""
    _run(connection, "schema_v3.sql", only=f"CREATE INDEX IF NOT EXISTS {only}")


def _add_run_index(connection: sqlite3.Connection, shape: Shape) -> None:
    # The shape of v7 where run_id is plain has no index on it: each end of a run would read the whole table.
    if "agent_runs" in shape.tables and not shape.is_run_id_unique:
        connection.execute("CREATE INDEX IF NOT EXISTS idx_runs_run_id ON agent_runs (run_id)")


def _probe(connection: sqlite3.Connection, path: Path) -> None:
    """Try one row in a file that is not plain v3 and take it back: its checks may want what we cannot know."""
    shape = inspect(connection)
    if shape.is_plain:
        return
    connection.execute("SAVEPOINT probe")
    try:
        for status in STATUSES:
            save_run(connection, shape, _probing_run(status))
    except sqlite3.IntegrityError as error:
        raise StoreError(
            f"{path} refuses new runs: {error}. It is left untouched; the journal keeps every record",
            "name another file: as database_path in the configuration, or on the command line",
        ) from error
    finally:
        connection.execute("ROLLBACK TO probe")
        connection.execute("RELEASE probe")


def _probing_run(status: str) -> RunRecord:
    moment = "2000-01-01T00:00:00.000000+00:00"
    return RunRecord(run_id="20000101T000000Z-probe-00000000", agent_name="probe", start_time=moment, status=status)


def _run(connection: sqlite3.Connection, name: str, only: str = "") -> None:
    for statement in _statements(name):
        if only and only not in statement:
            continue
        if found := _ADDED_COLUMN.search(statement):
            table, column = found.groups()
            names = {row[1] for row in connection.execute(f"PRAGMA table_info({quoted(table)})")}
            if column in names:
                continue
        connection.execute(statement)


@cache
def _text(name: str) -> str:
    # Not by importlib.resources, whose import takes 9 ms of an agent's first run.
    text = pkgutil.get_data(__package__, name)
    assert text is not None  # only of a loader that cannot read files
    return text.decode()


def _statements(name: str) -> list[str]:
    return [statement.strip() for statement in _text(name).split(";\n") if statement.strip()]


def _back_up(path: Path, shape: Shape) -> Path | None:
    """Copy a file of v1 or v2 as it stands, WAL included, to `{path}.v{version}-{now}.bak` before it is changed."""
    if shape.is_of_later_lineage or "agent_runs" not in shape.tables or not shape.missing:
        return None
    version = 1 if "insight_id" in shape.missing else 2
    target = path.with_name(f"{path.name}.v{version}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.bak")
    unfinished = target.with_name(f"{target.name}.part")
    os.close(os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    source, copy = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True), sqlite3.connect(unfinished)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()
    unfinished.replace(target)
    return target
