"""Tell everything that a database of any version holds, as records: what has no field of its own is an attribute."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from ...plugins import CommitLink, RunEvent, RunRecord, StoreError
from ...plugins.records import Record
from .commits import COMMIT_COLUMNS
from .faults import named
from .opening import Opened, open_for_reading
from .pruned import without_pruned
from .rows import run_of
from .shapes import Shape, quoted
from .storable import payload_of

__all__ = ["count_rows", "records_told"]

_NEVER = "1970-01-01T00:00:00.000000+00:00"
_ROW_AGAIN = "imported_row"
_NO_RUN = "imported-commits"
Progress = Callable[[int], None]


def count_rows(path: Path) -> int:
    """
    Return how many records `records_told()` finds, or more where rows were deleted; costs no look through the rows.

    Raises:
        StoreError: the file cannot be read.
    """
    with _opened(path) as opened:
        tables = [name for name in ("agent_runs", "run_events", "commits") if name in opened.shape.tables]
        largest = [opened.connection.execute(f"SELECT max(rowid) FROM {name}").fetchone()[0] for name in tables]
        return sum(number or 0 for number in largest)


def records_told(path: Path) -> Iterator[Record]:
    """
    Yield every run, event and commit of the database at *path*, in its order; streams, and changes nothing.

    All of it is of one moment, whatever is written meanwhile. A second row with the id of a run that was told is a
    run record again, and beside it an event that holds the whole row. Commits without a run come under a run of
    their own.

    Raises:
        StoreError: the file cannot be read, is newer than any version that is known, or holds no runs.
    """
    with _opened(path) as opened:
        yield from _runs(opened)
        yield from _events(opened)
        yield from _commits(opened)


@contextmanager
def _opened(path: Path) -> Iterator[Opened]:
    with _readable(path) as place:
        try:
            opened = open_for_reading(place)
        except (sqlite3.Error, OSError) as error:
            raise named(error, path) from error
        try:
            if "agent_runs" not in opened.shape.tables:
                raise StoreError(
                    f"{path} holds no runs: it has no table agent_runs", "name a database of this platform"
                )
            opened.connection.text_factory = _text
            opened.connection.execute("BEGIN")
            yield opened
        except sqlite3.Error as error:
            raise named(error, path) from error
        finally:
            opened.connection.close()


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """Yield *path*, or a copy where its WAL could not be read: SQLite needs a file beside it, which it may not make."""
    wal = path.with_name(f"{path.name}-wal")
    if os.access(path.parent, os.W_OK) or not (wal.exists() and wal.stat().st_size):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        for file in (path, wal):
            shutil.copy(file, folder)
        yield Path(folder, path.name)


def _text(stored: bytes) -> str:
    # SQLite takes any bytes for text. What is no UTF-8 comes out as escapes, and not as an error of the whole import.
    return stored.decode("utf-8", "backslashreplace")


def _rows(connection: sqlite3.Connection, sql: str) -> Iterator[dict[str, Any]]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _runs(opened: Opened) -> Iterator[Record]:
    shape = opened.shape
    again: set[str] = set()
    for row in _rows(opened.connection, f"{shape.select()} ORDER BY r.rowid"):
        values = {name: _plain(value) for name, value in row.items()}
        run = _run(values, shape)
        yield run
        if not shape.is_run_id_unique:
            if run.run_id in again:
                said = {name: value for name, value in values.items() if value is not None}
                yield RunEvent(run.run_id, _ROW_AGAIN, run.end_time or run.start_time, said)
            again.add(run.run_id)


def _run(values: Mapping[str, Any], shape: Shape) -> RunRecord:
    # A time that is missing would be taken for the moment of the reading, and be another one at each.
    start = values.get("start_time") or values.get("created_at") or _NEVER
    run = run_of({**values, "start_time": start}, shape)
    attributes = dict(run.attributes)
    if values.get("event_id") and "event_id" in shape.columns:
        attributes["event_id"] = values["event_id"]  # of no use to readers of the file, but lost without it
    return attrs.evolve(run, attributes=attributes, writer=None, seq=None)


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _events(opened: Opened) -> Iterator[RunEvent]:
    if "run_events" not in opened.shape.tables:
        return
    kept = without_pruned(opened.shape)
    sql = f"SELECT run_id, event_type, timestamp, payload_json FROM run_events WHERE {kept} ORDER BY id"
    for row in _rows(opened.connection, sql):
        run_id, event_type, moment = (str(row[name] or "unknown") for name in ("run_id", "event_type", "timestamp"))
        yield RunEvent(run_id, event_type, moment, payload_of(_plain(row["payload_json"])))


def _commits(opened: Opened) -> Iterator[Record]:
    if "commits" not in opened.shape.tables:
        return
    known = {name for _, name, *_ in opened.connection.execute("PRAGMA table_info(commits)")}
    has_homeless = False
    for row in _rows(opened.connection, _commit_sql(opened.shape, known)):
        if not row["run_id"] and not has_homeless:
            has_homeless = True
            yield _run_of_no_run(row)
        yield _link({**row, "run_id": row["run_id"] or _NO_RUN})


def _commit_sql(shape: Shape, known: set[str]) -> str:
    columns = [f"c.{quoted(name)}" for name in (*COMMIT_COLUMNS, "created_at") if name in known and name != "run_id"]
    own = f"SELECT c.run_id AS run_id, {', '.join(columns)} FROM commits AS c"
    if "run_commits" not in shape.tables:
        return own
    links = "run_commits AS l JOIN commits AS c ON c.commit_hash = l.commit_hash"
    return f"{own} UNION SELECT l.run_id, {', '.join(columns)} FROM {links}"


def _run_of_no_run(row: Mapping[str, Any]) -> RunRecord:
    moment = _moment(row)
    return RunRecord(
        run_id=_NO_RUN,
        agent_name=str(row.get("agent_name") or "unknown"),
        job_type="commits without a run",
        trigger_type="manual",
        start_time=moment,
        end_time=moment,
        status="success",
        duration_ms=0,
    )


def _moment(row: Mapping[str, Any]) -> str:
    return str(row.get("created_at") or row.get("commit_date") or _NEVER)


def _link(row: Mapping[str, Any]) -> CommitLink:
    values = {name: _plain(value) for name, value in row.items() if name != "created_at"}
    values |= {"timestamp": _moment(row), "commit_hash": str(row["commit_hash"] or "unknown")}
    return CommitLink.from_dict(values)
