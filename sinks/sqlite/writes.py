"""Write runs into an open transaction: one statement where nothing is in the way, by the rule of merge where it is."""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from operator import attrgetter
from typing import Any

from attrs import fields

from ...plugins.merge import fold
from ...plugins.records import DeliveryReport, MetricsUpdate, RunRecord
from .rows import extras_of, json_text, new_tokens, row_of, run_of
from .shapes import COLUMNS, EXTRA_COLUMNS, Shape, quoted

__all__ = ["load_run", "save_run", "write_delivery", "write_line", "write_run"]

_DEFAULTS = {attribute.name: attribute.default for attribute in fields(RunRecord)}
_INSERTED = tuple(name for name in COLUMNS if name not in ("created_at", "updated_at"))
_RESULT = ("status", "end_time", "duration_ms", "error_summary", "output_summary")
_IDENTITY = ("run_id", "schema_version", "agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "host")
_OPEN_IDENTITY = ("agent_owner", "job_type", "host")
_OTHERS = tuple(name for name in _INSERTED if name not in (*_RESULT, *_IDENTITY, "metrics_json"))
_OTHER_DEFAULTS = tuple((name, _DEFAULTS[name]) for name in _OTHERS)

# attrgetter fetches 29 attributes in 0.7 us; a loop of getattr() takes 2.5 us.
_inserted_values = attrgetter(*(name if name != "metrics_json" else "metrics" for name in _INSERTED))
_result_values = attrgetter(*_RESULT)
_identity_values = attrgetter(*_OPEN_IDENTITY)
_other_values = attrgetter(*_OTHERS)

_INSERT = (
    f"INSERT INTO agent_runs ({', '.join(_INSERTED)}) VALUES ({', '.join('?' * len(_INSERTED))}) "
    "ON CONFLICT (run_id) DO NOTHING"
)
_METRICS_AT, _POSTED_AT = _INSERTED.index("metrics_json"), _INSERTED.index("api_posted")
_SAVE_EXTRAS = (
    f"INSERT OR REPLACE INTO run_extras (run_id, {', '.join(EXTRA_COLUMNS)}) "
    f"VALUES ({', '.join('?' * (len(EXTRA_COLUMNS) + 1))})"
)
# What an end may overwrite without reading it first: an open run that only its start has touched. Whatever else
# stands there (metrics that a catch-up brought, other attributes, a placeholder) is folded on the slow path.
_UNTOUCHED = (
    "run_id = ? AND status = 'running' AND metrics_json IS NULL AND agent_name <> 'unknown' AND NOT EXISTS ("
    "SELECT 1 FROM run_extras AS x WHERE x.run_id = agent_runs.run_id AND (x.coerced_json IS NOT NULL "
    "OR coalesce(x.attributes_json <> ?, x.attributes_json IS NOT NULL) "
    "OR coalesce(x.parent_run_id <> ?, x.parent_run_id IS NOT NULL)))"
)
_DELIVERED = (
    "UPDATE agent_runs SET api_posted = 1, api_posted_at = ?, api_retry_count = max(coalesce(api_retry_count, 0), ?) "
    "WHERE run_id = ?"
)
_NOT_DELIVERED = "UPDATE agent_runs SET api_retry_count = max(coalesce(api_retry_count, 0), ?) WHERE run_id = ?"


def write_run(connection: sqlite3.Connection, shape: Shape, run: RunRecord) -> None:
    """
    Put the start or the end of *run* into the store, without commit.

    One INSERT for a start and one UPDATE for an end where the row is as expected; otherwise what the store knows
    is folded with *run*. Writing the same run again changes nothing.
    """
    write = _insert if run.is_running else _end
    if not (shape.is_plain and write(connection, shape, run)):
        write_line(connection, shape, run)


def write_line(connection: sqlite3.Connection, shape: Shape, line: RunRecord | MetricsUpdate | DeliveryReport) -> None:
    """Fold one *line* about a run into what the store knows of it, without commit."""
    known = load_run(connection, shape, line.run_id)
    run = fold(known, line)
    if run != known:
        save_run(connection, shape, run)


def write_delivery(connection: sqlite3.Connection, shape: Shape, report: DeliveryReport) -> None:
    """Note at a run that a remote sink took it, or how often it failed to; without commit."""
    if shape.missing or not _note_delivery(connection, report):
        write_line(connection, shape, report)


def _note_delivery(connection: sqlite3.Connection, report: DeliveryReport) -> bool:
    if report.ok:
        values: tuple[Any, ...] = (report.timestamp, report.attempts, report.run_id)
        return connection.execute(_DELIVERED, values).rowcount > 0
    return connection.execute(_NOT_DELIVERED, (report.attempts, report.run_id)).rowcount > 0


def _insert(connection: sqlite3.Connection, shape: Shape, run: RunRecord) -> bool:
    if run.created_at or run.updated_at:
        return False
    values = list(_inserted_values(run))
    values[_METRICS_AT] = json_text(run.metrics)
    values[_POSTED_AT] = int(run.api_posted)
    if connection.execute(_INSERT, values).rowcount != 1:
        return False
    if run.attributes or run.parent_run_id or run.status_detail or run.coerced:
        connection.execute(_SAVE_EXTRAS, (run.run_id, *extras_of(run, shape)))
    return True


def _end(connection: sqlite3.Connection, shape: Shape, run: RunRecord) -> bool:
    if run.duration_ms is None or run.verdict:
        return False
    others = _other_values(run)
    changed = tuple(name for (name, default), value in zip(_OTHER_DEFAULTS, others, strict=True) if value != default)
    extras = extras_of(run, shape)
    values = (*_result_values(run), json_text(run.metrics), *_identity_values(run))
    values += tuple(getattr(run, name) for name in changed)
    if connection.execute(_update(changed), (*values, run.run_id, *extras[:2])).rowcount != 1:
        return False
    connection.execute(_SAVE_EXTRAS, (run.run_id, *extras))
    return True


@lru_cache(maxsize=256)
def _update(changed: tuple[str, ...]) -> str:
    settings = [f"{name} = ?" for name in (*_RESULT, "metrics_json")]
    settings += [f"{name} = coalesce({name}, ?)" for name in _OPEN_IDENTITY]
    settings += [f"{name} = ?" for name in changed]
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
        _upsert(connection, row | new_tokens(shape), shape)
    elif not _update_newest(connection, row):
        _insert_row(connection, row | new_tokens(shape))
    connection.execute(_SAVE_EXTRAS, (run.run_id, *extras_of(run, shape)))


def _upsert(connection: sqlite3.Connection, row: dict[str, Any], shape: Shape) -> None:
    connection.execute(_upsert_sql(tuple(row), shape.tokens, "updated_at" in shape.columns), tuple(row.values()))


@lru_cache(maxsize=256)
def _upsert_sql(names: tuple[str, ...], tokens: frozenset[str], has_updated_at: bool) -> str:
    kept = tokens | {"run_id", "created_at"}
    settings = [f"{quoted(name)} = excluded.{quoted(name)}" for name in names if name not in kept]
    settings += ["updated_at = datetime('now')"] if has_updated_at else []
    return f"{_insert_sql(names)} ON CONFLICT (run_id) DO UPDATE SET {', '.join(settings)}"


def _insert_row(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    connection.execute(_insert_sql(tuple(row)), tuple(row.values()))


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
