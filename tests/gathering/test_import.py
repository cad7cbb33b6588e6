"""Prove that `telemetry import` brings in stores of every earlier version whole, once, and from wherever it stopped."""

import contextlib
import gzip
import json
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from old_stores import VERSIONS, build_store, row_of

from telemetry import TelemetryClient
from telemetry.plugins import RunQuery, RunRecord
from telemetry.plugins.mend import canonical_status
from telemetry.plugins.records import RUN_FIELDS

_ROW_OWN = ("created_at", "updated_at")  # of the row, not of the run: each database has its own


def told(run: RunRecord, name: str) -> Any:
    """Return what *run* says of a column of an earlier version."""
    if name == "metrics_json":
        return dict(run.metrics)
    return getattr(run, name) if name in RUN_FIELDS else run.attributes.get(name)


def wanted(name: str, value: Any) -> Any:
    """Return *value* of a column as a run says it."""
    if name == "metrics_json":
        return json.loads(value)
    if name == "status":
        return canonical_status(value)
    return bool(value) if name == "api_posted" else value


@pytest.mark.parametrize("version", VERSIONS)
def test_every_column_of_every_version_comes_in(version: str, target, opened, tmp_path: Path) -> None:
    """What has no field is an attribute; words that were changed are kept beside it."""
    rows = build_store(tmp_path / "old.sqlite", version)

    code, _, err = target.run("import", tmp_path / "old.sqlite")

    store = opened(target.base)
    assert (0, "") == (code, err)
    for row in rows:
        run = store.get_run(row["run_id"])
        running = {"duration_ms"} if row["status"] == "running" else set()
        names = [name for name in row if name not in _ROW_OWN and name not in running]
        assert {name: wanted(name, row[name]) for name in names} == {name: told(run, name) for name in names}
        said = run.status_detail or {"failed": "failure"}.get(run.status, run.status)
        assert row["status"] in (said, run.status)
        assert [None, {"same": True}] == [event.payload for event in store.events(run.run_id)]
        assert [f"change {row['run_id'][4:]}"] == [commit["message"] for commit in store.commits(run.run_id)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_import_adds_nothing(version: str, target, tmp_path: Path) -> None:
    """Whatever it is: the journal stays as it is to the byte."""
    build_store(tmp_path / "old.sqlite", version)
    target.run("import", tmp_path / "old.sqlite")
    before = target.journal()

    _, out, _ = target.run("import", tmp_path / "old.sqlite", "--json")

    [account] = json.loads(out)
    assert before == target.journal()
    assert 16 == account["known"] == len(before)


def test_a_dry_run_changes_nothing(target, tmp_path: Path) -> None:
    """The same account, and no file."""
    build_store(tmp_path / "old.sqlite", "v5")

    code, dry, _ = target.run("import", tmp_path / "old.sqlite", "--dry-run", "--json")

    assert 0 == code
    assert not (target.base / "raw").exists()
    assert json.loads(dry) == json.loads(target.run("import", tmp_path / "old.sqlite", "--json")[1])


def test_a_row_is_told_again_when_it_has_changed(target, opened, tmp_path: Path) -> None:
    """A run that went on at the first import has ended at the second."""
    build_store(tmp_path / "old.sqlite", "v3")
    target.run("import", tmp_path / "old.sqlite")
    with contextlib.closing(sqlite3.connect(tmp_path / "old.sqlite")) as connection:
        connection.execute("UPDATE agent_runs SET status = 'success', duration_ms = 7 WHERE status = 'running'")
        connection.commit()

    _, out, _ = target.run("import", tmp_path / "old.sqlite", "--json")

    assert 1 == json.loads(out)[0]["run_lines"]
    assert ("success", 7) == (
        opened(target.base).get_run("run-3").status,
        opened(target.base).get_run("run-3").duration_ms,
    )


def test_two_rows_of_one_run_both_stay(target, opened, tmp_path: Path) -> None:
    """Where run_id is not unique, the run has the first row, and an event the whole of each other."""
    build_store(tmp_path / "old.sqlite", "v7 by id", 1, events=0)
    again = row_of("v7 by id", 1) | {"run_id": "run-0", "status": "cancelled"}
    with contextlib.closing(sqlite3.connect(tmp_path / "old.sqlite")) as connection:
        marks = ", ".join(f":{name}" for name in again)
        connection.execute(f"INSERT INTO agent_runs ({', '.join(again)}) VALUES ({marks})", again)
        connection.commit()

    target.run("import", tmp_path / "old.sqlite")

    [event] = opened(target.base).events("run-0")
    assert "event_id of 0" == opened(target.base).get_run("run-0").attributes["event_id"]
    assert again == {name: value for name, value in event.payload.items() if name != "id"}


def test_rows_in_a_wal_left_behind_come_in(target, opened, tmp_path: Path) -> None:
    """The newest rows may not have reached the file itself."""
    build_store(tmp_path / "live.sqlite", "v2", 1)
    with contextlib.closing(sqlite3.connect(tmp_path / "live.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO agent_runs (run_id, agent_name, start_time) VALUES ('wal', 'a', '2026')")
        connection.commit()
        for suffix in ("", "-wal"):
            (tmp_path / f"copy.sqlite{suffix}").write_bytes((tmp_path / f"live.sqlite{suffix}").read_bytes())

    target.run("import", tmp_path / "copy.sqlite")

    assert opened(target.base).get_run("wal") is not None


def test_odd_values_come_in(target, opened, tmp_path: Path) -> None:
    """Bytes, text that is no UTF-8, words that nobody knows, a commit without a run, broken JSON: all of it stays."""
    build_store(tmp_path / "old.sqlite", "v3", 1, events=0)
    with contextlib.closing(sqlite3.connect(tmp_path / "old.sqlite")) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(
            "UPDATE agent_runs SET product = x'00ff', host = CAST(x'ff41' AS TEXT), trigger_type = 'cron', "
            "items_failed = 'many', metrics_json = '{broken', start_time = ''"
        )
        connection.execute("INSERT INTO commits (commit_hash, message) VALUES ('abc', 'of nobody')")
        connection.execute(
            "INSERT INTO run_events (run_id, event_type, timestamp, payload_json) VALUES ('run-0', 'e', 't', '{no')"
        )
        connection.commit()

    code, _, err = target.run("import", tmp_path / "old.sqlite")

    store = opened(target.base)
    run = store.get_run("run-0")
    assert (0, "") == (code, err)
    assert ("00ff", "\\xffA", "manual", 0) == (run.product, run.host, run.trigger_type, run.items_failed)
    assert ("cron", "many", {"value": "{broken"}) == (
        run.attributes["trigger_type"],
        run.attributes["items_failed"],
        dict(run.metrics),
    )
    assert ["{no"] == [event.payload for event in store.events("run-0")]
    assert ["of nobody"] == [commit["message"] for commit in store.commits("imported-commits")]
    assert [] == [line for line in target.journal() if b"NaN" in line]


_OLD_LINES = (
    '{"record_type": "run", "run_id": "n1", "agent_name": "a", "start_time": "2026-01-01T00:00:00+00:00", '
    '"status": "running", "metrics_json": "{\\"x\\": 1}", "website": "example.org"}\n'
    '{"record_type": "event", "run_id": "n1", "event_type": "e", "timestamp": "2026-01-01T00:00:01+00:00", '
    '"payload_json": "{\\"x\\": 1}", "id": null}\n'
    '{"record_type": "event", "run_id": "n1", "event_type": "e", "timestamp": "2026-01-01T00:00:01+00:00", '
    '"payload_json": "{\\"x\\": 1}", "id": null}\n'
    '{"record_type": "event", "run_id": "n1", "event_type": "nan", "timestamp": "t", "payload": {"x": NaN}}\n'
    '{"record_type": "event", "run_id": "n1", "ev{"record_type": "event", "run_id": "n1", "event_type": "glued", '
    '"timestamp": "t", "payload_json": null}\n'
    '{"record_type": "run", "run_id": "no-start", "agent_name": "a", "status": "timeout"}\n'
    '{"record_type": "run", "run_id": "n1", "agent_name": "a", "start_time": "2026-01-01T00:00:00+00:00", '
    '"end_time": "2026-01-01T00:00:09+00:00", "status": "failure", "event_id": "e-1", "items_skipped": 3}\n'
    '{"record_type": "event", "run_id": "n1", "ev'
)


@pytest.mark.parametrize("name", ["events_20260101.ndjson", "dump.jsonl", "events_20260101.ndjson.gz"])
def test_lines_of_earlier_writers_come_in(name: str, target, opened, tmp_path: Path) -> None:
    """Torn, glued and unfinished lines cost only themselves, and two equal events are two."""
    blob = _OLD_LINES.encode()
    (tmp_path / name).write_bytes(gzip.compress(blob) if name.endswith("gz") else blob)

    accounts = [json.loads(target.run("import", tmp_path / name, "--json")[1])[0] for _ in range(2)]

    store = opened(target.base)
    run = store.get_run("n1")
    assert [(3, 4, 0, 1), (0, 0, 7, 1)] == [
        tuple(account[key] for key in ("run_lines", "event_lines", "known", "damaged")) for account in accounts
    ]
    assert Counter(e=2, nan=1, glued=1) == Counter(event.event_type for event in store.events("n1"))
    assert ("failed", "failure", 9_000, {"x": 1}) == (run.status, run.status_detail, run.duration_ms, dict(run.metrics))
    assert {"website": "example.org", "event_id": "e-1", "items_skipped": 3} == dict(run.attributes)
    assert "timeout" == store.get_run("no-start").status_detail


def test_a_base_directory_of_ours_comes_in_once(target, new_target, opened) -> None:
    """Its database is an index of its journal: what both say is one."""
    other = new_target("other")
    with TelemetryClient(metrics_dir=other.base) as client, client.track_run("agent", "job") as run:
        run.log_event("step", {"n": 1})
        run.log_event("step", {"n": 1})
    assert 2 == len(list(opened(other.base).events()))  # which indexes them

    _, out, _ = target.run("import", other.base, "--json")

    journal, database = json.loads(out)
    assert other.journal() == target.journal()
    assert (0, 0) == (database["run_lines"], database["event_lines"])
    assert 2 == journal["event_lines"] == len(list(opened(target.base).events()))


def test_secrets_in_old_stores_are_hidden(target, tmp_path: Path) -> None:
    """They were recorded before anybody hid them."""
    build_store(tmp_path / "old.sqlite", "v3", 1)
    with contextlib.closing(sqlite3.connect(tmp_path / "old.sqlite")) as connection:
        connection.execute("UPDATE agent_runs SET error_summary = 'login with password=hunter2 failed'")
        connection.commit()

    target.run("import", tmp_path / "old.sqlite")

    assert b"hunter2" not in b"".join(target.journal())


@pytest.mark.parametrize(
    ("make", "words", "exit_code"),
    [
        (lambda place: None, "there is nothing at", 3),
        (lambda place: place.mkdir(), "holds nothing to import", 1),
        (lambda place: place.write_text("hello"), "neither an SQLite database nor lines of JSON", 1),
        (lambda place: build_store(place, "v3").clear() or _renumber(place, 8), "schema version 8", 1),
    ],
)
def test_what_cannot_be_imported_is_named(make, words: str, exit_code: int, target, tmp_path: Path) -> None:
    """With its place, and nothing is written."""
    make(tmp_path / "place")

    code, _, err = target.run("import", tmp_path / "place")

    assert exit_code == code
    assert words in err
    assert str(tmp_path / "place") in err
    assert [] == target.journal()


def _renumber(path: Path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE schema_migrations SET version = ?", (version,))
        connection.commit()


def test_the_store_itself_is_refused(target, tmp_path: Path) -> None:
    """All of its records are there already."""
    build_store(tmp_path / "old.sqlite", "v3")
    target.run("import", tmp_path / "old.sqlite")

    codes = [target.run("import", target.base)[0], target.run("import", target.base / "raw")[0]]

    assert [2, 2] == codes


def test_a_store_to_read_is_no_target(target, tmp_path: Path) -> None:
    """--store is for answers; what is imported goes into a base directory."""
    build_store(tmp_path / "old.sqlite", "v3")

    code, _, err = target.run("--store", tmp_path / "old.sqlite", "import", tmp_path / "old.sqlite")

    assert 2 == code
    assert "--store" in err
    assert [] == target.journal()


def test_two_imports_at_once_take_turns(target, tmp_path: Path) -> None:
    """The second is refused while the first is at work, so that nothing comes in twice."""
    import filelock

    build_store(tmp_path / "old.sqlite", "v3")
    (target.base / "raw").mkdir(mode=0o700)

    with filelock.FileLock(target.base / "raw" / ".gathering.lock"):
        code, _, err = target.run("import", tmp_path / "old.sqlite")

    assert 1 == code
    assert "another import or merge" in err


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_import_that_was_stopped_goes_on(number: int, target, opened, tmp_path: Path) -> None:
    """Killed or interrupted in the middle, the same command brings in the rest, and every record once."""
    build_store(tmp_path / "old.sqlite", "v6", 2_000, events=1)

    stopped, err = target.stopped(number, "importing", 3_000, "import", tmp_path / "old.sqlite")
    partial = len(target.journal())
    code, _, _ = target.run("import", tmp_path / "old.sqlite")

    assert stopped == (130 if number == signal.SIGINT else -number)
    assert 0 < partial < 18_000
    assert ("To go on: the same telemetry import" in err) == (number == signal.SIGINT)
    assert 0 == code
    store = opened(target.base)
    assert 2_000 == store.stats()["total_runs"]
    assert 2_000 == sum(1 for _ in store.events())
    assert 2_000 == len({run.attributes["event_id"] for run in store.runs(RunQuery(limit=None))})


def test_progress_is_shown_on_a_terminal(target, tmp_path: Path) -> None:
    """And the account below it is a table."""
    build_store(tmp_path / "old.sqlite", "v4")

    _, out, err = target.run("import", tmp_path / "old.sqlite", is_live=True, is_terminal=True)

    assert "importing" in err
    assert "16 records added to" in out


def test_every_sink_gets_what_was_imported(target, tmp_path: Path) -> None:
    """A remote sink is fed from the journal, so the next flush delivers the runs of the old store too."""
    import http.server
    import threading

    got: list[dict[str, Any]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Keep standard error clean."""

    build_store(tmp_path / "old.sqlite", "v5")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    config = tmp_path / "telemetry.toml"
    config.write_text(
        f'base_dir = "{target.base}"\n[sinks.raw]\ntype = "ndjson"\n[sinks.db]\ntype = "sqlite"\n'
        f'[sinks.hq]\ntype = "api"\nurl = "http://127.0.0.1:{server.server_port}/"\ntoken = "t"\n'
    )
    try:
        target.run("--config", config, "outbox", "flush")  # which sets the sink up
        target.run("--config", config, "import", tmp_path / "old.sqlite")
        code, out, err = target.run("--config", config, "outbox", "flush")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert (0, "") == (code, err), out
    assert {"run-0", "run-1", "run-2"} == {body["run_id"] for body in got} - {"run-3"}


def test_a_database_adds_what_its_journal_does_not_say(target, new_target, opened) -> None:
    """Commits that both tell come once; what another program has put into the database comes in as well."""
    other = new_target("other")
    with TelemetryClient(metrics_dir=other.base) as client:
        run_id = client.start_run("agent", "job")
        client.associate_commit(run_id, "a" * 40, message="known to both")
        client.end_run(run_id)
    list(opened(other.base).events())
    with contextlib.closing(sqlite3.connect(other.base / "db" / "telemetry.sqlite")) as connection:
        connection.execute("UPDATE agent_runs SET insight_id = 'of another program'")
        connection.execute("INSERT INTO commits (commit_hash, run_id, message) VALUES ('b', ?, 'new')", (run_id,))
        connection.commit()

    journal, database = json.loads(target.run("import", other.base, "--json")[1])
    again = json.loads(target.run("import", other.base, "--json")[1])

    store = opened(target.base)
    assert (2, 1) == (journal["run_lines"], journal["commit_lines"])
    assert (1, 1) == (database["run_lines"], database["commit_lines"])
    assert "of another program" == store.get_run(run_id).insight_id
    assert ["known to both", "new"] == sorted(commit["message"] for commit in store.commits(run_id))
    assert [0, 0] == [account["run_lines"] + account["commit_lines"] for account in again]


def test_a_database_that_cannot_be_written_to_comes_in_with_its_wal(
    target, opened, tmp_path: Path, monkeypatch
) -> None:
    """SQLite would need a file beside it, as on a read-only medium: a copy is read, and nothing is made there."""
    place = tmp_path / "medium"
    build_store(place / "live.sqlite", "v3", 1)
    with contextlib.closing(sqlite3.connect(place / "live.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO agent_runs (run_id, agent_name, start_time) VALUES ('wal', 'a', '2026')")
        connection.commit()
        for suffix in ("", "-wal"):
            (place / f"old.sqlite{suffix}").write_bytes((place / f"live.sqlite{suffix}").read_bytes())
    before = sorted(path.name for path in place.iterdir())
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **more: path != place and access(path, mode, **more))

    code, _, err = target.run("import", place / "old.sqlite")

    assert (0, "") == (code, err)
    assert opened(target.base).get_run("wal") is not None
    assert before == sorted(path.name for path in place.iterdir())


@pytest.mark.parametrize(
    ("sql", "words"),
    [("CREATE TABLE runs (x)", "holds the tables of another program"), ("PRAGMA user_version = 0", "holds no runs")],
)
def test_a_database_without_runs_is_named(sql: str, words: str, target, tmp_path: Path) -> None:
    """It is another program's, or an empty one."""
    with contextlib.closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 1")
        connection.execute(sql)
        connection.commit()

    code, _, err = target.run("import", tmp_path / "x.sqlite")

    assert 1 == code
    assert words in err


def test_a_damaged_database_is_named(target, tmp_path: Path) -> None:
    """What was read before the damage has come in, and stays."""
    build_store(tmp_path / "old.sqlite", "v3", 400, events=0)
    with (tmp_path / "old.sqlite").open("r+b") as file:
        file.seek(4096 * 30)
        file.write(b"\xff" * 4096 * 20)

    code, _, err = target.run("import", tmp_path / "old.sqlite")

    assert 1 == code
    assert "is damaged" in err
    assert 10 < len(target.journal()) < 400


def test_a_copy_of_a_gzipped_day_that_was_cut_gives_what_it_holds(target, tmp_path: Path) -> None:
    """And lines of a kind that nobody knows, of no known writer, count as damaged."""
    lines = [json.dumps({"record_type": "event", "run_id": "r", "event_type": f"e{n}", "n": n}) for n in range(20_000)]
    stranger = '{"record_type": "cost", "usd": 2}'
    blob = gzip.compress("\n".join([stranger, *lines, ""]).encode())
    (tmp_path / "events_20260101.ndjson.gz").write_bytes(blob[: len(blob) // 2])

    [account] = json.loads(target.run("import", tmp_path / "events_20260101.ndjson.gz", "--json")[1])

    assert 1_000 < account["event_lines"] < 20_000
    assert 2 == account["damaged"]
