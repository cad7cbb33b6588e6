"""Fork, spawn, threads and signal handlers, with every thread that we may have: nothing warns, hangs or is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from telemetry.plugins.records import RunEvent, RunRecord
from telemetry.sinks.journal import journal_files, read_records

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork and signals are POSIX")

# A stranger's sink, a journal that syncs in the background, a database, and a dead process to judge: each has a thread.
SETUP = """
import json, multiprocessing, os, signal, sys, threading, time, warnings
warnings.simplefilter("error")
from telemetry import TelemetryClient, hookimpl
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.sqlite.sink import SqliteSink

class Stranger:
    def __init__(self):
        self.seen = []
    @hookimpl
    def telemetry_event_logged(self, event):
        self.seen.append(event.event_type)
    @hookimpl
    def telemetry_forked(self):
        self.seen.clear()

def opened():
    journal = NdjsonSink(NdjsonSink.Options(fsync="interval", interval_s=0.05))
    return TelemetryClient(sinks={"raw": journal, "db": SqliteSink(), "stranger": stranger})

stranger = Stranger()
"""

FORK_IN_A_THREAD = """
client = opened()
children = []

def fork():
    if (child := os.fork()) == 0:
        with client.track_run("child", "forked") as run:
            run.log_event("in child")
        is_flushed = client.flush()
        os._exit(0 if is_flushed and stranger.seen == ["in child"] else 1)
    children.append(child)

with client.track_run("parent", "serve") as run:
    for _ in range(3):
        run.log_event("before")
        thread = threading.Thread(target=fork)
        # Not ours: that the fork is in a thread is the agent's doing, and Python 3.12 warns of it.
        warnings.simplefilter("ignore", DeprecationWarning)
        thread.start()
        thread.join()
        run.log_event("after")
assert [0] * 3 == [os.waitpid(child, 0)[1] for child in children]
assert client.flush()
assert ["before", "after"] * 3 == stranger.seen, stranger.seen
client.close()
"""

PREFORK = """
client = opened()
run_id = client.start_run("master", "serve")
children = []
for number in range(6):
    client.log_event(run_id, "forking")
    if (child := os.fork()) == 0:
        signal.alarm(30)
        for job in range(5):
            with client.track_run(f"worker-{number}", "request") as run:
                run.log_event("handled")
        client.flush()
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)  # as a master does with a worker that hangs
        os._exit(0) if number % 2 else sys.exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
client.end_run(run_id)
print(json.dumps(client.get_stats()["status_counts"]))
client.close()
"""

SPAWN = """
def work(number):
    client = opened()
    with client.track_run("child", f"spawned-{number}") as run:
        run.log_event("in child")
    client.close()

if __name__ == "__main__":
    client = opened()
    with client.track_run("parent", "serve") as run:
        run.log_event("before")
        method = sys.argv[1]
        children = [multiprocessing.get_context(method).Process(target=work, args=(number,)) for number in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    assert [0] * 3 == [child.exitcode for child in children]
    client.close()
"""


# A sink's thread that is told to close has no place for what a handler interrupted on its way there; and a busy machine
# may let any sink wait for 50 ms.
EXPECTED = ("the client was closed meanwhile", "slow: took over 50 ms")


def _run(base_dir: Path, code: str, *arguments: str) -> str:
    program = base_dir / "program.py"  # a file, which a spawned child can import
    program.write_text(SETUP + code)
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)},
    )
    said = [line for line in done.stderr.splitlines() if not any(word in line for word in EXPECTED)]
    assert (0, []) == (done.returncode, said)
    return done.stdout


def _records(base_dir: Path) -> list[Any]:
    return [found.record for file in journal_files(base_dir / "raw") for found in read_records(file)]


def _ends(base_dir: Path) -> Counter[tuple[str | None, str]]:
    runs = [record for record in _records(base_dir) if isinstance(record, RunRecord)]
    return Counter((run.job_type, run.status) for run in runs if not run.is_running)


def _check_numbers(base_dir: Path, writers: int) -> None:
    """Check that there are so many writers, each with numbers from 1 on without a gap."""
    numbers: dict[str, list[int]] = {}
    for record in _records(base_dir):
        numbers.setdefault(record.writer, []).append(record.seq)
    assert writers == len(numbers)
    assert all(list(range(1, len(each) + 1)) == sorted(each) for each in numbers.values())


def _leave_a_dead_one(base_dir: Path) -> None:
    code = "client = opened()\nclient.start_run('mortal', 'dead')\nos.kill(os.getpid(), signal.SIGKILL)\n"
    program = base_dir / "dead.py"
    program.write_text(SETUP + code)
    subprocess.run([sys.executable, str(program)], env={**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)})


def test_a_thread_may_fork(tmp_path):
    """The child writes its own run and tells its own sink; the block around in the parent stays the parent's."""
    _run(tmp_path, FORK_IN_A_THREAD)

    assert {("forked", "success"): 3, ("serve", "success"): 1} == _ends(tmp_path)
    _check_numbers(tmp_path, writers=4)


def test_prefork_with_all_our_threads_warns_of_none(tmp_path):
    """A gunicorn-like master, with a dead process to judge: no DeprecationWarning of a fork with threads (3.12+)."""
    _leave_a_dead_one(tmp_path)

    counts = json.loads(_run(tmp_path, PREFORK))

    assert (31, 1, 0) == (counts["success"], counts["failed"], counts["running"])
    assert {("request", "success"): 30, ("serve", "success"): 1, ("dead", "failed"): 1} == _ends(tmp_path)
    _check_numbers(tmp_path, writers=8)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_children_of_multiprocessing_keep_their_runs(tmp_path, method):
    """However they are started; before 3.13 such a child runs no exit handlers."""
    _run(tmp_path, SPAWN, method)

    ends = {(f"spawned-{number}", "success"): 1 for number in range(3)}
    assert {**ends, ("serve", "success"): 1} == _ends(tmp_path)
    _check_numbers(tmp_path, writers=4)


INTERRUPTED = """
client = opened()
run_id = client.start_run("agent", "interrupted")
handled = 0
is_handling = False

def handler(number, frame):
    global handled, is_handling
    if is_handling:
        return  # a machine that needs over a millisecond a call would nest them without end
    is_handling = True
    handled += 1
    client.log_event(run_id, "from the handler")
    if handled % 20 == 0:
        client.status()
    if sys.argv[1] == "closing" and handled % 50 == 0:
        client.close(timeout_s=0.5)
    is_handling = False

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
number = 0
while number < 1500 or handled <= 20:
    client.log_event(run_id, "from the main thread")
    if number % 100 == 0:
        client.set_metrics(run_id, number=number)
        client.status()
    if sys.argv[1] == "closing" and number % 300 == 0:
        client.close(timeout_s=0.5)
    number += 1
signal.setitimer(signal.ITIMER_REAL, 0)
client.end_run(run_id)
assert client.flush()
print(json.dumps([number, handled, len(stranger.seen)]))
client.close()
"""


@pytest.mark.parametrize("way", ["open", "closing"])
def test_a_handler_logs_while_the_main_thread_is_in_any_call(tmp_path, way):
    """By setitimer(), each millisecond, with a stranger's sink; also while either of them closes the client."""
    logged, handled, seen = json.loads(_run(tmp_path, INTERRUPTED, way))

    events = Counter(record.event_type for record in _records(tmp_path) if isinstance(record, RunEvent))
    assert (logged, handled) == (events["from the main thread"], events["from the handler"])
    assert way == "closing" or seen == logged + handled
    _check_numbers(tmp_path, writers=1)
