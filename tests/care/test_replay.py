"""Prove that the journal can be fed to any sink again, and that what it has already changes nothing."""

import json
import signal
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from telemetry import TelemetryClient, TelemetryConfig, open_store
from telemetry.core.care import Care
from telemetry.plugins import NotFound, RunQuery, StoreError


def day(days_ago: int) -> str:
    """Return the day (UTC) so many days ago."""
    return f"{datetime.now(UTC) - timedelta(days=days_ago):%Y-%m-%d}"


class Receiver(BaseHTTPRequestHandler):
    """Take every run, and remember under which keys it came."""

    keys: list[tuple[str, str]]

    def do_POST(self) -> None:
        """Answer 200."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.keys.append((body["run_id"], self.headers["Idempotency-Key"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver():
    """Return a server that takes runs."""
    Receiver.keys = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def config(base, receiver):
    """Return a set-up with a journal, a database, a second journal, and an API."""
    url = f"http://127.0.0.1:{receiver.server_port}/"
    sinks = {
        "raw": {"type": "ndjson"},
        "db": {"type": "sqlite"},
        "copy": {"type": "ndjson", "directory": str(base.path / "copy")},
        "hq": {"type": "api", "url": url, "token": "t"},
    }
    return TelemetryConfig(metrics_dir=base.path, sinks=sinks)


@pytest.mark.parametrize("since", [None, 5])
def test_database_is_fed_again_and_stays_the_same(base, since):
    """Rows and events, their numbers too; a row that is gone comes back."""
    for days in (9, 4, 1):
        base.record(days)
    before = base.told()
    base.sql("DELETE FROM agent_runs WHERE run_id = (SELECT max(run_id) FROM agent_runs)")
    base.sql("DELETE FROM run_events WHERE id = (SELECT max(id) FROM run_events)")

    replayed = base.care.replay("sqlite", None if since is None else day(since))

    assert before == base.told()
    assert (12 if since is None else 8) == replayed.records


def test_remote_sink_gets_it_again_under_the_same_keys(base, config, receiver):
    """From the day that is named on, through its own delivery; what it had not had comes along."""
    with TelemetryClient(config):
        pass
    runs = [base.record(days) for days in (1, 0)]
    with TelemetryClient(config) as client:
        assert client.flush(20)
    first = list(receiver.RequestHandlerClass.keys)
    older = base.record(3)

    replayed = Care(config).replay("hq", day(3))
    again = receiver.RequestHandlerClass.keys[len(first) :]
    today = Care(config).replay("hq", day(0))

    assert set(runs) <= {run_id for run_id, _ in first}
    assert dict(first).items() <= dict(again).items()
    assert older in dict(again)
    assert (3, 0) == (replayed.records, replayed.left)
    assert 1 == today.records
    assert {runs[1]} == {run_id for run_id, _ in receiver.RequestHandlerClass.keys[len(first) + len(again) :]}


def test_remote_sink_that_is_down_keeps_it_for_later(base, config, receiver, monkeypatch):
    """The command ends, says what is left, and the next process delivers it."""
    monkeypatch.setattr("telemetry.core.care.replaying._PATIENCE_S", 0.5)
    base.record(1)
    with TelemetryClient(config) as client:
        client.flush(20)
    dead = dict(config.sinks[-1].options) | {"url": "http://127.0.0.1:9/"}
    down = TelemetryConfig(metrics_dir=base.path, sinks={"raw": {"type": "ndjson"}, "hq": {"type": "api", **dead}})

    replayed = Care(down).replay("hq")
    tries = sum(path.read_bytes().count(b'"ok":false') for path in base.raw.iterdir())
    with TelemetryClient(config) as client:
        assert client.flush(30)

    assert tries < 4  # it rests as long as the delivery does, which begins with a second
    assert (0, 1, True) == (replayed.records, replayed.left, replayed.trouble is not None)
    assert 1 == len(receiver.RequestHandlerClass.keys)


def test_second_journal_gets_what_it_lacks(base, config):
    """Each line once, however often it is fed."""
    base.record(2)

    first = Care(config).replay("copy")
    again = Care(config).replay("copy")

    assert (4, 0) == (first.records, again.records)
    with closing(open_store(base.path / "copy")) as store:
        assert base.ids() == {run.run_id for run in store.runs(RunQuery(limit=None))}


def test_sink_without_a_store_is_fed_by_its_hooks(base):
    """As an agent would feed it; a sink of somebody else needs nothing for that."""
    config = TelemetryConfig(metrics_dir=base.path, sinks={"raw": {"type": "ndjson"}, "memory": {"type": "memory"}})
    base.record(2, events=3)
    care = Care(config)

    replayed = care.replay("memory")

    assert 5 == replayed.records
    assert 3 == len(care.sinks["memory"].events)


def test_what_cannot_be_fed_is_told(base, config):
    """The journal itself, and a name that no sink has."""
    base.record(1)

    with pytest.raises(StoreError, match="keeps the journal itself"):
        Care(config).replay("raw")
    with pytest.raises(NotFound, match="there is no sink 'nothing'"):
        Care(config).replay("nothing")


def test_command_says_what_it_did(base, real_command):
    """In a sentence and as JSON."""
    base.record(1)

    told = real_command("replay", "--into", "sqlite", "--since", "2d")
    as_json = json.loads(real_command("replay", "--into", "sqlite", "--json").stdout)

    assert (0, True) == (told.returncode, "4 records of the journal since" in told.stdout)
    assert (4, None) == (as_json["records"], as_json["since"])
    assert 3 == real_command("replay", "--into", "nothing").returncode


_DYING = """
import os, signal
from telemetry.core.care import Care
from telemetry.sinks.sqlite import catch_up
catch_up._FIRST_LINES, catch_up._MOST_LINES = 20, dict.fromkeys(catch_up._MOST_LINES, 20)
def progress(stage, done, total):
    os.kill(os.getpid(), signal.SIGKILL)
Care().replay("sqlite", None, progress)
"""


def test_killed_in_the_middle_any_reader_goes_on(base, processes):
    """The cursors are set back first, so catching up does the rest, and answers are right all the time."""
    for number in range(50):
        base.record(2 + number / 100, events=3)
    before = base.told()

    dying = processes.start(_DYING)
    dying.communicate(timeout=60)

    assert -signal.SIGKILL == dying.returncode
    assert before == base.told()
    assert [(0,)] != base.sql("SELECT min(runs_offset) FROM journal_files")
