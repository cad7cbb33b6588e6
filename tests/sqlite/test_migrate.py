"""Stores of every earlier shape open, take new runs and lose nothing; what is newer than we know is left alone."""

import contextlib
import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from telemetry.plugins import Retryable, RunRecord, StoreError
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.shapes import COLUMNS
from telemetry.sinks.sqlite.writes import load_run, write_run

V1_COLUMNS = """
    run_id TEXT PRIMARY KEY, schema_version INTEGER DEFAULT {version}, agent_name TEXT NOT NULL, agent_owner TEXT,
    job_type TEXT, trigger_type TEXT CHECK(trigger_type IN ('cli','web','scheduler','mcp','manual')),
    start_time TEXT NOT NULL, end_time TEXT,
    status TEXT CHECK(status IN ('running','success','failed','partial')),
    items_discovered INTEGER DEFAULT 0, items_succeeded INTEGER DEFAULT 0, items_failed INTEGER DEFAULT 0,
    duration_ms INTEGER, input_summary TEXT, output_summary TEXT, error_summary TEXT, metrics_json TEXT, {more}
    product TEXT, platform TEXT, git_repo TEXT, git_branch TEXT, git_run_tag TEXT, host TEXT,
    api_posted INTEGER DEFAULT 0, api_posted_at TEXT, api_retry_count INTEGER DEFAULT 0,
    created_at TEXT DEFAULT (datetime('now')), updated_at TEXT DEFAULT (datetime('now')) {last}
"""
EVENTS = """
    CREATE TABLE run_events (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, event_type TEXT NOT NULL,
        timestamp TEXT NOT NULL, payload_json TEXT, FOREIGN KEY (run_id) REFERENCES agent_runs(run_id));
    INSERT INTO run_events (run_id, event_type, timestamp, payload_json)
        VALUES ('old-1', 'checkpoint', '2026-01-01T00:00:01+00:00', '{"n": 1}');
"""
COMMITS = """
    CREATE TABLE commits (commit_hash TEXT PRIMARY KEY, run_id TEXT, agent_name TEXT, repo TEXT, branch TEXT,
        commit_date TEXT, author TEXT, message TEXT, files_changed INTEGER, insertions INTEGER, deletions INTEGER,
        created_at TEXT DEFAULT (datetime('now')), FOREIGN KEY (run_id) REFERENCES agent_runs(run_id));
    INSERT INTO commits (commit_hash, run_id, message) VALUES ('abc', 'old-1', 'first');
"""
MIGRATIONS = """
    CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TEXT DEFAULT (datetime('now')),
        description TEXT);
    INSERT INTO schema_migrations (version, description) VALUES ({version}, 'made');
"""
RUNS = """
    INSERT INTO agent_runs (run_id, agent_name, start_time, status, trigger_type, metrics_json, items_failed)
        VALUES ('old-1', 'crawler', '2026-01-01T00:00:00+00:00', 'failed', 'web', '{"tokens": 7}', 3);
    INSERT INTO agent_runs (run_id, agent_name, start_time, status)
        VALUES ('old-2', 'crawler', '2026-01-02T00:00:00+00:00', 'running');
"""


def store_of(version: int, *, said: int | None, more: str = "", last: str = "", has_commits: bool = True) -> str:
    """Return SQL that makes a store as the tools of version 1 to 3 did."""
    more += {1: "", 2: "insight_id TEXT,", 3: "insight_id TEXT,"}[version]
    last += ", product_family TEXT, subdomain TEXT" if version == 3 else ""
    columns = V1_COLUMNS.format(version=version, more=more, last=last)
    parts = [f"CREATE TABLE agent_runs ({columns});", RUNS, EVENTS]
    parts += ["CREATE INDEX idx_runs_agent ON agent_runs(agent_name);"]
    parts += [COMMITS] if has_commits else []
    parts += [MIGRATIONS.format(version=said)] if said is not None else []
    return "".join(parts)


IN_THE_FIELD = {
    "v1": store_of(1, said=1),
    "v2": store_of(2, said=2),
    "v3 of another tool": store_of(3, said=3),
    "says 3, has the columns of 2": store_of(2, said=3),
    "rebuilt at v2": store_of(3, said=2),
    "rebuilt at v2, an extra column, no commits": store_of(2, said=2, more="reviewer TEXT,", has_commits=False),
    "no schema_migrations": store_of(2, said=None),
    "an extra column that must be given": store_of(3, said=3, last=", region TEXT NOT NULL DEFAULT 'eu'"),
}


def dump(path: Path, table: str, columns: str) -> list[Any]:
    """Return what another program reads from a table."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()


@pytest.mark.parametrize("script", IN_THE_FIELD.values(), ids=IN_THE_FIELD.keys())
def test_a_store_from_the_field_loses_nothing_and_takes_runs(
    script: str, build: Callable[[str], Path], a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord]
) -> None:
    """Each row is as it was, and a new run with every v3 field comes back whole."""
    path = build(script)
    before = [dump(path, table, "*") for table in ("agent_runs", "run_events")]
    width = len(before[0][0])
    start = a_run(run_id="new", insight_id="i", product_family="f", subdomain="s", parent_run_id="old-1")
    end = ended(start, attributes={"why": "x"}, metrics={"n": 1})

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, start)
        write_run(opened.connection, opened.shape, end)
        found = load_run(opened.connection, opened.shape, "new")
        old = load_run(opened.connection, opened.shape, "old-1")

    after = [[row[:width] for row in dump(path, "agent_runs", "*") if row[0] != "new"], dump(path, "run_events", "*")]
    assert before == after
    assert found is not None
    assert end == attrs.evolve(found, created_at=None, updated_at=None, attributes={"why": "x"})
    assert old is not None
    assert ("failed", {"tokens": 7}, 3) == (old.status, dict(old.metrics), old.items_failed)


@pytest.mark.parametrize("script", IN_THE_FIELD.values(), ids=IN_THE_FIELD.keys())
def test_a_store_from_the_field_is_at_v3_then(
    script: str, build: Callable[[str], Path], rows: Callable[..., list[Any]]
) -> None:
    """It has all columns, tables and indexes of v3, and says so; opening it again changes nothing."""
    path = build(script)
    for _ in range(2):
        with contextlib.closing(Database(path)) as database, database.writing(1.0):
            pass

    names = {name for (name,) in rows("SELECT name FROM sqlite_master")}
    assert set(COLUMNS) <= {row[1] for row in rows("PRAGMA table_info(agent_runs)")}
    assert {"agent_runs", "run_events", "commits", "schema_migrations", "run_extras", "runs"} <= names
    assert {"idx_runs_insight", "idx_runs_start", "idx_events_run", "idx_commits_run"} <= names
    assert [(3, 3)] == rows("SELECT max(version), 3 FROM schema_migrations")
    assert [("ok",)] == rows("PRAGMA integrity_check")


@pytest.mark.parametrize(("version", "script"), [(1, IN_THE_FIELD["v1"]), (2, IN_THE_FIELD["v2"])])
def test_a_migration_leaves_the_old_file_as_a_backup(
    version: int, script: str, build: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """What stood in the file, its WAL included, lies private beside it, and the log tells where."""
    path = build(script)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE agent_runs SET host = 'in the wal'")
        connection.commit()

        with contextlib.closing(Database(path)) as database, database.writing(1.0):
            pass

    (backup,) = path.parent.glob(f"telemetry.sqlite.v{version}-*Z.bak")
    assert 0o600 == stat.S_IMODE(backup.stat().st_mode)
    assert [("old-1", "in the wal"), ("old-2", "in the wal")] == dump(backup, "agent_runs", "run_id, host")
    assert "subdomain" not in {row[1] for row in dump(backup, "pragma_table_info('agent_runs')", "*")}
    assert [str(backup)] == [record.backup for record in caplog.records if hasattr(record, "backup")]
    assert [] == list(path.parent.glob("*.part"))


def test_a_store_that_needs_no_column_gets_no_backup(build: Callable[[str], Path]) -> None:
    """Tables that are added beside the rest are no migration."""
    path = build(IN_THE_FIELD["v3 of another tool"])

    with contextlib.closing(Database(path)) as database, database.writing(1.0):
        pass

    assert [] == list(path.parent.glob("*.bak"))


def test_a_backup_that_cannot_be_made_stops_the_migration(
    build: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, rows: Callable[..., list[Any]]
) -> None:
    """Without the copy nothing is changed."""
    path = build(IN_THE_FIELD["v2"])

    def no_space(path: Path, version: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("telemetry.sinks.sqlite.migrate._back_up", no_space)

    with contextlib.closing(Database(path)) as database, pytest.raises(StoreError, match="No space"):
        database.writing(1.0).__enter__()

    assert "subdomain" not in {row[1] for row in rows("PRAGMA table_info(agent_runs)")}


def test_an_empty_file_becomes_a_store(path: Path, a_run: Callable[..., RunRecord]) -> None:
    """A file of no bytes is what a process leaves that died while it made one."""
    path.parent.mkdir(parents=True)
    path.touch()

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="r"))

    assert [("r", "running")] == dump(path, "agent_runs", "run_id, status")
    assert database.was_created


def test_rows_that_lie_only_in_a_wal_are_found(build: Callable[[str], Path], tmp_path: Path) -> None:
    """A process that was killed leaves its newest rows in the WAL; they survive the migration."""
    source = build(IN_THE_FIELD["v2"])
    connection = sqlite3.connect(source)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("INSERT INTO agent_runs (run_id, agent_name, start_time) VALUES ('in-wal', 'a', 't')")
    connection.commit()
    left = tmp_path / "left" / "telemetry.sqlite"
    left.parent.mkdir()
    for ending in ("", "-wal"):
        left.with_name(left.name + ending).write_bytes(source.with_name(source.name + ending).read_bytes())
    connection.close()

    with contextlib.closing(Database(left)) as database, database.writing(1.0):
        pass

    assert ["in-wal", "old-1", "old-2"] == [row[0] for row in dump(left, "agent_runs", "run_id")]


NEWER = {
    "version 8": store_of(3, said=8),
    "user_version 9": f"{store_of(3, said=3)} PRAGMA user_version = 9;",
    "agent_runs of another kind": "CREATE TABLE agent_runs (id INTEGER PRIMARY KEY, payload BLOB);",
    "another program's file": "CREATE TABLE photos (id INTEGER PRIMARY KEY); CREATE TABLE albums (id INTEGER);",
    "a check that no status of ours passes": "CREATE TABLE agent_runs (run_id TEXT PRIMARY KEY, agent_name TEXT, "
    "start_time TEXT, status TEXT, region TEXT NOT NULL CHECK (region IN ('eu', 'us')));",
}


@pytest.mark.parametrize("script", NEWER.values(), ids=NEWER.keys())
def test_a_store_that_is_not_ours_to_change_is_left_untouched(script: str, build: Callable[[str], Path]) -> None:
    """Not a byte is written; the error says what the file is and what to do."""
    path = build(script)
    before = hashlib.sha256(path.read_bytes()).hexdigest()

    with contextlib.closing(Database(path)) as database, pytest.raises(StoreError) as caught:
        database.writing(1.0).__enter__()

    assert before == hashlib.sha256(path.read_bytes()).hexdigest()
    for word in (str(path), "left untouched", "journal keeps every record", "database_path"):
        assert word.lower() in str(caught.value).lower()


FIRST_USERS = """
    import os, sys
    from pathlib import Path
    from telemetry.plugins import RunRecord
    from telemetry.sinks.sqlite.connection import Database
    from telemetry.sinks.sqlite.writes import write_run

    def use(name):
        database = Database(Path(sys.argv[1]))
        run = RunRecord(run_id=name, agent_name=name, start_time="2026-11-23T10:00:00+00:00")
        with database.writing(30.0) as opened:
            write_run(opened.connection, opened.shape, run)
        database.close()
        return 10 + database.was_created

    read, write = os.pipe()
    children = []
    for number in range(int(sys.argv[2])):
        children.append(os.fork())
        if children[-1] == 0:
            os.close(write)
            os.read(read, 1)  # comes to an end for all at once, when the parent closes its side
            os._exit(use(f"r{number:02}"))
    os.close(write)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print({code: codes.count(code) for code in sorted(set(codes))})
"""


READER = """
    import sqlite3, sys, time
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM agent_runs").fetchone()
    print("reading", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes")
def test_sixty_four_first_users_make_one_store(path: Path, processes: Any) -> None:
    """Whoever is first makes the file; nobody fails, and every run is there."""
    answer, _ = processes.start(FIRST_USERS, path, 64).communicate()

    assert "{10: 63, 11: 1}\n" == answer
    assert [f"r{number:02}" for number in range(64)] == [row[0] for row in dump(path, "agent_runs", "run_id")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes")
def test_first_users_of_an_old_store_migrate_it_once(build: Callable[[str], Path], processes: Any) -> None:
    """Of many processes one migrates and makes one backup; the others find it done."""
    path = build(IN_THE_FIELD["v1"])

    answer, _ = processes.start(FIRST_USERS, path, 32).communicate()

    assert "{10: 32}\n" == answer
    assert 1 == len(list(path.parent.glob("*.bak")))
    assert [*("old-1", "old-2"), *(f"r{n:02}" for n in range(32))] == [r[0] for r in dump(path, "agent_runs", "run_id")]


@pytest.mark.parametrize(("read_s", "backups"), [(0.2, 1), (30.0, 0)])
def test_a_reader_in_the_way_makes_no_second_backup(
    read_s: float, backups: int, build: Callable[[str], Path], database: Database, processes: Any
) -> None:
    """A migration waits for who reads the old file; when it gives up, it takes its copy of the file back."""
    path = build(IN_THE_FIELD["v1"])
    reader = processes.start(READER, path, read_s)
    assert "reading\n" == reader.stdout.readline()

    with contextlib.suppress(Retryable), database.writing(1.0 if backups == 0 else 20.0):
        pass

    assert backups == len(list(path.parent.glob("*.bak")))
    assert (backups == 1) == ("insight_id" in {row[1] for row in dump(path, "pragma_table_info('agent_runs')", "*")})


def test_a_store_that_cannot_mark_unread_runs_learns_it(
    path: Path, database: Database, a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """A store of 0.1.0 before that mark keeps its rows, and takes runs of the journal's."""
    with database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="old", attributes={"a": 1}))
    database.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE run_extras DROP COLUMN unread")
        connection.commit()

    with database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="new", attributes={"a": 1}), is_journaled=True)

    assert [("new", 1), ("old", 0)] == rows("SELECT run_id, unread FROM run_extras ORDER BY run_id")
