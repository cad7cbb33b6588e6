"""Prove that a journal alone answers as a database does, and that nothing is left behind."""

import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.plugins import CommitLink, RunEvent, RunQuery, RunRecord, RunStore, SinkContext, StoreError
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.sqlite import scratch
from telemetry.sinks.sqlite.journal_store import JournalStore
from telemetry.sinks.sqlite.scratch import ScratchDatabase
from telemetry.sinks.sqlite.store import SqliteStore


@pytest.fixture
def folder(context: SinkContext) -> Path:
    """Return the folder of the journal."""
    assert context.journal_dir is not None
    return context.journal_dir


def test_a_journal_answers_like_a_database(
    folder: Path, path: Path, journal: Callable[..., None], a_run: Callable[..., RunRecord]
):
    """Every question of a reader has the same answer from both."""
    journal(
        a_run(run_id="r1", status="failed", duration_ms=5, end_time="2026-11-23T10:00:01+00:00"),
        RunEvent("r1", "step", "t", {"n": 1}),
        CommitLink(run_id="r1", timestamp="t", commit_hash="c0ffee"),
        a_run(run_id="r2"),
    )
    alone, beside = JournalStore(folder), SqliteStore(path, folder)

    for store in (alone, beside):
        assert isinstance(store, RunStore)
        assert ["r2", "r1"] == [run.run_id for run in store.runs(RunQuery())]
        assert [{"n": 1}] == [event.payload for event in store.events("r1")]
    assert alone.stats() == beside.stats()
    assert alone.summary("status", RunQuery()) == beside.summary("status", RunQuery())
    assert alone.find_ids("r") == beside.find_ids("r")
    assert ["c0ffee"] == [commit["commit_hash"] for commit in alone.commits("r1")]
    alone.close()
    beside.close()


def test_nothing_is_written(folder: Path, journal: Callable[..., None], a_run: Callable[..., RunRecord]):
    """The folder of the journal, and its parent, stay as they are."""
    journal(a_run())
    before = sorted(folder.parent.rglob("*"))

    store = JournalStore(folder)
    store.stats()
    store.close()

    assert before == sorted(folder.parent.rglob("*"))


def test_the_journal_is_followed(folder: Path, journal: Callable[..., None], a_run: Callable[..., RunRecord]):
    """What is added later is read by the next question; so is everything, after the store was closed."""
    store = JournalStore(folder)
    journal(a_run(run_id="r1"))
    first = store.stats()["total_runs"]
    journal(a_run(run_id="r2"))

    second = store.stats()["total_runs"]
    store.close()

    assert [1, 2, 2] == [first, second, store.stats()["total_runs"]]
    store.close()


def test_the_ndjson_sink_is_read_this_way(
    context: SinkContext, journal: Callable[..., None], a_run: Callable[..., RunRecord]
):
    """A set-up without a database can be read through its journal."""
    journal(a_run(run_id="r1"))

    store = NdjsonSink().open_store(context)

    assert store.get_run("r1") is not None
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_reads_the_journal_anew(folder: Path, journal: Callable[..., None], a_run: Callable[..., RunRecord]):
    """The parent's temporary file is not the child's: what one reads the other does not see."""
    store = JournalStore(folder)
    journal(a_run(run_id="r1"))
    store.stats()

    child = os.fork()
    if child == 0:
        journal(a_run(run_id="r2"))
        os._exit(10 + store.stats()["total_runs"])

    assert 12 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 2 == store.stats()["total_runs"]
    store.close()


def test_a_transaction_that_fails_leaves_nothing():
    """An error rolls back, and the database goes on."""
    database = ScratchDatabase()
    insert = "INSERT INTO agent_runs (run_id, agent_name, start_time) VALUES (?, 'a', 't')"

    def fail() -> None:
        with database.writing(0.0) as opened:
            opened.connection.execute(insert, ("r1",))
            raise sqlite3.OperationalError("no room")

    with pytest.raises(StoreError):
        fail()

    with database.writing(0.0) as opened:
        opened.connection.execute(insert, ("r2",))

    with database.reading() as opened:
        assert [("r2",)] == opened.connection.execute("SELECT run_id FROM agent_runs").fetchall()
    assert database.checkpoint(0.0)
    database.close()


def test_a_system_without_room_for_temporary_files_is_told(monkeypatch: pytest.MonkeyPatch):
    """The error is one of the platform's own."""

    def refuse() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scratch, "_open", refuse)

    with pytest.raises(StoreError, match=r"temporary database.*No space left"), ScratchDatabase().reading():
        raise AssertionError("there is nothing to read")
