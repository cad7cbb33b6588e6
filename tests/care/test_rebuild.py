"""Prove that a store is built anew whole, whatever happens meanwhile, and that nothing is lost by it."""

import gzip
import os
import signal
import sqlite3

import pytest
from stopped_command import STOPPED

from telemetry.plugins import StoreError

# Dies by itself at a given point: `kill -9` in the middle of a stage, at its first, fifth, ... word about it.
_DYING = """
import os, signal, sys
from telemetry.core.care import Care
from telemetry.sinks.sqlite import catch_up, rebuilding
rebuilding._PAGES, catch_up._MOST_LINES = 16, dict.fromkeys(catch_up._MOST_LINES, 100)
left = int(sys.argv[2])
def progress(stage, done, total):
    global left
    left -= stage == sys.argv[1]
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
Care().rebuild(progress)
"""


def test_rebuilt_store_says_the_same(base):
    """Runs, events with their numbers, commits: built anew they are what they were."""
    for day in (3, 2, 1, 0.5):
        base.record(day)
    base.record(0.2, is_running=True)
    before = base.told()

    [rebuilt] = base.care.rebuild()

    assert before == base.told()
    assert (5, 10, {}, 0) == (rebuilt.runs, rebuilt.events, rebuilt.carried, rebuilt.differing)
    assert [] == [path.name for path in base.database.parent.iterdir() if path.name.endswith(".rebuild")]


def test_rebuild_begins_without_a_database(base):
    """Where there is none yet, it is made; gzipped days are read like others."""
    base.record(3)
    [path] = base.raw.iterdir()
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()

    [rebuilt] = base.care.rebuild()

    assert (1, 2) == (rebuilt.runs, rebuilt.events)
    assert 1 == len(base.ids())


def test_what_no_journal_has_is_carried_over(base):
    """Rows and tables of other programs, ends and events that came into the database alone, runs of a lost day."""
    lost, open_run, kept = base.record(5), base.record(2, is_running=True), base.record(1)
    base.told()
    min(base.raw.iterdir()).unlink()
    base.sql(
        "INSERT INTO agent_runs (run_id, agent_name, start_time, status) VALUES ('theirs', 'x', '2026', 'success')"
    )
    base.sql("INSERT INTO run_events (run_id, event_type, timestamp) VALUES (?, 'theirs', '2026-01-01')", kept)
    base.sql("UPDATE agent_runs SET status = 'success', end_time = start_time WHERE run_id = ?", open_run)
    base.sql("UPDATE agent_runs SET created_at = '2020-01-01 00:00:00', api_posted = 1 WHERE run_id = ?", kept)
    base.sql("INSERT INTO commits (commit_hash, run_id) VALUES ('abc', 'theirs')")
    base.sql("CREATE TABLE notes (text TEXT)")
    base.sql("INSERT INTO notes VALUES ('mine')")

    [rebuilt] = base.care.rebuild()

    assert {lost, open_run, kept, "theirs"} == base.ids()
    assert {"runs": 2, "ends": 1, "events": 3, "commits": 1, "rows": 1} == rebuilt.carried
    assert [("success",)] == base.sql("SELECT status FROM agent_runs WHERE run_id = ?", open_run)
    assert [("2020-01-01 00:00:00", 1)] == base.sql(
        "SELECT created_at, api_posted FROM agent_runs WHERE run_id = ?", kept
    )
    assert [("mine",)] == base.sql("SELECT text FROM notes")
    assert [("abc", "theirs")] == base.sql("SELECT commit_hash, run_id FROM commits")
    assert 3 == base.sql("SELECT count(*) FROM run_events WHERE run_id = ?", kept)[0][0]


def test_where_the_two_differ_the_journal_counts(base):
    """A row that was changed to something false comes right, and is counted."""
    run_id = base.record(1)
    base.told()
    base.sql("UPDATE agent_runs SET status = 'failed' WHERE run_id = ?", run_id)

    [rebuilt] = base.care.rebuild()

    assert 1 == rebuilt.differing
    assert [("success",)] == base.sql("SELECT status FROM agent_runs")


def test_store_of_a_later_version_keeps_its_shape(base):
    """Columns, version number and values of a later program stay as they are."""
    base.record(1)
    base.told()
    base.sql("ALTER TABLE agent_runs ADD COLUMN website TEXT")
    base.sql("UPDATE agent_runs SET website = 'https://example.org'")
    base.sql("INSERT INTO schema_migrations (version) VALUES (5)")
    base.sql("DROP VIEW runs")

    base.care.rebuild()

    assert [("https://example.org",)] == base.sql("SELECT website FROM agent_runs")
    assert [(5,)] == base.sql("SELECT max(version) FROM schema_migrations")


def test_damaged_store_is_set_aside(base):
    """It is built from the journal alone, and not a byte of the damaged one is deleted."""
    base.record(1)
    before = base.told()
    blob = base.database.read_bytes()
    base.database.write_bytes(blob[:8192] + os.urandom(len(blob) - 8192))

    [rebuilt] = base.care.rebuild()

    assert before == base.told()
    assert rebuilt.set_aside is not None
    assert len(blob) == os.stat(rebuilt.set_aside).st_size


@pytest.mark.parametrize(
    ("stage", "times"),
    [("reading runs", 0), ("reading events", 1), ("making indexes", 0), ("comparing", 1), ("copying", 1)],
)
def test_kill_in_any_stage_leaves_the_old_store_and_a_way_on(base, processes, stage, times):
    """After SIGKILL the database is the old one, whole; the next rebuild goes on and ends."""
    for number in range(100):
        base.record(2 + number / 1000, events=20)
    before = base.told()
    base.sql("DELETE FROM agent_runs WHERE run_id IN (SELECT run_id FROM agent_runs LIMIT 50)")

    dying = processes.start(_DYING, stage, times)
    dying.communicate(timeout=60)
    left = base.sql("PRAGMA integrity_check"), base.sql("SELECT count(*) FROM agent_runs")
    [rebuilt] = base.care.rebuild()

    assert (-signal.SIGKILL, [("ok",)], [(50,)]) == (dying.returncode, *left)
    assert rebuilt.was_resumed
    assert before == base.told()


def test_torn_draft_is_begun_anew(base):
    """A power cut may leave anything of what was not synced."""
    base.record(1)
    before = base.told()
    base.database.with_name("telemetry.sqlite.rebuild").write_bytes(os.urandom(20_000))

    [rebuilt] = base.care.rebuild()

    assert not rebuilt.was_resumed
    assert before == base.told()


def test_agents_write_meanwhile_and_lose_nothing(base, agent):
    """Rebuilds under a writer: every run that it got acknowledged is there, ended, with its event."""
    for day in range(1, 20):
        base.record(day, events=50)

    agent.beside(base.care.rebuild)
    acknowledged = agent.stop()

    told = base.told()
    assert set(acknowledged) <= {run.run_id for run in told["runs"] if run.status == "success"}
    assert 19 * 50 + len(acknowledged) == len(told["events"])
    assert [("ok",)] == base.sql("PRAGMA integrity_check")


def test_rows_that_come_in_at_the_last_moment_are_kept(base):
    """Another program writes after the comparison: it is compared again."""
    base.record(1)
    base.told()
    written = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "comparing" and done == total and not written:
            base.sql("INSERT INTO agent_runs (run_id, agent_name, start_time) VALUES ('late', 'x', '2026-01-01')")
            written.append(stage)

    base.care.rebuild(progress)

    assert "late" in base.ids()


def test_open_readers_see_the_new_store(base):
    """A connection that was open all the time reads on, in the new content."""
    run_id = base.record(1)
    base.told()
    reader = sqlite3.connect(base.database)
    reader.execute("SELECT count(*) FROM agent_runs").fetchone()
    base.sql("DELETE FROM agent_runs")

    base.care.rebuild()

    assert [(run_id,)] == reader.execute("SELECT run_id FROM agent_runs").fetchall()
    reader.close()


def test_second_rebuild_is_refused(base):
    """Two at once would build in one file."""
    base.record(1)

    def progress(stage: str, done: int, total: int) -> None:
        with pytest.raises(StoreError, match="being rebuilt by another process"):
            base.care.rebuild()

    base.care.rebuild(progress)


def test_interrupt_tells_how_to_go_on(base, processes):
    """^C: exit code 130, and the command that goes on; it does."""
    for number in range(60):
        base.record(2 + number / 1000, events=400)
    before = base.told()

    process = processes.start(STOPPED, "reading events", 3, "rebuild")
    _, err = process.communicate(timeout=60)
    code, told = process.returncode, processes.command("rebuild", "--json").communicate(timeout=60)[0]

    assert (130, True) == (code, "To go on: telemetry rebuild" in err)
    assert '"was_resumed": true' in told
    assert before == base.told()
