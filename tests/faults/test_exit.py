"""A process ends when it wants to, and what it said on the way out is kept."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telemetry.plugins.records import RunEvent, RunRecord
from telemetry.sinks.journal import journal_files, read_records

TRIES = 4
LONGEST_S = 3.5  # the promise is 2 s on top of a bare exit; the rest is for a loaded machine


def _run(base_dir: Path, code: str, **settings: str) -> tuple[subprocess.CompletedProcess[str], float]:
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base_dir), **settings}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done, time.perf_counter() - began


def _records(base_dir: Path) -> list[object]:
    return [found.record for file in journal_files(base_dir / "raw") for found in read_records(file)]


def _event_types(base_dir: Path) -> list[str]:
    return [record.event_type for record in _records(base_dir) if isinstance(record, RunEvent)]


def test_a_hanging_api_delays_the_exit_by_two_seconds_at_most(tmp_path):
    """The server takes the connection and never answers; the process goes all the same, and the run is kept."""
    code = """
from telemetry import TelemetryClient
client = TelemetryClient()
for _ in range(5):
    with client.track_run("agent", "job"):
        pass
"""

    def delay(base_dir: Path) -> float:
        _, plain_s = _run(base_dir / "plain", code)
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"

            done, hanging_s = _run(base_dir / "api", code, METRICS_API_URL=url, METRICS_API_TOKEN="a-usual-token")

        assert (0, "") == (done.returncode, done.stdout)
        ends = [each for each in _records(base_dir / "api") if isinstance(each, RunRecord) and not each.is_running]
        assert 5 == len(ends)
        return hanging_s - plain_s

    delays = (delay(tmp_path / str(number)) for number in range(TRIES))
    assert any(delay_s < LONGEST_S for delay_s in delays)  # what waits for the answer, 10 s, waits each time


def test_records_of_the_last_moments_are_kept(tmp_path):
    """atexit handlers before and after ours, `__del__`, and a call after the threads are shut down."""
    code = """
import atexit, threading
atexit.register(lambda: client.log_event(run_id, "first registered, last to run"))
from telemetry import TelemetryClient
client = TelemetryClient()
run_id = client.start_run("agent", "job")
atexit.register(lambda: client.log_event(run_id, "last registered, first to run"))
threading._register_atexit(lambda: client.log_event(run_id, "threads shut down"))
class Dying:
    def __init__(self, client): self.client = client
    def __del__(self): self.client.log_event(run_id_of_dying, "deleted")
run_id_of_dying = run_id
dying = Dying(client)
del dying
"""

    done, _ = _run(tmp_path, code)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert {
        "first registered, last to run",
        "last registered, first to run",
        "threads shut down",
        "deleted",
    } == set(_event_types(tmp_path))


def test_records_from_the_end_of_the_interpreter_are_kept(tmp_path):
    """An object that dies with its module, after every exit handler, still logs."""
    code = """
from telemetry import TelemetryClient
from telemetry.plugins import ids
class Late:
    def __init__(self):
        self.client = TelemetryClient()
        self.run_id = self.client.start_run("agent", "job")
        self.ids = ids
    def __del__(self):
        self.ids._last_second = (-1, "")  # as if a second had gone by, so that its text has to be made anew
        self.client.log_event(self.run_id, "deleted with its module")
late = Late()
"""

    done, _ = _run(tmp_path, code)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert ["deleted with its module"] == _event_types(tmp_path)


def test_a_closed_client_still_keeps_what_comes(tmp_path):
    """Whoever logs after close() logs."""
    code = """
from telemetry import TelemetryClient
client = TelemetryClient()
run_id = client.start_run("agent", "job")
client.close()
client.log_event(run_id, "after close")
client.end_run(run_id)
print(client.get_run(run_id).status)
"""

    done, _ = _run(tmp_path, code)

    assert "success" == done.stdout.strip()
    assert ["after close"] == _event_types(tmp_path)


PREFORK = """
import os, sys, warnings
warnings.simplefilter("error")
from telemetry import TelemetryClient
client = TelemetryClient()
run_id = client.start_run("master", "serve")
children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        for job in range(5):
            with client.track_run(f"worker-{number}", "request") as run:
                run.log_event("handled", {"worker": number, "job": job})
        os._exit(0) if number % 2 else sys.exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
client.log_event(run_id, "served")
client.end_run(run_id)
import json
print(json.dumps(client.get_stats()["status_counts"]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is POSIX")
def test_prefork_workers_keep_their_own_runs(tmp_path):
    """A gunicorn-like master: each child writes as a writer of its own, and nobody ends or repeats the master's run."""
    done, _ = _run(tmp_path, PREFORK)

    assert "" == done.stderr
    counts = json.loads(done.stdout)
    assert (21, 0, 0) == (counts["success"], counts["failed"], counts["running"])
    records = _records(tmp_path)
    assert 5 == len({record.writer for record in records})
    assert len(records) == len({(record.writer, record.seq) for record in records})
    assert 2 == sum(isinstance(record, RunRecord) and record.agent_name == "master" for record in records)
