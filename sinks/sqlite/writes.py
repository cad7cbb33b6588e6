"""
Write runs: by one statement where nothing is in the way, by the rule of merge where something is.

Each call is whole by itself: a savepoint is a transaction where none is open. What raises leaves it open, for the
`Transaction` around it to roll back.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import Any

from attrs import fields

from ...plugins.merge import fold
from ...plugins.records import DeliveryReport, MetricsUpdate, RunRecord
from .rows import extras_of, fillers_of, json_text, row_of, run_of
from .shapes import COLUMNS, EXTRA_COLUMNS, Shape, quoted

__all__ = ["load_run", "save_run", "write_delivery", "write_line", "write_run"]

_DEFAULTS = {attribute.name: attribute.default for attribute in fields(RunRecord)}
_IDENTITY = ("run_id", "schema_version", "agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "host")
_SUMMARIES = ("error_summary", "output_summary")
_RESULT = ("status", "end_time", "duration_ms", *_SUMMARIES)
_NO_RESULT = ("running", None, None, None, None)
_STARTED = (*_IDENTITY, "status")
_OPEN_IDENTITY = ("agent_owner", "host")
_SET_APART = frozenset((*_IDENTITY, *_RESULT, "metrics_json", "created_at", "updated_at"))
_OTHERS = tuple(name for name in COLUMNS if name not in _SET_APART)
_UNSET = tuple(_DEFAULTS[name] for name in _OTHERS)

# attrgetter fetches 18 attributes in 0.5 us, a loop of getattr() in 1.6 us.
_start_values = attrgetter(*_STARTED)
_result_values = attrgetter(*_RESULT)
_identity_values = attrgetter(*_OPEN_IDENTITY)
_other_values = attrgetter(*_OTHERS)

_EXTRAS_NAMES = ", ".join(("run_id", *EXTRA_COLUMNS))
_EXTRAS_MARKS = ", ".join("?" * (len(EXTRA_COLUMNS) + 1))
_SAVE_EXTRAS = (
    f"INSERT INTO run_extras ({_EXTRAS_NAMES}) VALUES ({_EXTRAS_MARKS}) ON CONFLICT (run_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in EXTRA_COLUMNS)
)
_SAVE_UNREAD_EXTRAS = f"INSERT OR REPLACE INTO run_extras ({_EXTRAS_NAMES}, unread) VALUES ({_EXTRAS_MARKS}, 1)"
_MARK_UNREAD = "UPDATE run_extras SET unread = 1 WHERE run_id = ?"
# Extras that a start wrote and its end says again may be written over without being read.
_ADD_EXTRAS = (
    f"INSERT INTO run_extras ({_EXTRAS_NAMES}) VALUES ({_EXTRAS_MARKS}) ON CONFLICT (run_id) DO UPDATE SET "
    "status_detail = excluded.status_detail, writer = excluded.writer, seq = excluded.seq "
    "WHERE attributes_json IS excluded.attributes_json AND parent_run_id IS excluded.parent_run_id "
    "AND coerced_json IS excluded.coerced_json"
)
# What an end may overwrite without reading it first: an open run that only its start has touched. Whatever else
# stands there (metrics that a catch-up brought, a placeholder, which knows no job) is folded on the slow path.
_UNTOUCHED = (
    "run_id = ? AND status = 'running' AND metrics_json IS NULL AND job_type IS NOT NULL AND agent_name <> 'unknown'"
)
_DELIVERED = (
    "UPDATE agent_runs SET api_posted = 1, api_posted_at = ?, api_retry_count = max(coalesce(api_retry_count, 0), ?) "
    "WHERE run_id = ?"
)
_NOT_DELIVERED = "UPDATE agent_runs SET api_retry_count = max(coalesce(api_retry_count, 0), ?) WHERE run_id = ?"
_IS_READ = "SELECT 1 FROM journal_writers WHERE writer = ? AND seq >= ?"


def write_run(connection: sqlite3.Connection, shape: Shape, run: RunRecord, *, is_journaled: bool = False) -> None:
    """
    Put the start or the end of *run* into the store; joins the open transaction, or is one of its own.

    One INSERT for a start and one UPDATE for an end where the row is as expected; otherwise what the store knows
    is folded with *run*. Writing the same run again changes nothing.

    Args:
        is_journaled: whether the journal will tell this run too. The row is marked until it does: a line of another
            process that stands before it there may not be read yet, and comes first.
    """
    if not shape.is_plain:
        is_written = False
    elif run.is_running:
        is_written = _insert(connection, shape, run, _SAVE_UNREAD_EXTRAS if is_journaled else _SAVE_EXTRAS)
    else:
        is_written = _end(connection, shape, run)
    if not is_written:
        write_line(connection, shape, run, is_journaled=is_journaled)


def write_line(
    connection: sqlite3.Connection,
    shape: Shape,
    line: RunRecord | MetricsUpdate | DeliveryReport,
    *,
    is_journaled: bool = False,
) -> None:
    """
    Fold one *line* about a run into what the store knows of it.

    A line that comes behind a catch-up, which has read it in the journal, would put its word over that of later lines.
    """
    if connection.execute(_IS_READ, (line.writer, line.seq)).fetchone():
        return
    connection.execute("SAVEPOINT line")
    known = load_run(connection, shape, line.run_id)
    run = fold(known, line)
    if run != known:
        save_run(connection, shape, run)
    if known is None and is_journaled:
        connection.execute(_MARK_UNREAD, (run.run_id,))
    connection.execute("RELEASE line")


def write_delivery(connection: sqlite3.Connection, shape: Shape, report: DeliveryReport) -> None:
    """Note at a run that a remote sink took it, or how often it failed to."""
    if connection.execute(_IS_READ, (report.writer, report.seq)).fetchone():
        return
    if shape.missing or not _note_delivery(connection, report):
        write_line(connection, shape, report)


def _note_delivery(connection: sqlite3.Connection, report: DeliveryReport) -> bool:
    if report.ok:
        values: tuple[Any, ...] = (report.timestamp, report.attempts, report.run_id)
        return connection.execute(_DELIVERED, values).rowcount > 0
    return connection.execute(_NOT_DELIVERED, (report.attempts, report.run_id)).rowcount > 0


def _insert(connection: sqlite3.Connection, shape: Shape, run: RunRecord, save_extras: str) -> bool:
    if run.created_at or run.updated_at or _result_values(run) != _NO_RESULT:
        return False
    names, values = _set_by(run)
    if run.metrics:
        names, values = (*names, "metrics_json"), (*values, json_text(run.metrics))
    values = (*_start_values(run), *values)
    # A start that names no job looks like a guess out of the run's id; that it has a writer tells them apart.
    has_extras = run.attributes or run.coerced or (run.parent_run_id, run.status_detail) != (None, None)
    if run.job_type and not has_extras:
        return connection.execute(_start_sql(names), values).rowcount == 1
    connection.execute("SAVEPOINT line")
    is_written = connection.execute(_start_sql(names), values).rowcount == 1
    if is_written:
        connection.execute(save_extras, (run.run_id, *extras_of(run, shape)))
    connection.execute("RELEASE line")
    return is_written


def _set_by(run: RunRecord) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Return the columns that *run* sets beside identity, result and metrics, and their values."""
    others = _other_values(run)
    if others == _UNSET:
        return (), ()
    is_set = [value != default for value, default in zip(others, _UNSET, strict=True)]
    return tuple(compress(_OTHERS, is_set)), tuple(compress(others, is_set))


@lru_cache(maxsize=256)
def _start_sql(others: tuple[str, ...]) -> str:
    # Columns that say nothing are left to their defaults: an INSERT that binds all 29 costs 9 us more.
    names = (*_STARTED, *others)
    return f"{_insert_sql(names)} ON CONFLICT (run_id) DO NOTHING"


def _end(connection: sqlite3.Connection, shape: Shape, run: RunRecord) -> bool:
    if run.duration_ms is None or run.verdict:
        return False
    connection.execute("SAVEPOINT line")
    is_written = _update(connection, run) and _add_extras(connection, shape, run)
    if not is_written:
        connection.execute("ROLLBACK TO line")
    connection.execute("RELEASE line")
    return is_written


def _update(connection: sqlite3.Connection, run: RunRecord) -> bool:
    names, values = _set_by(run)
    values = (*_result_values(run), *_identity_values(run), json_text(run.metrics), *values, run.run_id)
    return connection.execute(_end_sql(names), values).rowcount == 1


def _add_extras(connection: sqlite3.Connection, shape: Shape, run: RunRecord) -> bool:
    values = (run.run_id, *extras_of(run, shape))
    return connection.execute(_ADD_EXTRAS, values).rowcount == 1


@lru_cache(maxsize=256)
def _end_sql(others: tuple[str, ...]) -> str:
    settings = ["status = ?", "end_time = ?", "duration_ms = ?"]
    settings += [f"{name} = coalesce(?, {name})" for name in _SUMMARIES]
    settings += [f"{name} = coalesce({name}, ?)" for name in _OPEN_IDENTITY]
    settings += [f"{name} = ?" for name in ("metrics_json", *others)]
    return f"UPDATE agent_runs SET {', '.join(settings)}, updated_at = datetime('now') WHERE {_UNTOUCHED}"


def load_run(connection: sqlite3.Connection, shape: Shape, run_id: str) -> RunRecord | None:
    """Return what the store knows of a run, None when it knows nothing; of several rows (v7) the newest counts."""
    cursor = connection.execute(_load(shape), (run_id,))
    row = cursor.fetchone()
    if row is None:
        return None
    return run_of(dict(zip((column[0] for column in cursor.description), row, strict=True)), shape)


@lru_cache(maxsize=16)
def _load(shape: Shape) -> str:
    return f"{shape.select()} WHERE r.run_id = ?" + ("" if shape.is_run_id_unique else " ORDER BY r.rowid DESC LIMIT 1")


def save_run(connection: sqlite3.Connection, shape: Shape, run: RunRecord) -> None:
    """Put the whole of *run* in place of what the store knows of it, without commit."""
    row = row_of(run, shape)
    if row.get("created_at") is None:
        row.pop("created_at", None)
    row.pop("updated_at", None)
    if shape.is_run_id_unique:
        _upsert(connection, row, shape)
    elif not _update_newest(connection, row):
        row |= fillers_of(row, shape)
        connection.execute(_insert_sql(tuple(row)), tuple(row.values()))
    connection.execute(_SAVE_EXTRAS, (run.run_id, *extras_of(run, shape)))


def _upsert(connection: sqlite3.Connection, row: dict[str, Any], shape: Shape) -> None:
    fillers = {} if shape.is_plain else fillers_of(row, shape)
    sql = _upsert_sql(tuple(row), tuple(fillers), "updated_at" in shape.columns)
    connection.execute(sql, (*row.values(), *fillers.values()))


@lru_cache(maxsize=256)
def _upsert_sql(names: tuple[str, ...], fillers: tuple[str, ...], has_updated_at: bool) -> str:
    settings = [f"{quoted(name)} = excluded.{quoted(name)}" for name in names if name not in ("run_id", "created_at")]
    settings += ["updated_at = datetime('now')"] if has_updated_at else []
    return f"{_insert_sql((*names, *fillers))} ON CONFLICT (run_id) DO UPDATE SET {', '.join(settings)}"


@lru_cache(maxsize=256)
def _insert_sql(names: tuple[str, ...]) -> str:
    columns = ", ".join(map(quoted, names))
    return f"INSERT INTO agent_runs ({columns}) VALUES ({', '.join('?' * len(names))})"


def _update_newest(connection: sqlite3.Connection, row: dict[str, Any]) -> bool:
    # In the shape of v7 where run_id is not unique, ON CONFLICT (run_id) is an SQL error.
    names = [name for name in row if name not in ("run_id", "created_at")]
    settings = ", ".join(f"{quoted(name)} = ?" for name in names)
    newest = "SELECT max(rowid) FROM agent_runs WHERE run_id = ?"
    values = (*(row[name] for name in names), row["run_id"])
    return connection.execute(f"UPDATE agent_runs SET {settings} WHERE rowid = ({newest})", values).rowcount > 0
