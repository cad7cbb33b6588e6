"""Stores of the later lineage, v4 to v7, keep their number, columns and checks, and speak our words when read."""

import contextlib
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from telemetry.plugins import CommitLink, DeliveryReport, RunRecord
from telemetry.sinks.sqlite.commits import commits_of, save_commit
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.shapes import inspect
from telemetry.sinks.sqlite.writes import load_run, write_delivery, write_run

V3_COLUMNS = """
    run_id TEXT PRIMARY KEY, schema_version INTEGER DEFAULT {version}, agent_name TEXT NOT NULL, agent_owner TEXT,
    job_type TEXT, trigger_type TEXT CHECK(trigger_type IN ('cli','web','scheduler','mcp','manual')),
    start_time TEXT NOT NULL, end_time TEXT,
    status TEXT CHECK(status IN ('running','success','failed','partial')),
    items_discovered INTEGER DEFAULT 0, items_succeeded INTEGER DEFAULT 0, items_failed INTEGER DEFAULT 0,
    duration_ms INTEGER, input_summary TEXT, output_summary TEXT, error_summary TEXT, metrics_json TEXT,
    insight_id TEXT, product TEXT, platform TEXT, product_family TEXT, subdomain TEXT, git_repo TEXT,
    git_branch TEXT, git_run_tag TEXT, host TEXT, api_posted INTEGER DEFAULT 0, api_posted_at TEXT,
    api_retry_count INTEGER DEFAULT 0, created_at TEXT DEFAULT (datetime('now')),
    updated_at TEXT DEFAULT (datetime('now'))
"""
GIT = ", git_commit_hash TEXT, git_commit_source TEXT, git_commit_author TEXT, git_commit_timestamp TEXT"
WEB = ", website TEXT, website_section TEXT, item_name TEXT"
OTHER_TABLES = """
    CREATE TABLE run_events (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, event_type TEXT NOT NULL,
        timestamp TEXT NOT NULL, payload_json TEXT);
    CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TEXT, description TEXT);
    INSERT INTO schema_migrations (version) VALUES ({version});
"""
V7_PLAIN_RUN_ID = """
    CREATE TABLE agent_runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL,
        schema_version INTEGER DEFAULT 7, agent_name TEXT NOT NULL, agent_owner TEXT, job_type TEXT NOT NULL,
        trigger_type TEXT, start_time TEXT NOT NULL, end_time TEXT,
        status TEXT NOT NULL CHECK (status IN ('running', 'success', 'failure', 'partial', 'timeout', 'cancelled')),
        items_discovered INTEGER NOT NULL DEFAULT 0, items_succeeded INTEGER NOT NULL DEFAULT 0,
        items_failed INTEGER NOT NULL DEFAULT 0, items_skipped INTEGER NOT NULL DEFAULT 0,
        duration_ms INTEGER NOT NULL DEFAULT 0, input_summary TEXT, output_summary TEXT, error_summary TEXT,
        error_details TEXT, source_ref TEXT, target_ref TEXT, metrics_json TEXT, context_json TEXT,
        product TEXT, platform TEXT, website TEXT, website_section TEXT, item_name TEXT, environment TEXT,
        git_repo TEXT, git_branch TEXT, git_commit_hash TEXT, host TEXT, parent_run_id TEXT,
        api_posted INTEGER NOT NULL DEFAULT 0, api_posted_at TEXT, api_retry_count INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL DEFAULT (datetime('now')));
    INSERT INTO agent_runs (event_id, run_id, agent_name, job_type, start_time, status, website, created_at)
        VALUES ('e-1', 'old', 'scraper', 'j', '2026-01-01T00:00:00+00:00', 'timeout', 'example.org', 'x');
"""


def store_of(version: int) -> str:
    """Return SQL that makes a store of v4, v5, v6 or v7 in the shape that is v3 with more columns."""
    more = GIT + (WEB if version >= 5 else "") + (", event_id TEXT NOT NULL" if version >= 6 else "")
    table = f"CREATE TABLE agent_runs ({V3_COLUMNS.format(version=version)}{more});"
    unique = "CREATE UNIQUE INDEX idx_event ON agent_runs(event_id);" if version >= 6 else ""
    names, values = ("event_id,", "'e-1',") if version >= 6 else ("", "")
    row = (
        f"INSERT INTO agent_runs ({names} run_id, agent_name, start_time, status, git_commit_hash) "
        f"VALUES ({values} 'old', 'scraper', '2026-01-01T00:00:00+00:00', 'success', 'abc');"
    )
    job = "CREATE INDEX idx_job ON agent_runs(job_type);" if version == 7 else ""
    return table + unique + row + job + OTHER_TABLES.format(version=version)


LATER = {
    **{f"v{version}": store_of(version) for version in (4, 5, 6, 7)},
    "v7, run_id is plain": V7_PLAIN_RUN_ID + OTHER_TABLES.format(version=7),
}
in_each = pytest.mark.parametrize("script", LATER.values(), ids=LATER.keys())


def full(a_run: Callable[..., RunRecord]) -> RunRecord:
    """Return a start that says something in most fields."""
    return a_run(
        run_id="new",
        trigger_type="mcp",
        agent_owner="o",
        insight_id="i",
        product="p",
        product_family="f",
        subdomain="s",
        git_run_tag="t",
        parent_run_id="old",
        attributes={"note": "n", "trigger_type": "cron"},
    )


def plain(run: RunRecord | None) -> dict[str, Any]:
    """Return *run* without the times at which its row was written."""
    assert run is not None
    return {name: value for name, value in run.to_dict().items() if name not in ("created_at", "updated_at")}


@in_each
@pytest.mark.parametrize("status", ["success", "failed", "partial"])
def test_a_run_comes_back_in_our_words(
    script: str,
    status: str,
    build: Callable[[str], Path],
    a_run: Callable[..., RunRecord],
    ended: Callable[..., RunRecord],
) -> None:
    """Start and end are one row, and no field is lost for want of a column or a word."""
    path, start = build(script), full(a_run)
    end = ended(start, status=status, items_failed=2, metrics={"n": 1}, status_detail="why", coerced=("a.b",))

    with contextlib.closing(Database(path)) as database:
        with database.writing(1.0) as opened:
            write_run(opened.connection, opened.shape, start)
            started = load_run(opened.connection, opened.shape, "new")
        with database.writing(1.0) as opened:
            write_run(opened.connection, opened.shape, end)
            write_run(opened.connection, opened.shape, end)
            found = load_run(opened.connection, opened.shape, "new")
            count = opened.connection.execute("SELECT count(*) FROM agent_runs WHERE run_id = 'new'").fetchone()

    assert plain(start) == plain(started)
    assert plain(end) == plain(found)
    assert (1,) == count


@in_each
def test_the_store_keeps_its_number_and_its_rows(
    script: str, build: Callable[[str], Path], a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """Only what is ours is added: no column, no version, no change of what stands there."""
    path = build(script)
    before = rows("SELECT * FROM agent_runs"), rows("PRAGMA table_info(agent_runs)")
    version = rows("SELECT max(version) FROM schema_migrations")

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="new"))

    assert before[0] == rows("SELECT * FROM agent_runs WHERE run_id = 'old'")
    assert before[1] == rows("PRAGMA table_info(agent_runs)")
    assert version == rows("SELECT max(version) FROM schema_migrations")
    assert [(0,)] == rows("PRAGMA user_version")
    assert [] == list(path.parent.glob("*.bak"))


@pytest.mark.parametrize("script", [LATER["v6"], LATER["v7"], LATER["v7, run_id is plain"]], ids=["v6", "v7", "plain"])
def test_each_row_gets_an_event_id_of_its_own(
    script: str, build: Callable[[str], Path], a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """It is a UUID, and an end does not change it."""
    path = build(script)
    runs = [a_run(run_id=f"new-{number}") for number in range(3)]

    with contextlib.closing(Database(path)) as database:
        with database.writing(1.0) as opened:
            for run in runs:
                write_run(opened.connection, opened.shape, run)
        first = rows("SELECT run_id, event_id FROM agent_runs WHERE run_id LIKE 'new-%' ORDER BY 1")
        with database.writing(1.0) as opened:
            write_run(opened.connection, opened.shape, attrs.evolve(runs[0], status="success", end_time="2026"))

    assert first == rows("SELECT run_id, event_id FROM agent_runs WHERE run_id LIKE 'new-%' ORDER BY 1")
    assert 3 == len({uuid.UUID(event_id) for _, event_id in first})


def test_where_the_check_demands_it_failed_is_written_failure(
    build: Callable[[str], Path], a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """Other readers of that store find the word that they know."""
    path = build(LATER["v7, run_id is plain"])

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        for status in ("running", "success", "failed", "partial"):
            write_run(opened.connection, opened.shape, a_run(run_id=status, status=status))

    expected = [("failed", "failure"), ("partial", "partial"), ("running", "running"), ("success", "success")]
    assert expected == rows("SELECT run_id, status FROM agent_runs WHERE run_id <> 'old' ORDER BY 1")


def test_a_row_of_the_later_tools_reads_back_in_our_words(build: Callable[[str], Path]) -> None:
    """`timeout` is failed with its word kept; what has no field is an attribute; 0 ms of a live run is nothing."""
    path = build(LATER["v7, run_id is plain"])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO agent_runs (event_id, run_id, agent_name, job_type, start_time, status, created_at, "
            "trigger_type, parent_run_id, items_skipped) VALUES ('e-2', 'live', 'a', 'j', 't', 'running', 'x', 'cron', "
            "'old', 4)"
        )
        connection.commit()

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        old, live = (load_run(opened.connection, opened.shape, run_id) for run_id in ("old", "live"))

    assert old is not None
    assert live is not None
    assert ("failed", "timeout", "example.org") == (old.status, old.status_detail, old.attributes["website"])
    assert "event_id" not in old.attributes
    assert ("running", None, "manual", "old") == (live.status, live.duration_ms, live.trigger_type, live.parent_run_id)
    assert {"trigger_type": "cron", "items_skipped": 4} == dict(live.attributes)


def test_what_must_be_given_and_is_not_known_reads_back_as_unknown(
    build: Callable[[str], Path], a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """The store's NOT NULL columns hold something valid, which is no news to a reader."""
    path, run = build(LATER["v7, run_id is plain"]), a_run(run_id="new", job_type=None)

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, run)
        found = load_run(opened.connection, opened.shape, "new")

    assert plain(run) == plain(found)
    ((job_type, skipped, created_at),) = rows(
        "SELECT job_type, items_skipped, created_at FROM agent_runs WHERE run_id = 'new'"
    )
    assert ("", 0, True) == (job_type, skipped, created_at.startswith("20"))


def test_an_attribute_goes_into_the_column_of_its_name(
    build: Callable[[str], Path], a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """A field of the later versions that an agent passes by keyword stands where their tools look for it."""
    path = build(LATER["v5"])

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        attributes = {"website": "example.org", "git_commit_hash": "abc", "item_name": ["no", "text"]}
        write_run(opened.connection, opened.shape, a_run(run_id="new", attributes=attributes))
        found = load_run(opened.connection, opened.shape, "new")

    sql = "SELECT website, git_commit_hash, item_name FROM agent_runs WHERE run_id = 'new'"
    assert [("example.org", "abc", None)] == rows(sql)
    assert found is not None
    assert attributes == dict(found.attributes)


@in_each
def test_deliveries_and_commits_are_kept_there_too(
    script: str, build: Callable[[str], Path], a_run: Callable[..., RunRecord]
) -> None:
    """Also where the store has no table `commits`."""
    report = DeliveryReport("new", "2026-11-23T10:00:02+00:00", "hq", True, 2)
    link = CommitLink(run_id="new", timestamp="t", commit_hash="abc", message="m")

    with contextlib.closing(Database(build(script))) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_run(run_id="new"))
        write_delivery(opened.connection, opened.shape, report)
        save_commit(opened.connection, link)
        found = load_run(opened.connection, opened.shape, "new")
        (commit,) = commits_of(opened.connection, "new")

    assert found is not None
    assert (True, report.timestamp, 2) == (found.api_posted, found.api_posted_at, found.api_retry_count)
    assert ("abc", "m") == (commit["commit_hash"], commit["message"])


def test_an_end_is_found_by_an_index_where_run_id_is_plain(
    build: Callable[[str], Path], rows: Callable[..., list[Any]]
) -> None:
    """Without one each end would read the whole table."""
    path = build(LATER["v7, run_id is plain"])

    with contextlib.closing(Database(path)) as database, database.writing(1.0):
        pass

    plan = rows("EXPLAIN QUERY PLAN SELECT max(rowid) FROM agent_runs WHERE run_id = 'x'")
    assert any("idx_runs_run_id" in row[3] for row in plan)


def test_the_view_names_each_column_once(build: Callable[[str], Path], rows: Callable[..., list[Any]]) -> None:
    """A store with a parent_run_id of its own shows that one where ours says nothing."""
    path = build(LATER["v7, run_id is plain"])
    with contextlib.closing(Database(path)) as database, database.writing(1.0):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE agent_runs SET parent_run_id = 'p'")
        connection.commit()

    names = [row[1] for row in rows("PRAGMA table_info(runs)")]

    assert len(names) == len(set(names))
    assert [("old", "p")] == rows("SELECT run_id, parent_run_id FROM runs")


def test_of_several_rows_of_a_run_the_newest_counts(
    build: Callable[[str], Path],
    a_run: Callable[..., RunRecord],
    ended: Callable[..., RunRecord],
    rows: Callable[..., list[Any]],
) -> None:
    """Where run_id is plain another tool may have written two; ours changes the last one only."""
    path = build(LATER["v7, run_id is plain"])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO agent_runs (event_id, run_id, agent_name, job_type, start_time, status, created_at) "
            "VALUES ('e-2', 'old', 'scraper', 'j', '2026-01-01T00:00:00+00:00', 'running', 'x')"
        )
        connection.commit()

    with contextlib.closing(Database(path)) as database, database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, ended(a_run(run_id="old", agent_name="scraper")))

    assert [("e-1", "timeout"), ("e-2", "success")] == rows("SELECT event_id, status FROM agent_runs ORDER BY id")


@pytest.mark.parametrize(
    ("check", "statuses"),
    [
        ("", {"failed": "failed", "partial": "partial"}),
        ("CHECK (status IN ('running','success','failed','partial'))", {"failed": "failed", "partial": "partial"}),
        ("CHECK (\"status\" IN ('running', 'completed', 'error'))", {"failed": "error", "success": "completed"}),
        ("CHECK ([status] in ('running','success','failure','partial'))", {"failed": "failure"}),
    ],
)
def test_the_words_of_a_check_are_read_from_the_table(check: str, statuses: dict[str, str]) -> None:
    """Whatever way the check is written."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            f"CREATE TABLE agent_runs (run_id TEXT, agent_name TEXT, start_time TEXT, status TEXT {check})"
        )

        found = inspect(connection).statuses

    assert statuses.items() <= found.items()
