"""Prove that schemas are told as they are, and changed only where that is ours to do."""

import json
import sqlite3
from contextlib import closing

import pytest

V1 = """
CREATE TABLE agent_runs (run_id TEXT PRIMARY KEY, agent_name TEXT NOT NULL, start_time TEXT NOT NULL, status TEXT);
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TEXT, description TEXT);
INSERT INTO schema_migrations VALUES (1, '2025-01-01', 'first');
INSERT INTO agent_runs VALUES ('old', 'x', '2025-01-01T00:00:00+00:00', 'success');
"""


def made(base, script: str) -> None:
    """Make the database by a script, as an older program did."""
    with closing(sqlite3.connect(base.database)) as connection:
        connection.executescript(script)


def test_list_tells_and_changes_nothing(base, real_command):
    """The version, and each thing that would be done."""
    made(base, V1)

    done = real_command("migrate", "--list", "--json")

    [told] = json.loads(done.stdout)
    assert (0, 1, 3) == (done.returncode, told["version"], told["wanted"])
    assert [[1, "2025-01-01", "first"]] == told["applied"]
    assert any("insight_id" in step for step in told["steps"])
    assert 4 == len(base.sql("PRAGMA table_info(agent_runs)"))


def test_migrate_brings_it_up_and_keeps_a_copy(base):
    """Once; the second time there is nothing to do."""
    made(base, V1)

    [schema] = base.care.migrate().values()
    [again] = base.care.schemas().values()

    assert (3, ()) == (schema.version, schema.steps)
    assert schema == again
    assert {"old"} == base.ids()
    assert 1 == len(list(base.database.parent.glob("*.bak")))


@pytest.mark.parametrize("script", ["PRAGMA user_version = 9; CREATE TABLE agent_runs (run_id, agent_name)",
                                    "CREATE TABLE something (else_)"])  # fmt: skip
def test_what_is_not_ours_is_left_alone(base, real_command, script):
    """A later release's file, another program's: exit code 1, the reason, and not a byte changed."""
    made(base, script)
    before = base.database.read_bytes()

    done = real_command("migrate")

    assert (1, True) == (done.returncode, "left untouched" in done.stderr)
    assert before == base.database.read_bytes()


def test_without_a_database_there_is_nothing_to_list(base):
    """It is made by the first run, or by migrating."""
    [schema] = base.care.schemas().values()
    [made] = base.care.migrate().values()

    assert (None, 3) == (schema.version, schema.wanted)
    assert (3, ()) == (made.version, made.steps)
