"""Prove that a reader gets every run, in order, caught up, from whatever file he finds."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stories import NO_ANSWERS, answers_of, ids, moment, three_runs

from telemetry.plugins import RunEvent, RunQuery, RunRecord, SinkContext, StoreError
from telemetry.sinks.reading.pages import PAGE
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.store import SqliteStore

Runs = Callable[..., RunRecord]


@pytest.fixture
def store(path: Path, context: SinkContext) -> Iterator[SqliteStore]:
    """Return the store of the set-up."""
    store = SqliteStore(path, context.journal_dir, wait_s=0.05)
    yield store
    store.close()


@pytest.fixture
def three(journal: Callable[..., None], a_run: Runs, ended: Callable[..., RunRecord]) -> list[RunRecord]:
    """Put three runs into the journal and return them, the newest first."""
    runs = three_runs(a_run, ended)
    journal(*runs)
    return runs[::-1]


def test_a_missing_database_is_built(store: SqliteStore, path: Path, three: list[RunRecord]):
    """Where only a journal is, the first question makes the database."""
    assert ids(three) == ids(store.runs(RunQuery()))
    assert path.exists()


def test_a_settled_store_looks_at_the_journal_once(store, journal, three, a_run):
    """What comes in meanwhile is told afterwards."""
    with store.settled():
        journal(a_run(run_id="r4", start_time=moment(4)))
        meanwhile = [store.get_run("r1"), store.get_run("r4")]

    assert [three[-1].run_id, None] == [meanwhile[0].run_id, meanwhile[1]]
    assert store.get_run("r4") is not None


def test_where_nothing_was_recorded_there_is_no_error(store: SqliteStore, path: Path):
    """Every question has an empty answer, and no file is made for it."""
    answers = answers_of(store)

    assert NO_ANSWERS == answers
    assert not path.parent.exists()


def test_an_empty_file_is_a_store_without_runs(path: Path):
    """Another process has just made the file, and not its tables."""
    path.parent.mkdir(parents=True)
    path.touch()
    store = SqliteStore(path)

    assert [] == list(store.runs(RunQuery()))
    with Database(path).writing(1.0) as opened:
        opened.connection.execute("INSERT INTO agent_runs (run_id, agent_name, start_time) VALUES ('r', 'a', '2026')")
    assert ["r"] == ids(store.runs(RunQuery()))
    store.close()


def test_a_slow_reader_does_not_keep_the_wal(store: SqliteStore, path: Path, journal: Callable[..., None], a_run: Runs):
    """Nothing is held between two pages, so the WAL can be cut while somebody reads."""
    journal(*(a_run(run_id=f"r{number:05}") for number in range(PAGE + 2)))
    runs = store.runs(RunQuery(limit=None))
    next(runs)
    with Database(path).writing(1.0) as opened:
        opened.connection.execute("UPDATE agent_runs SET host = 'there'")

    other = sqlite3.connect(path)
    is_blocked, *_ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    other.close()

    assert not is_blocked
    assert PAGE + 1 == len(list(runs))


def test_a_locked_database_answers_with_what_it_has(
    store: SqliteStore, path: Path, journal: Callable[..., None], a_run: Runs, caplog: pytest.LogCaptureFixture
):
    """While another program holds the write lock nobody waits long; runs may lack, events do not, and it is said."""
    journal(a_run(run_id="r1"))
    store.get_run("r1")
    journal(a_run(run_id="r2"), RunEvent("r1", "step", moment(9), 1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    found = ids(store.runs(RunQuery()))
    events = [event.payload for event in store.events("r1")]

    assert ["r1"] == found
    assert [1] == events
    assert 1 == caplog.text.count("may lack what the journal has since")
    other.close()
    assert {"r1", "r2"} == set(ids(store.runs(RunQuery())))


def test_the_journal_answers_where_no_database_can_be_made(
    store: SqliteStore, path: Path, three: list[RunRecord], caplog: pytest.LogCaptureFixture
):
    """Something else stands in the place of the folder: every question is answered all the same."""
    path.parent.parent.mkdir(exist_ok=True)
    path.parent.write_text("not a folder")

    assert ids(three) == ids(store.runs(RunQuery()))
    assert [] == list(store.events("r1"))
    assert "the journal itself answers" in caplog.text
    assert store.catch_up()


def overwrite(path: Path, skipped: int) -> None:
    """Overwrite the database behind its first *skipped* bytes."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(skipped)
        file.write(bytes(size - skipped))


@pytest.mark.parametrize("skipped", [0, 4096], ids=["all of it", "all but the first page"])
def test_a_damaged_database_is_set_aside_and_built_anew(
    store: SqliteStore, path: Path, three: list[RunRecord], skipped: int, caplog: pytest.LogCaptureFixture
):
    """The answer is whole, the damaged file is kept under another name, and it is said once."""
    list(store.runs(RunQuery()))
    store.close()
    overwrite(path, skipped)

    assert ids(three) == ids(store.runs(RunQuery()))
    [aside] = path.parent.glob("*.corrupt-*Z")
    assert bytes(100) == aside.read_bytes()[-100:]
    assert "set aside and built anew" in caplog.text


def test_damage_that_only_a_question_meets_is_repaired_too(store: SqliteStore, path: Path, three: list[RunRecord]):
    """The cursor can be read and the runs cannot: the question is asked again of the new database."""
    list(store.runs(RunQuery()))
    store.close()
    other = sqlite3.connect(path)
    [(page,)] = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'agent_runs'")
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)

    assert ids(three) == ids(store.runs(RunQuery()))


def test_a_damaged_database_without_a_journal_is_left_alone(path: Path):
    """What could not be built anew is not set aside."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all, and longer than nothing" * 100)
    store = SqliteStore(path)

    with pytest.raises(StoreError, match="damaged"):
        store.stats()

    assert [path.name] == [other.name for other in path.parent.iterdir() if not other.name.endswith(".lock")]


def test_the_journal_answers_for_a_damaged_database_that_cannot_be_set_aside(
    store: SqliteStore, path: Path, three: list[RunRecord], monkeypatch: pytest.MonkeyPatch
):
    """The folder may only be read, and the file is damaged: the journal is still whole."""
    list(store.runs(RunQuery()))
    store.close()
    overwrite(path, 0)

    def refuse(self: Database, wait_s: float) -> None:
        raise StoreError(f"{self.path} is damaged and cannot be set aside")

    monkeypatch.setattr(Database, "quarantine", refuse)

    assert ids(three) == ids(store.runs(RunQuery()))
    assert 3 == store.stats()["total_runs"]
    store.close()


def test_a_newer_database_is_refused_and_left_alone(
    store: SqliteStore, path: Path, build: Callable[[str], Path], journal: Callable[..., None], a_run: Runs
):
    """A version that this release does not know may mean anything by its columns."""
    build("CREATE TABLE agent_runs (run_id, agent_name, start_time, status); PRAGMA user_version = 8;")
    before = path.read_bytes()
    journal(a_run())

    with pytest.raises(StoreError, match="schema version 8"):
        store.stats()

    assert before == path.read_bytes()


def test_reading_an_old_database_does_not_migrate_it(path: Path, build: Callable[[str], Path]):
    """Without a journal nothing is written: an old file is read as it is."""
    build(
        "CREATE TABLE agent_runs (run_id TEXT PRIMARY KEY, agent_name TEXT, start_time TEXT, status TEXT, "
        "trigger_type TEXT, metrics_json TEXT);"
        "INSERT INTO agent_runs VALUES ('r1', 'a', '2026-01-01T00:00:00', 'success', 'cli', '{\"n\": 1}');"
        "INSERT INTO agent_runs VALUES ('r2', 'a', '2026-01-02T00:00:00', 'failed', 'cli', 'no JSON');"
    )
    before = path.read_bytes()
    store = SqliteStore(path)

    found = list(store.runs(RunQuery(where=["metrics.n=1", "items_failed!=3", "attributes.x!=1"])))
    nothing = [list(store.events()), store.commits("r1"), list(store.runs(RunQuery(parent_run_id="r1")))]

    assert [("r1", {"n": 1})] == [(run.run_id, run.metrics) for run in found]
    assert [[], [], []] == nothing
    assert {"success": 1, "failed": 1, "running": 0, "partial": 0} == store.stats()["status_counts"]
    assert 0 == store.stats()["pending_api_posts"]
    assert ["r2", "r1"] == ids(store.runs(RunQuery()))
    store.close()
    assert before == path.read_bytes()


LATER = """
    CREATE TABLE agent_runs (id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, run_id TEXT NOT NULL,
        agent_name TEXT NOT NULL, job_type TEXT, trigger_type TEXT, start_time TEXT NOT NULL, end_time TEXT,
        status TEXT CHECK (status IN ('running', 'success', 'failure', 'partial', 'timeout', 'cancelled')),
        duration_ms INTEGER NOT NULL DEFAULT 0, metrics_json TEXT, website TEXT, parent_run_id TEXT);
    CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY);
    INSERT INTO schema_migrations VALUES (7);
    INSERT INTO agent_runs (event_id, run_id, agent_name, start_time, status, duration_ms, website, parent_run_id)
    VALUES ('e1', 'r1', 'a', '2026-01-01T00:00:00', 'running', 0, NULL, NULL),
           ('e2', 'r1', 'a', '2026-01-01T00:00:00', 'timeout', 500, 'example.org', NULL),
           ('e3', 'r2', 'a', '2026-01-02T00:00:00', 'failure', 300, NULL, 'r1'),
           ('e4', 'r3', 'a', '2026-01-03T00:00:00', 'running', 0, NULL, NULL);
"""


def test_a_database_of_the_later_lineage_speaks_our_words(build: Callable[[str], Path]):
    """Of several rows of a run the newest counts, in every answer; statuses and columns are ours."""
    store = SqliteStore(build(LATER))

    assert ["r3", "r2", "r1"] == ids(store.runs(RunQuery()))
    assert ["r2", "r1"] == ids(store.runs(RunQuery(status="failed")))
    assert ["r1"] == ids(store.runs(RunQuery(where=["attributes.website=example.org"])))
    assert ["r2"] == ids(store.runs(RunQuery(parent_run_id="r1")))
    assert {"running": 1, "failed": 2, "success": 0, "partial": 0} == store.stats()["status_counts"]
    [group] = store.summary("agent", RunQuery())
    assert (3, 1, 2, 300, 500) == tuple(group[name] for name in ("runs", "running", "failed", "p50_ms", "p95_ms"))
    assert [("failed", 2), ("running", 1)] == [(g["key"], g["runs"]) for g in store.summary("status", RunQuery())]
    assert ["r1"] == store.find_ids("r1")
    store.close()


def test_a_run_goes_on_in_a_database_of_the_later_lineage(
    store: SqliteStore, build: Callable[[str], Path], journal: Callable[..., None], a_run: Runs
):
    """What the journal has is brought into its shape, and read back."""
    build(LATER)
    journal(a_run(run_id="r4", status="failed", attributes={"website": "w", "other": 1}))

    run = store.get_run("r4")

    assert run is not None
    assert ("failed", {"website": "w", "other": 1}) == (run.status, run.attributes)
    assert ["r4"] == ids(store.runs(RunQuery(where=["attributes.website=w", "attributes.other=1"])))
