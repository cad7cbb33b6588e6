"""A new store has schema v3 to the letter, and answers the common questions by its indexes."""

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telemetry.plugins import RunRecord, StoreError
from telemetry.sinks.sqlite import filesystems
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.shapes import COLUMNS, EXTRA_COLUMNS
from telemetry.sinks.sqlite.writes import load_run, write_run

TEXTS_OF_RUNS = (
    *("run_id", "agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "end_time", "status"),
    *("input_summary", "output_summary", "error_summary", "metrics_json", "insight_id", "product", "platform"),
    *("product_family", "subdomain", "git_repo", "git_branch", "git_run_tag", "host", "api_posted_at"),
    *("created_at", "updated_at"),
)
COUNTS_OF_RUNS = ("items_discovered", "items_succeeded", "items_failed", "api_posted", "api_retry_count")
INDEXES = {
    "idx_runs_agent": ("agent_runs", "agent_name"),
    "idx_runs_status": ("agent_runs", "status"),
    "idx_runs_start": ("agent_runs", "start_time"),
    "idx_runs_api_posted": ("agent_runs", "api_posted"),
    "idx_runs_insight": ("agent_runs", "insight_id"),
    "idx_events_run": ("run_events", "run_id"),
    "idx_commits_run": ("commits", "run_id"),
}


@pytest.fixture
def created(database: Database, path: Path) -> Path:
    """Return the path of a store that was just made."""
    with database.writing(1.0):
        pass
    return path


def described(rows: Callable[..., list[Any]], table: str) -> dict[str, tuple[str, int, str | None, int]]:
    """Return type, NOT NULL, default and place in the key of each column."""
    return {row[1]: tuple(row[2:]) for row in rows(f"PRAGMA table_info({table})")}


def test_agent_runs_has_the_columns_of_v3_in_order(created: Path, rows: Callable[..., list[Any]]) -> None:
    """Every column has its place, its type, its default; two must be given."""
    columns = described(rows, "agent_runs")

    assert COLUMNS == tuple(columns)
    assert {"agent_name", "start_time"} == {name for name, column in columns.items() if column[1]}
    assert {"run_id"} == {name for name, column in columns.items() if column[3]}
    assert set(TEXTS_OF_RUNS) == {name for name, column in columns.items() if column[0] == "TEXT"}
    assert {*COUNTS_OF_RUNS, "schema_version", "duration_ms"} == {n for n, c in columns.items() if c[0] == "INTEGER"}
    assert {"0"} == {columns[name][2] for name in COUNTS_OF_RUNS}
    assert ("3", None) == (columns["schema_version"][2], columns["duration_ms"][2])
    assert {"datetime('now')"} == {columns[name][2] for name in ("created_at", "updated_at")}


def test_the_other_tables_of_v3_have_their_columns(created: Path, rows: Callable[..., list[Any]]) -> None:
    """Events, commits and migrations look as every earlier tool expects them."""
    events, commits = described(rows, "run_events"), described(rows, "commits")
    migrations = described(rows, "schema_migrations")

    assert ["id", "run_id", "event_type", "timestamp", "payload_json"] == list(events)
    assert [0, 1, 1, 1, 0] == [column[1] for column in events.values()]
    names = ["commit_hash", "run_id", "agent_name", "repo", "branch", "commit_date", "author", "message"]
    assert [*names, "files_changed", "insertions", "deletions", "created_at"] == list(commits)
    assert ["version", "applied_at", "description"] == list(migrations)
    assert [(1, 1), (1, 1), (1, 1)] == [
        (len(keys), sum(column[3] for column in table.values()))
        for table in (events, commits, migrations)
        if (keys := [name for name, column in table.items() if column[3]])
    ]
    assert [("agent_runs",), ("agent_runs",)] == [
        (row[2],) for table in ("run_events", "commits") for row in rows(f"PRAGMA foreign_key_list({table})")
    ]
    assert [("AUTOINCREMENT",)] == rows(
        "SELECT 'AUTOINCREMENT' FROM sqlite_master WHERE name = 'run_events' AND sql LIKE '%AUTOINCREMENT%'"
    )


def test_the_seven_indexes_begin_with_their_column(created: Path, rows: Callable[..., list[Any]]) -> None:
    """Each documented name stands for an index on its table, its column first."""
    tables = dict(rows("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND name LIKE 'idx_%'"))

    found = {name: (tables[name], rows(f"PRAGMA index_info({name})")[0][2]) for name in INDEXES}

    assert INDEXES == found


def test_the_checks_let_in_the_documented_words_only(created: Path) -> None:
    """Five triggers and four states are let in; any other word is refused by the file itself."""
    sql = "INSERT INTO agent_runs (run_id, agent_name, start_time, trigger_type, status) VALUES (?, 'a', 't', ?, ?)"
    with contextlib.closing(sqlite3.connect(created)) as connection:
        for trigger in ("cli", "web", "scheduler", "mcp", "manual"):
            connection.execute(sql, (trigger, trigger, "running"))
        for status in ("running", "success", "failed", "partial"):
            connection.execute(sql, (status, "cli", status))

        for values in (("x", "cron", "running"), ("x", "cli", "failure")):
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                connection.execute(sql, values)


def test_the_version_is_told_twice(created: Path, rows: Callable[..., list[Any]]) -> None:
    """schema_migrations and user_version both say 3."""
    assert [(3,)] == rows("SELECT version FROM schema_migrations WHERE applied_at IS NOT NULL")
    assert [(3,)] == rows("PRAGMA user_version")


def test_what_the_platform_adds_lies_in_tables_of_its_own(created: Path, rows: Callable[..., list[Any]]) -> None:
    """The view `runs` has the columns of agent_runs, then those of run_extras."""
    assert ("run_id", *EXTRA_COLUMNS, "unread") == tuple(described(rows, "run_extras"))
    assert (*COLUMNS, *EXTRA_COLUMNS) == tuple(described(rows, "runs"))
    offsets = ["runs_offset", "events_offset", "runs_tail", "events_tail"]
    assert ["file_no", "name", "head", *offsets] == list(described(rows, "journal_files"))


def test_a_new_store_is_in_wal_mode_and_private(created: Path, rows: Callable[..., list[Any]]) -> None:
    """Nobody else can read the file, its companions or the folders made for it."""
    assert [("wal",)] == rows("PRAGMA journal_mode")
    files = [file for file in created.parent.iterdir() if file.is_file()]
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files}
    assert {"telemetry.sqlite", "telemetry.sqlite-wal", "telemetry.sqlite.lock"} <= {file.name for file in files}
    assert [0o700, 0o700] == [stat.S_IMODE(folder.stat().st_mode) for folder in list(created.parents)[:2]]


def test_permissions_do_not_hang_on_the_umask(path: Path) -> None:
    """A careless umask opens nothing."""
    before = os.umask(0)
    try:
        database = Database(path)
        with database.writing(1.0):
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    database.close()

    assert {0o600} == modes
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_the_connection_keeps_to_what_was_measured(database: Database) -> None:
    """No mmap, no checkpoint by itself, no sync a commit."""
    with database.writing(1.0) as opened:
        told = {
            name: opened.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("mmap_size", "wal_autocheckpoint", "synchronous", "foreign_keys")
        }

    assert {"mmap_size": 0, "wal_autocheckpoint": 0, "synchronous": 1, "foreign_keys": 0} == told


def plan(connection: sqlite3.Connection, sql: str) -> str:
    """Return how SQLite means to answer *sql*."""
    return " | ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))


def test_the_common_questions_are_answered_by_an_index(created: Path) -> None:
    """The latest runs of an agent or a state need no sorting; counts need no look at the rows."""
    with contextlib.closing(sqlite3.connect(created)) as connection:
        latest = plan(connection, "SELECT * FROM agent_runs WHERE agent_name = 'a' ORDER BY start_time DESC LIMIT 20")
        failed = plan(connection, "SELECT * FROM agent_runs WHERE status = 'failed' ORDER BY start_time DESC LIMIT 20")
        counts = plan(
            connection,
            "SELECT status, count(*) FROM agent_runs WHERE status IN ('running', 'success', 'failed', 'partial') "
            "AND start_time >= '2026' GROUP BY status",
        )
        newest = plan(connection, "SELECT * FROM agent_runs ORDER BY start_time DESC LIMIT 20")

    assert "SEARCH agent_runs USING INDEX idx_runs_agent (agent_name=?)" == latest
    assert "SEARCH agent_runs USING INDEX idx_runs_status (status=?)" == failed
    assert "SEARCH agent_runs USING COVERING INDEX idx_runs_status (status=? AND start_time>?)" == counts
    assert "SCAN agent_runs USING INDEX idx_runs_start" == newest


@pytest.mark.slow
def test_a_million_runs_answer_in_milliseconds(created: Path) -> None:
    """The latest 20 of an agent under 1 ms, the counts of the last day under 5 ms, over 1 M runs of 30 days."""
    insert = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999999) "
        "INSERT INTO agent_runs (run_id, agent_name, start_time, status, duration_ms) SELECT printf('r%07d', i), "
        "'agent' || (i % 50), strftime('%Y-%m-%dT%H:%M:%S', 1790000000 + i * 2592 / 1000, 'unixepoch'), "
        "CASE i % 10 WHEN 0 THEN 'failed' ELSE 'success' END, i % 1000 FROM n"
    )
    with contextlib.closing(sqlite3.connect(created)) as connection:
        connection.execute(insert)
        connection.commit()
        (last,) = connection.execute("SELECT max(start_time) FROM agent_runs").fetchone()
        questions = {
            "SELECT * FROM agent_runs WHERE agent_name = 'agent7' ORDER BY start_time DESC LIMIT 20": 0.001,
            "SELECT status, count(*) FROM agent_runs WHERE status IN ('running', 'success', 'failed', 'partial') "
            f"AND start_time >= strftime('%Y-%m-%dT%H:%M:%S', '{last}', '-1 day') GROUP BY status": 0.005,
        }

        took_s = {sql: min(timed(connection, sql) for _ in range(5)) for sql in questions}

    assert [] == [(sql, took_s[sql]) for sql, limit_s in questions.items() if took_s[sql] > limit_s]


def timed(connection: sqlite3.Connection, sql: str) -> float:
    """Return how long the answer to *sql* takes."""
    began = time.perf_counter()
    assert connection.execute(sql).fetchall()
    return time.perf_counter() - began


@pytest.mark.parametrize(
    ("kind", "is_good"),
    [
        *(("ext4", True), ("xfs", True), ("tmpfs", True), ("overlay", True), ("fuse.fuse-overlayfs", True), ("", True)),
        *(("nfs4", False), ("cifs", False), ("smb3", False), ("9p", False), ("virtiofs", False), ("fuse.sshfs", False)),
    ],
)
def test_a_wal_is_kept_off_shared_file_systems(
    kind: str, is_good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where two kernels look at one file, each would map a copy of its own of the WAL's index."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/root rw\n"
        f"30 21 0:30 / {str(tmp_path / 'a b').replace(' ', chr(92) + '040')} rw shared:1 - {kind or 'x'} source rw\n"
        f"31 21 0:31 / {tmp_path}/c rw - nfs4 source rw\n"
    )
    monkeypatch.setattr(filesystems, "_MOUNTS", mounts if kind else tmp_path / "not there")
    filesystems.kind_of.cache_clear()

    found = filesystems.can_hold_wal(tmp_path / "a b" / "db")
    filesystems.kind_of.cache_clear()

    assert is_good == found


def test_a_store_on_a_shared_file_system_does_without_a_wal(
    path: Path, a_run: Callable[..., RunRecord], monkeypatch: pytest.MonkeyPatch, rows: Callable[..., list[Any]]
) -> None:
    """The file is in TRUNCATE mode there, also when it was in WAL mode before, and takes runs."""
    with contextlib.closing(Database(path)) as before, before.writing(1.0) as opened:
        assert opened.is_wal
    monkeypatch.setattr("telemetry.sinks.sqlite.opening.can_hold_wal", lambda folder: False)

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="r"))

    assert not opened.is_wal
    assert [("r", "running")] == rows()
    assert [("delete",)] == rows("PRAGMA journal_mode")


def test_a_file_system_that_cannot_share_memory_is_found_by_trying(path: Path, a_run: Callable[..., RunRecord]) -> None:
    """Where the -shm file cannot be made, the store falls back to TRUNCATE and works."""
    shared_memory = path.with_name(f"{path.name}-shm")
    shared_memory.mkdir(parents=True)

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="r"))
        found = load_run(opened.connection, opened.shape, "r")

    assert not opened.is_wal
    assert found is not None


def test_reading_makes_nothing(path: Path) -> None:
    """A reader of a store that is not there gets an error, and no file."""
    database = Database(path, is_read_only=True)

    with pytest.raises(StoreError, match="no database"), database.reading():
        raise AssertionError("there is nothing to read")

    assert not path.parent.exists()


def test_a_reader_cannot_write(created: Path, a_run: Callable[..., RunRecord]) -> None:
    """A store that was opened for reading refuses to be written."""
    reader = Database(created, is_read_only=True)

    with reader.reading() as opened:
        assert [(0,)] == opened.connection.execute("SELECT count(*) FROM runs").fetchall()
    with pytest.raises(StoreError, match="readonly"), reader.writing(0.1) as opened:
        write_run(opened.connection, opened.shape, a_run())

    reader.close()
