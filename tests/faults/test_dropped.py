"""A client that nobody closes costs nothing once nobody can reach it, and nothing that can be reached is closed."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from patience import until

from telemetry import TelemetryClient, open_store
from telemetry.core import parting
from telemetry.plugins import Worker
from telemetry.plugins.records import RunEvent
from telemetry.plugins.store import RunQuery
from telemetry.sinks.journal import journal_files, read_records
from telemetry.sinks.ndjson import NdjsonSink

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

# Tells what is open of the base directory.
_EYES = """
import gc, json, os, sys, time
from telemetry import TelemetryClient
base = os.environ["TELEMETRY_BASE_DIR"]

def left():
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        found += [os.path.relpath(path, base)] if path.startswith(base) else []
    return sorted(found)

def left_when(is_so):
    end = time.monotonic() + 60
    while not is_so(left()) and time.monotonic() < end:
        time.sleep(0.01)
    return left()
"""


@pytest.fixture(autouse=True)
def own_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no clients of earlier tests in the way; one that delivers would stay for 30 s."""
    gc.collect()
    assert parting._worker.stop(60)
    monkeypatch.setattr(parting, "_dropped", deque())
    monkeypatch.setattr(parting, "_worker", Worker(parting._close_next, "parting"))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[str]]:
    """Run a program to its end; return the lines that it prints."""

    def run(code: str, *arguments: object) -> list[str]:
        environment = {**os.environ, "TELEMETRY_BASE_DIR": str(tmp_path / "base")}
        # On a busy machine a thread of ours may be in its step for longer than a fork waits for it (150 ms).
        quiet = ("-W", "ignore:This process:DeprecationWarning")
        command = [sys.executable, "-P", *quiet, "-c", _EYES + code, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.splitlines()

    return run


def _events(base: Path) -> list[str]:
    found = [found.record for file in journal_files(base / "raw") for found in read_records(file)]
    return [record.event_type for record in found if isinstance(record, RunEvent)]


@pytest.mark.parametrize("is_in_a_cycle", [False, True], ids=["at once", "by the collector"])
def test_dropped_clients_leave_nothing(run, tmp_path, is_in_a_cycle):
    """A client for each job, in a process that may have 256 files: the agent's own are opened at any time."""
    told = run(
        """
import resource, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

def job(number):
    client = TelemetryClient()
    if sys.argv[1] == "True":
        client.myself = client
    with client.track_run("agent", "job") as run:
        run.log_event("step", {"number": number})
    if number % 10 == 0:
        client.get_run(run.run_id)
    return client.status()["lost"]

for number in range(100):
    assert job(number) == 0
    if sys.argv[1] == "True" and number % 5 == 0:
        gc.collect()
    open("/etc/hostname").close()
gc.collect()
print(left_when(lambda found: not found), os.listdir(base + "/state/live"))
""",
        is_in_a_cycle,
    )

    assert ["[] []"] == told
    assert 100 == len(_events(tmp_path / "base"))


def test_what_an_api_answers_late_leaves_nothing_open(run, tmp_path):
    """Of many clients that are dropped together each has little time; what reports later opens its sinks again."""
    told = run(
        """
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from telemetry.core import parting
parting._DELIVERS_S = 0.5

class Slow(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.2)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(METRICS_API_URL=f"http://127.0.0.1:{server.server_port}/v1", METRICS_API_TOKEN="a-usual-token")
clients = [TelemetryClient() for number in range(12)]
for number, client in enumerate(clients):
    client.end_run(client.start_run("agent", "job", run_id=f"run-{number}"))
del clients, client
# Open again for a late answer, and closed again behind it.
print(left_when(lambda found: not found and not (time.sleep(0.5) or left())))
"""
    )

    assert ["[]"] == told


def test_a_run_that_is_held_goes_on(run, tmp_path):
    """Whoever has the run can reach its client, though the client itself has no name any more."""
    told = run(
        """
runs = []

def begin():
    tracking = TelemetryClient().track_run("agent", "job")
    runs.append((tracking, tracking.__enter__()))

begin()
gc.collect()
with TelemetryClient() as other:
    other.end_run(other.start_run("other", "job"))
claims = os.listdir(base + "/state/live")
tracking, run = runs.pop()
run.log_event("late")
tracking.__exit__(None, None, None)
del tracking, run
gc.collect()
print(len(claims), left_when(lambda found: not found), os.listdir(base + "/state/live"))
"""
    )

    assert ["1 [] []"] == told
    assert ["late"] == _events(tmp_path / "base")


def test_a_run_that_was_not_ended_is_running_until_its_process_dies(run, tmp_path):
    """Its client was dropped, its files are closed, and its claim is kept: somebody who looks finds it alive."""
    program = (
        _EYES
        + """
run_id = TelemetryClient().start_run("agent", "job")
gc.collect()
print(json.dumps([run_id, left_when(lambda found: len(found) == 1)]), flush=True)
sys.stdin.read()
"""
    )
    base = tmp_path / "base"
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base)}
    command = [sys.executable, "-P", "-c", program]
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        run_id, left = json.loads(process.stdout.readline())
        alive = _status(base, run_id)
        process.kill()
        process.wait()
    dead = _status(base, run_id)

    assert ["state/live"] == [os.path.dirname(path) for path in left]
    assert ("running", "failed") == (alive, dead)


def _status(base: Path, run_id: str) -> str:
    code = "import sys; from telemetry import TelemetryClient; print(TelemetryClient().get_run(sys.argv[1]).status)"
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base)}
    return subprocess.check_output([sys.executable, "-P", "-c", code, run_id], env=environment, text=True).strip()


def test_a_child_that_drops_the_clients_of_its_parent_leaves_them_alone(run, tmp_path):
    """One is in use, one was dropped just before: claim, run and lines of the parent stay what they are."""
    told = run(
        """
from telemetry.core import parting
parting._worker.nudge = lambda: None  # the dropped one has to wait for the fork
client = TelemetryClient()
run_id = client.start_run("agent", "job")
client.log_event(run_id, "before")
dropped = TelemetryClient()
dropped.end_run(dropped.start_run("agent", "job"))
del dropped
child = os.fork()
if child == 0:
    waiting = len(parting._dropped)
    del client
    gc.collect()
    parting._worker.wake()
    print("child", waiting, left_when(lambda found: not found), flush=True)
    os._exit(0)
os.waitpid(child, 0)
client.log_event(run_id, "after")
print("parent", len(parting._dropped), len(os.listdir(base + "/state/live")))
client.end_run(run_id)
client.close()
"""
    )

    assert ["child 0 []", "parent 1 2"] == told
    assert ["before", "after"] == _events(tmp_path / "base")
    with closing(open_store(tmp_path / "base")) as store:
        assert {"success"} == {found.status for found in store.runs(RunQuery())}


def test_collections_in_the_midst_of_calls_hold_nobody(run, tmp_path):
    """The collector may run anywhere, under any lock: threads that log while it finds clients go on."""
    told = run(
        """
import threading
gc.set_threshold(20)

def work(name):
    for number in range(12):
        client = TelemetryClient()
        client.myself = client
        with client.track_run(name, "job") as run:
            for step in range(10):
                run.log_event("step", [[step], {}])

threads = [threading.Thread(target=work, args=(f"agent-{n}",)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
del threads
gc.collect()
print(left_when(lambda found: not found))
"""
    )

    assert ["[]"] == told
    assert 4 * 12 * 10 == len(_events(tmp_path / "base"))


@pytest.fixture
def locked() -> Iterator[threading.Event]:
    """Have another thread hold the lock of the one that closes."""
    holds, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with parting._worker._changed:
            holds.set()
            may_go.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(60)
    yield may_go
    may_go.set()
    thread.join()


def test_who_drops_a_client_waits_for_nothing(locked, tmp_path):
    """Not even for the lock of the thread that closes; then the next client wakes it."""
    client = TelemetryClient(metrics_dir=tmp_path)
    client.end_run(client.start_run("agent", "job"))
    setup = client._setup

    del client
    gc.collect()
    waiting = [each for each in parting._dropped if each.setup is setup]
    locked.set()
    with TelemetryClient(metrics_dir=tmp_path / "other"):
        assert until(lambda: not parting._dropped)

    assert 1 == len(waiting)


def test_a_client_that_was_closed_leaves_nothing_to_do(tmp_path):
    """No thread is started for it."""
    client = TelemetryClient(metrics_dir=tmp_path)
    client.end_run(client.start_run("agent", "job"))
    client.close()
    assert until(lambda: not parting._worker.is_alive)

    del client
    gc.collect()

    assert not parting._worker.is_alive
    assert not parting._dropped


def test_a_sink_that_was_handed_in_is_not_closed(tmp_path):
    """It is the agent's, and may serve another client by now; only the claim was the client's own."""
    sink = NdjsonSink()
    client = TelemetryClient(sinks={"mine": sink}, metrics_dir=tmp_path)
    client.end_run(client.start_run("agent", "job"))

    del client
    gc.collect()

    assert until(lambda: not list((tmp_path / "state" / "live").iterdir()) and not parting._dropped)
    assert sink.journal.health()["file"] is not None
    sink.journal.close()
