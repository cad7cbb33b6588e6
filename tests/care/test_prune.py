"""Prove that pruning deletes what is old and nothing else, holds nobody up, and that nothing comes back."""

import gzip
import itertools
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
import pytest

from telemetry import TelemetryClient, TelemetryConfig, open_store
from telemetry.core.care import Care
from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, RunEvent, RunQuery, RunRecord

DAYS = timedelta(days=1)


def moment(days: float) -> str:
    """Return the stored text of a time so many days ago."""
    return (datetime.now(UTC) - days * DAYS).isoformat(timespec="microseconds")


def now() -> datetime:
    """Return the time, UTC."""
    return datetime.now(UTC)


def test_old_goes_and_young_stays(base):
    """Runs, events, commits and days of the journal; what goes on stays, however old."""
    old = [base.record(day) for day in (200, 95)]
    endless = base.record(150, is_running=True)
    young = [base.record(day) for day in (60, 1)]
    linked = [
        CommitLink(run_id=run_id, timestamp=moment(1), commit_hash=f"c{n}") for n, run_id in enumerate((*old, young[0]))
    ]
    shared = CommitLink(run_id=old[0], timestamp=moment(1), commit_hash="c2")
    base.write(now() - DAYS, shared, *linked)
    before = base.told()

    pruned = base.care.prune(90 * DAYS)

    assert {endless, *young} == base.ids()
    assert (2, 4, 1) == (pruned.stores[0].runs, pruned.stores[0].events, pruned.stores[0].kept)
    kept = [event for event in before["events"] if event[1] not in old]
    assert kept == base.told()["events"]
    assert [("c2", young[0])] == base.sql("SELECT commit_hash, run_id FROM commits")
    assert 3 == len(pruned.deleted)
    assert 3 == len(list(base.raw.glob("events_*")))  # 60 days ago, yesterday, and today, where it is told


def test_dry_run_tells_and_does_nothing(base):
    """It says what the next call does."""
    for day in (200, 95, 30, 1):
        base.record(day)
    base.told()
    before = base.told(), sorted(path.name for path in base.raw.iterdir())

    told = base.care.prune(90 * DAYS, gzip_after=7 * DAYS, is_dry=True)
    after = base.told(), sorted(path.name for path in base.raw.iterdir())
    done = base.care.prune(90 * DAYS, gzip_after=7 * DAYS)

    assert before == after
    assert (
        (told.runs, len(told.deleted), len(told.gzipped))
        == (done.runs, len(done.deleted), len(done.gzipped))
        == (2, 2, 1)
    )


def late_lines(run_id: str) -> list[Any]:
    """Return every kind of line that may come late."""
    end = RunRecord(run_id=run_id, agent_name="crawler", start_time=moment(100), end_time=moment(0), status="failed")
    return [
        MetricsUpdate(run_id, moment(0), {"a": 1}),
        RunEvent(run_id, "late", moment(0)),
        DeliveryReport(run_id, moment(0), "hq"),
        CommitLink(run_id=run_id, timestamp=moment(0), commit_hash="late"),
        end,
    ]


@pytest.mark.parametrize("where", ["before", "after", "both"])
@pytest.mark.parametrize("how", ["catch-up", "rebuild", "new database", "journal alone"])
def test_what_was_pruned_does_not_come_back(base, where, how):
    """Lines about it in younger days, written before or after, bring it back in no way of building a store."""
    old, young = base.record(100), base.record(1)
    if where != "after":
        base.write(now(), *late_lines(old))
    base.told()
    base.care.prune(90 * DAYS)
    if where != "before":
        base.write(now(), *late_lines(old))

    if how == "rebuild":
        base.care.rebuild()
    if how == "new database":
        for path in base.database.parent.iterdir():
            path.unlink()
    if how == "journal alone":
        with closing(open_store(base.raw)) as store:
            assert [young] == [run.run_id for run in store.runs(RunQuery(limit=None))]

    assert {young} == base.ids()
    assert {young} == {event[1] for event in base.told()["events"]}
    assert [] == base.sql("SELECT * FROM run_extras WHERE run_id = ?", old)


def test_late_end_of_a_living_client_does_not_resurrect(base):
    """Its call is answered as ever, the line is in the journal, and the store stays as it is."""
    old = base.record(100, name="own-id")
    base.told()
    base.care.prune(90 * DAYS)

    with TelemetryClient() as client:
        client.log_event(old, "late")
        client.set_metrics(old, late=1)
        client.associate_commit(old, "0123456")
        client.end_run(old, "failed")

    assert set() == base.ids()
    base.care.rebuild()
    assert set() == base.ids()


def test_run_that_begins_anew_under_the_id_is_a_run_like_others(base):
    """Whoever uses one id for a yearly job must find this year's run."""
    with TelemetryClient() as client:
        began = moment(100)
        start = RunRecord(run_id="yearly", agent_name="a", job_type="j", start_time=began)
        base.write(now() - 100 * DAYS, start, attrs.evolve(start, status="success", end_time=began))
        base.told()
        base.care.prune(90 * DAYS)
        assert set() == base.ids()
        client.start_run("a", "j", run_id="yearly")
        client.log_event("yearly", "page")
        client.end_run("yearly")

    assert [("success",)] == base.sql("SELECT status FROM agent_runs")
    assert {"yearly"} == base.ids()
    assert 1 == len(base.told()["events"])
    base.care.rebuild()
    assert {"yearly"} == base.ids()


class Receiver(BaseHTTPRequestHandler):
    """Take every run while it is open."""

    is_open = False

    def do_POST(self) -> None:
        """Answer 200 or 503."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if Receiver.is_open else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def config(base):
    """Return a set-up with an API that is down."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Receiver.is_open = False
    url = f"http://127.0.0.1:{server.server_port}/"
    hq = {"type": "api", "url": url, "token": "t", "retry": {"delays_s": [0.01]}}
    yield TelemetryConfig(metrics_dir=base.path, sinks={"raw": {"type": "ndjson"}, "db": {"type": "sqlite"}, "hq": hq})
    server.shutdown()
    thread.join()
    server.server_close()


def test_undelivered_days_stay_until_told_otherwise(base, config):
    """What the remote sink has not had is not pruned, and the answer says so; --force goes past it."""
    older = base.record(200)
    with TelemetryClient(config):
        pass  # the sink begins at the end of what there is
    waiting = base.record(100)
    base.record(1)

    held = Care(config).prune(90 * DAYS)
    kept = base.ids()
    with TelemetryClient(config) as client:
        Receiver.is_open = True
        assert client.flush(10)
    free = Care(config).prune(90 * DAYS)

    assert older not in kept
    assert waiting in kept
    assert ["hq"] == list(held.held_by)
    assert held.before < held.wanted
    assert ({}, 1) == (dict(free.held_by), free.runs)


def test_force_goes_past_what_is_not_delivered(base, config):
    """Told to, it deletes what was never delivered, and the delivery goes on behind it."""
    with TelemetryClient(config):
        pass
    base.record(100)
    young = base.record(1)

    pruned = Care(config).prune(90 * DAYS, is_forced=True)
    with TelemetryClient(config) as client:
        Receiver.is_open = True
        assert client.flush(10)

    assert (1, {young}) == (pruned.runs, base.ids())


def test_gzipped_days_are_read_like_others(base, config):
    """Readers, cursors of stores and of deliveries, followers: packing changes nothing, half read days included."""
    with TelemetryClient(config):
        pass
    for day in (12, 11, 10, 9):
        base.record(day, events=30)
    base.told()
    base.record(8.5, events=30)  # in a day of which nothing was read yet
    base.write(now() - 10 * DAYS, RunEvent("more", "page", moment(10)))  # behind the cursor of one that was read
    with closing(open_store(base.raw)) as store:
        expected = [(e.run_id, e.event_type, e.payload) for e in store.events()]

    pruned = Care(config).prune(90 * DAYS, gzip_after=7 * DAYS)
    told = [(e[1], e[2], e[4]) for e in base.told()["events"]]
    with TelemetryClient(config) as client:
        Receiver.is_open = True
        assert client.flush(20)
        health = client.status()["sinks"]["hq"]

    assert {".gz"} == {path.suffix for path in base.raw.glob("events_*") if f"{now():%Y%m%d}" not in path.name}
    assert 0 < pruned.freed_bytes
    assert expected == told
    assert 5 == health["posted"]
    base.care.rebuild()
    assert expected == [(e[1], e[2], e[4]) for e in base.told()["events"]]


def test_today_and_yesterday_are_never_packed_or_deleted(base):
    """A writer may be at them, whatever is asked."""
    for day in (3, 1, 0):
        base.record(day)

    pruned = base.care.prune(DAYS, gzip_after=DAYS)

    assert 1 == len(pruned.deleted)
    assert 0 == len(pruned.gzipped)


def test_line_that_comes_while_a_day_is_packed_is_kept(base, monkeypatch):
    """Packing looks again, under the lock of the writers, whether the file has grown."""
    base.record(5)
    [path] = base.raw.glob("events_*")
    late = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "packing days" and not late:
            late.append(base.record(5, name="late"))

    base.care.prune(90 * DAYS, gzip_after=2 * DAYS, progress=progress)

    assert not path.exists()
    assert late[0].encode() in gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())


def test_second_file_of_a_gzipped_day_replaces_none(base, real_command):
    """A writer whose clock was set back made it: both days are read before it is packed, and after."""
    runs = {base.record(5, events=30)}
    base.care.prune(90 * DAYS, gzip_after=2 * DAYS)
    [packed] = base.raw.glob("events_*")
    first = packed.read_bytes()
    runs.add(base.record(5, name="set-back"))  # makes the plain file anew
    before = base.ids()

    base.care.prune(90 * DAYS, gzip_after=2 * DAYS)
    verified = real_command("verify", "--json")

    assert (runs, runs) == (before, base.ids())
    assert first == packed.read_bytes()
    assert [packed.name, packed.name.replace(".ndjson", ".r1.ndjson")] == sorted(p.name for p in base.raw.glob("e*"))
    assert (0, []) == (verified.returncode, json.loads(verified.stdout)[0]["missing"])
    base.care.rebuild()
    assert runs == base.ids()


def test_gzipped_file_that_holds_more_is_not_replaced(base):
    """Its first line is that of the plain one, which was cut by a copy, say; each line is there still."""
    base.record(5, events=30)
    [plain] = base.raw.glob("events_*")
    whole = plain.read_bytes()
    base.care.prune(90 * DAYS, gzip_after=2 * DAYS)
    [packed] = base.raw.glob("events_*")
    plain.write_bytes(whole[: whole.index(b"\n") + 1])

    base.care.prune(90 * DAYS, gzip_after=2 * DAYS)

    assert whole == gzip.decompress(packed.read_bytes())


def test_second_files_of_one_day_do_not_take_each_others_names(base):
    """Two plain files lie beside gzipped ones; the first, cut by a copy, needs a name that readers give the other."""
    base.record(5, events=30)
    [plain] = base.raw.glob("events_*")
    whole = plain.read_bytes()
    cut = whole[: whole.index(b"\n") + 1]
    other = plain.with_name(f"{plain.stem}.r1.ndjson")
    texts = {f"{plain.name}.gz": gzip.compress(whole), plain.name: cut, f"{other.name}.gz": gzip.compress(cut)}
    for name, text in {**texts, other.name: whole[len(cut) :]}.items():
        (base.raw / name).write_bytes(text)

    base.care.prune(90 * DAYS, gzip_after=2 * DAYS)

    held = sorted(gzip.decompress(path.read_bytes()) for path in base.raw.glob("events_*.gz"))
    assert sorted((whole, cut, cut, whole[len(cut) :])) == held
    assert [] == list(base.raw.glob("*.ndjson"))


def test_prune_that_was_killed_before_the_plain_file_was_deleted_doubles_nothing(base, real_command):
    """The same lines lie there gzipped and plain: they count once, also with a line that came since."""
    base.record(5, events=30)
    [plain] = base.raw.glob("events_*")
    lines = plain.read_bytes()
    base.care.prune(90 * DAYS, gzip_after=2 * DAYS)
    plain.write_bytes(lines)
    base.record(5)

    base.care.prune(90 * DAYS, gzip_after=2 * DAYS)
    verified = real_command("verify", "--json")

    assert [f"{plain.name}.gz"] == [path.name for path in base.raw.glob("events_*")]
    assert 0 == verified.returncode, verified.stdout
    assert 2 == len(base.ids())


def test_journal_without_a_database_keeps_what_goes_on(base):
    """Nothing else has the start of such a run: its day and those behind it stay."""
    config = TelemetryConfig(metrics_dir=base.path, sinks={"raw": {"type": "ndjson"}})
    old, endless, young = base.record(200), base.record(150, is_running=True), base.record(100)
    base.write(now(), *late_lines(old))

    pruned = Care(config).prune(90 * DAYS)

    with closing(open_store(base.raw)) as store:
        assert {endless, young} == {run.run_id for run in store.runs(RunQuery(limit=None))}
    assert 1 == len(pruned.deleted)
    assert ["runs that go on"] == list(pruned.held_by)


_DYING = """
import os, signal, sys
from datetime import timedelta
from telemetry.core.care import Care
left = int(sys.argv[2])
def progress(stage, done, total):
    global left
    left -= stage == sys.argv[1]
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
Care().prune(timedelta(days=90), gzip_after=timedelta(days=7), progress=progress)
"""


# Dies when it is about to begin a step, having ended so many.
_AT_A_LOCK = (
    "Care().prune(",
    """
from telemetry.sinks.sqlite.thinning import Thinning
step = Thinning._step
def stepped(*args):
    progress("x", 0, 0)
    return step(*args)
Thinning._step = stepped
Care().prune(""",
)


@pytest.mark.parametrize(("stage", "times"), [("pruning runs", 2), ("deleting days", 1), ("packing days", 1)])
def test_killed_in_the_middle_it_is_ended_by_the_next(base, processes, stage, times):
    """After SIGKILL everything young is there, and the next call deletes the rest."""
    for number in range(60):
        base.record(91 + number % 5, events=5)
    young = {base.record(day) for day in (60, 50, 40, 1)}
    expected = [event for event in base.told()["events"] if event[1] in young]

    dying = processes.start(_DYING, stage, times)
    dying.communicate(timeout=60)
    left = [event for event in base.told()["events"] if event[1] in young]
    base.care.prune(90 * DAYS, gzip_after=7 * DAYS)

    assert (-signal.SIGKILL, expected) == (dying.returncode, left)
    assert (young, expected) == (base.ids(), base.told()["events"])
    assert [("ok",)] == base.sql("PRAGMA integrity_check")
    assert [] == list(base.raw.glob("*.part"))


@pytest.mark.parametrize("times", range(4))
def test_killed_in_the_middle_no_run_is_left_without_its_events(base, processes, times):
    """A run is there whole or gone: who lists it sees what it did."""
    for number in range(200):
        base.record(91 + number % 5, events=5)
    base.told()

    dying = processes.start(_DYING.replace(*_AT_A_LOCK), "x", times)
    dying.communicate(timeout=60)

    assert -signal.SIGKILL == dying.returncode
    counts = base.sql("SELECT (SELECT count(*) FROM run_events AS e WHERE e.run_id = r.run_id) FROM agent_runs AS r")
    assert {(5,)} == set(counts)


# SQLite's own waiting sleeps ever longer, up to 100 ms: that would be measured, and not the lock.
_TAKING_TURNS = """
import json, sqlite3, sys, threading, time
waits, stop = [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
print("ready", flush=True)
while not stop.is_set():
    began = time.monotonic()
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError:
            time.sleep(0.0002)
    waits.append((time.monotonic() - began) * 1000)
    connection.execute("ROLLBACK")
    time.sleep(0.001)
connection.close()
print(json.dumps(waits))
"""


def test_no_step_holds_the_write_lock_for_long(base):
    """The promise is 50 ms, also where one run has 40,000 events; now and then the system takes the core away."""
    for number in range(300):
        base.record(95 + number % 50, events=20)
    base.record(95, events=40_000)
    base.care.rebuild()
    command = [sys.executable, "-c", _TAKING_TURNS, str(base.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other_program:
        assert other_program.stdout is not None
        assert "ready\n" == other_program.stdout.readline()

        began = time.monotonic()
        pruned = base.care.prune(90 * DAYS)
        pruning_ms = (time.monotonic() - began) * 1000

        told, _ = other_program.communicate(timeout=60)
    waits = sorted(json.loads(told))
    assert (301, 46_000) == (pruned.runs, pruned.stores[0].events)
    assert waits[len(waits) * 9 // 10] < 50
    assert waits[-1] < pruning_ms / 4  # here a sixtieth; on a busy machine both grow


def test_agents_write_meanwhile_and_lose_nothing(base, agent):
    """Every run that an agent got acknowledged while old ones were pruned is there, with its event."""
    for number in range(400):
        base.record(95 + number % 20, events=10)
    ages = itertools.chain(range(110, 90, -5), itertools.repeat(90))

    agent.beside(lambda: base.care.prune(next(ages) * DAYS, gzip_after=7 * DAYS))
    base.care.prune(90 * DAYS, gzip_after=7 * DAYS)
    acknowledged = agent.stop()

    told = base.told()
    assert set(acknowledged) == {run.run_id for run in told["runs"] if run.status == "success"}
    assert len(acknowledged) == len(told["events"])


def test_verify_knows_what_was_pruned(base, real_command):
    """The numbers of days that are gone are not missing."""
    for day in (100, 95, 60, 1):
        base.record(day)
    assert 0 == real_command("verify").returncode
    base.care.prune(90 * DAYS)

    done = real_command("verify", "--json")

    assert 0 == done.returncode, done.stdout
    assert [] == json.loads(done.stdout)[0]["missing"]


def test_notes_go_with_the_days_that_they_speak_of(base):
    """What was pruned a whole span ago needs no note any more: the store does not grow for ever."""
    base.record(200)
    base.told()
    base.care.prune(90 * DAYS)
    base.told()
    base.sql("UPDATE pruned_runs SET pruned_at = ?", moment(91))

    base.care.prune(90 * DAYS)

    assert [] == base.sql("SELECT * FROM pruned_runs")
    assert [] == base.sql("SELECT * FROM journal_writers")


def test_command_tells_what_it_did(base, real_command):
    """In sentences, and as JSON."""
    for day in (200, 95, 10, 1):
        base.record(day)
    base.told()

    dry = real_command("prune", "--older-than", "90d", "--dry-run")
    done = real_command("prune", "--older-than", "90d", "--gzip-after", "7d")
    again = json.loads(real_command("prune", "--older-than", "90d", "--json").stdout)

    assert "Would delete" in dry.stdout
    assert "2 runs (4 indexed events)" in dry.stdout
    assert "Gzipped 1 file" in done.stdout
    assert 0 == again["stores"][0]["runs"]


@pytest.mark.parametrize("span", ["12h", "soon"])
def test_span_that_makes_no_sense_is_refused(base, real_command, span):
    """Wrong usage, with a sentence."""
    done = real_command("prune", "--older-than", span)

    assert (2, True) == (done.returncode, span in done.stderr)


def test_what_another_host_pruned_may_be_kept_here(base, real_command, tmp_path):
    """Merging its base directory brings its runs, and takes away none of ours."""
    old = base.record(100)
    shutil.copytree(base.path, tmp_path / "other")
    Care(TelemetryConfig(metrics_dir=tmp_path / "other")).prune(90 * DAYS)

    done = real_command("merge", tmp_path / "other")

    assert 0 == done.returncode, done.stderr
    assert {old} == base.ids()
