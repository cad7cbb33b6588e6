"""Prove that the tables are made once, by whoever comes first, and that nothing of another program is touched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

import psycopg

import telemetry
from telemetry.plugins import CommitLink, RunQuery, RunRecord, StoreError
from telemetry.plugins.records import RUN_FIELDS
from telemetry.sinks.postgres import schema
from telemetry.sinks.postgres.connection import opened
from telemetry.sinks.postgres.options import Access
from telemetry.sinks.postgres.rows import COLUMNS

Runs = Callable[..., RunRecord]
Rows = Callable[..., list[Any]]


def test_the_tables_are_those_of_the_documented_schema(host: Any, rows: Rows, a_run: Runs):
    """Schema v3 first, column by column and in its order; a field of a run has a column."""
    assert host.deliver(a_run())

    columns = [name for (name,) in rows(_COLUMNS, "agent_runs")]
    assert V3 == columns[: len(V3)]
    assert set(COLUMNS) < set(columns)
    assert len(RUN_FIELDS) == len(COLUMNS)
    assert columns == [name for (name,) in rows(_COLUMNS, "runs")]
    assert ["run_id", "event_type", "timestamp", "payload_json"] == [n for (n,) in rows(_COLUMNS, "run_events")][1:5]
    assert [(3,)] == rows("SELECT version FROM schema_migrations")
    indexes = {name for (name,) in rows("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()")}
    named = "agent status start api_posted insight"
    assert {f"idx_runs_{name}" for name in named.split()} | {"idx_events_run", "idx_commits_run"} <= indexes


_COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = %s "
    "ORDER BY ordinal_position"
)
V3 = [
    *("run_id", "schema_version", "agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "end_time"),
    *("status", "items_discovered", "items_succeeded", "items_failed", "duration_ms", "input_summary"),
    *("output_summary", "error_summary", "metrics_json", "insight_id", "product", "platform", "product_family"),
    *("subdomain", "git_repo", "git_branch", "git_run_tag", "host", "api_posted", "api_posted_at"),
    *("api_retry_count", "created_at", "updated_at"),
]


def test_many_hosts_come_at_once(url: str, rows: Rows):
    """Twelve connections bring the same empty schema up: one makes the tables, none fails."""
    start = threading.Barrier(12)
    failures: list[BaseException] = []

    def come() -> None:
        connection = opened(Access(url=url))
        start.wait(30)
        try:
            schema.bring_up(connection, "here")
        except (psycopg.Error, StoreError) as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert [(number, name) for number, name in schema.steps().items()] == rows(
        "SELECT number, name FROM telemetry_migrations ORDER BY number"
    )


def test_a_step_that_fails_leaves_nothing(url: str, rows: Rows, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """All steps are one transaction: half a schema is never seen."""
    (tmp_path / "0001_tables.sql").write_text("CREATE TABLE agent_runs (run_id TEXT); SELECT 1 / 0;")
    monkeypatch.setattr(schema.resources, "files", lambda package: tmp_path)
    connection = opened(Access(url=url))

    with pytest.raises(psycopg.errors.DivisionByZero):
        schema.bring_up(connection, "here")

    connection.close()
    assert [] == rows("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")


def test_a_step_that_fails_is_no_fault_of_a_record(
    host: Any, a_run: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Not even when the server's reason is one that would condemn a record: all wait, none is a dead letter."""
    (tmp_path / "0001_tables.sql").write_text("CREATE TABLE made (x INT PRIMARY KEY); INSERT INTO made VALUES (1), (1)")
    monkeypatch.setattr(schema.resources, "files", lambda package: tmp_path)
    host.write(a_run())

    assert "duplicate key" in host.refusal()


@pytest.fixture
def as_user(server: Any, url: str, rows: Rows) -> Iterator[Callable[..., str]]:
    """Return a function that makes a user with some rights in the schema, and returns the URL for that one."""
    made: list[str] = []

    def as_user(*rights: str) -> str:
        [(schema,)] = rows("SELECT current_schema()")
        user = f"{schema}_{len(made)}"
        made.append(user)
        rows(f"CREATE ROLE {user} LOGIN PASSWORD 'word'")
        for right in rights:
            rows(f"GRANT {right.format(schema=schema)} TO {user}")
        return url.replace(url[len("postgresql://") : url.index("@")], f"{user}:word")

    yield as_user
    for user in made:
        rows(f"DROP OWNED BY {user}")
        rows(f"DROP ROLE {user}")


def test_few_rights_are_enough(
    host: Any, new_host: Callable[..., Any], as_user: Any, a_run: Runs, ended: Any, an_event: Any, rows: Rows
):
    """Whoever finds the tables there needs none to make them; who reads needs only to read."""
    assert host.deliver(a_run("r1"))
    writing = as_user("USAGE ON SCHEMA {schema}", "SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema}")
    reading = as_user("USAGE ON SCHEMA {schema}", "SELECT ON ALL TABLES IN SCHEMA {schema}")
    link = CommitLink(
        run_id="r2", timestamp="2026-11-23T10:00:00.000000+00:00", commit_hash="abc123", writer="aaaaaaaaaaaa", seq=900
    )

    clerk = new_host("clerk", url=writing)
    assert clerk.deliver(a_run("r2", seq=2), an_event("r2", 1), link, ended(a_run("r2")))
    assert [("r1", "running"), ("r2", "success")] == rows()
    store = telemetry.open_store(reading)
    assert ["r2", "r1"] == sorted((run.run_id for run in store.runs(RunQuery())), reverse=True)
    assert ["abc123"] == [commit["commit_hash"] for commit in store.commits("r2")]
    store.close()


def test_too_few_rights_are_told(new_host: Callable[..., Any], as_user: Any, a_run: Runs):
    """With what to grant; the records wait for it."""
    host = new_host(url=as_user("USAGE ON SCHEMA {schema}"))
    host.write(a_run())

    assert "grant it" in host.refusal().partition("permission denied for schema")[2]


def test_an_older_schema_is_brought_up(url: str, rows: Rows, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Only the steps that are new are done."""
    monkeypatch.setattr(schema.resources, "files", lambda package: tmp_path)
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE agent_runs (run_id TEXT)")
    (tmp_path / "0002_b.sql").write_text("ALTER TABLE agent_runs ADD COLUMN extra TEXT; CREATE TABLE other (x INT)")
    with opened(Access(url=url)) as connection:
        for newest in (1, 2, 2):
            monkeypatch.setattr(schema, "NEWEST", newest)
            names = {1: "0001_a.sql", 2: "0002_b.sql"}
            monkeypatch.setattr(schema, "steps", lambda: dict(list(names.items())[:newest]))  # noqa: B023
            schema.bring_up(connection, "here")

    assert ["run_id", "extra"] == [name for (name,) in rows(_COLUMNS, "agent_runs")]
    assert [(1,), (2,)] == rows("SELECT number FROM telemetry_migrations ORDER BY number")


def test_a_later_schema_is_left_alone(host: Any, rows: Rows, a_run: Runs):
    """A version that this one does not know keeps its tables; the records wait in the journal and it is said why."""
    assert host.deliver(a_run())
    rows("INSERT INTO telemetry_migrations (number, name) VALUES (99, 'later.sql')")
    host.write(a_run("r2", seq=2))

    assert "step 99" in host.refusal()
    assert [("r1", "running")] == rows()


def test_another_program_keeps_its_table(host: Any, rows: Rows, a_run: Runs):
    """A table agent_runs that we did not make is neither filled nor changed, and the cure is told."""
    rows("CREATE TABLE agent_runs (run_id TEXT, status TEXT)")
    host.write(a_run())

    assert "search_path" in host.refusal()
    assert [] == rows()


def test_a_database_that_cannot_hold_every_text_is_refused(
    postgres_url: str, new_host: Callable[..., Any], a_run: Runs
):
    """A database in LATIN1 would refuse single records for ever; it is refused as a whole, with the cure."""
    name = f"latin_{threading.get_native_id()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    host = new_host(url=urlsplit(postgres_url)._replace(path=f"/{name}").geturl())
    host.write(a_run())

    assert "LATIN1" in host.refusal()
    host.close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
