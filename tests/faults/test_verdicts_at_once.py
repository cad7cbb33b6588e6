"""Many look at once, and each dead run gets one verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from telemetry import TelemetryClient
from telemetry.core import liveness
from telemetry.plugins.records import RunRecord
from telemetry.sinks.journal import journal_files, read_records

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and fork are POSIX")

VICTIM = """
import time
from telemetry import TelemetryClient
client = TelemetryClient()
for number in range(5):
    client.start_run("mortal", "life")
print("born", flush=True)
time.sleep(600)
"""

# Three clients, each of which also looks behind its builder, and two threads on each that ask, all in one moment.
JUDGE = """
import sys, threading
from telemetry import TelemetryClient
print("ready", flush=True)
sys.stdin.readline()
clients = [TelemetryClient() for _ in range(3)]
threads = [threading.Thread(target=client.get_stats) for client in clients for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for client in clients:
    client.close()
"""


def _environment(base_dir: Path) -> dict[str, str]:
    return {**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)}


def _kill_victims(base_dir: Path, count: int) -> None:
    victims = [
        subprocess.Popen([sys.executable, "-c", VICTIM], stdout=subprocess.PIPE, env=_environment(base_dir))
        for _ in range(count)
    ]
    for victim in victims:
        assert victim.stdout is not None
        assert b"born\n" == victim.stdout.readline()
        victim.send_signal(signal.SIGKILL)
        victim.wait(timeout=30)
        victim.stdout.close()


def _verdicts(base_dir: Path) -> Counter[str]:
    records = [found.record for file in journal_files(base_dir / "raw") for found in read_records(file)]
    return Counter(record.run_id for record in records if isinstance(record, RunRecord) and record.verdict)


def _check_processes(base_dir: Path, victims: int, judges: int) -> None:
    _kill_victims(base_dir, victims)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", JUDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(base_dir)
        )
        for _ in range(judges)
    ]
    for process in processes:
        assert process.stdout is not None
        assert b"ready\n" == process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
        assert 0 == process.returncode

    verdicts = _verdicts(base_dir)
    assert (5 * victims, {1}) == (len(verdicts), set(verdicts.values()))


def test_many_judges_write_one_verdict(tmp_path):
    """Four processes with three clients and six asking threads each: 15 runs of the dead, 15 verdicts."""
    _check_processes(tmp_path, victims=3, judges=4)


@pytest.mark.faults_long
@pytest.mark.parametrize("number", range(20))
def test_very_many_judges_write_one_verdict(tmp_path, number):
    """The same 20 times with eight processes."""
    _check_processes(tmp_path, victims=6, judges=8)


def test_threads_of_one_process_judge_one_after_the_other(tmp_path):
    """The kernel's lock is the process's: it keeps out other processes, and no thread."""
    _kill_victims(tmp_path, 1)
    clients = [TelemetryClient(base_dir=tmp_path) for _ in range(4)]
    start = threading.Barrier(8)

    def judge(client: TelemetryClient) -> None:
        start.wait()
        client.get_stats()

    threads = [threading.Thread(target=judge, args=(client,)) for client in clients for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()

    assert [1] * 5 == list(_verdicts(tmp_path).values())


def test_a_signal_handler_that_looks_finds_nobody_dead_while_its_thread_judges(tmp_path):
    """What it interrupted is about to write the verdicts; waiting for that would be waiting for itself."""
    _kill_victims(tmp_path, 1)
    folder = tmp_path / "state" / "live"

    found = [list(liveness.dead_processes(folder)) for _ in liveness.dead_processes(folder)]

    assert [[]] == found


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the thread is the test's
def test_a_child_of_a_fork_judges_though_its_parent_was_judging(tmp_path):
    """The thread that judged is not there in the child, nor is its turn."""
    _kill_victims(tmp_path, 1)
    is_held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        for _ in liveness.dead_processes(tmp_path / "state" / "live"):
            is_held.set()
            go_on.wait(30)

    client = TelemetryClient(base_dir=tmp_path, sinks={})  # follows its process through the fork
    holding = threading.Thread(target=hold)
    holding.start()
    is_held.wait(30)
    if (child := os.fork()) == 0:
        signal.alarm(5)  # in less than a thread would wait for its turn
        # The parent holds the claim as well, so nothing is dead to the child; but it is not kept waiting.
        os._exit(len(list(liveness.dead_processes(tmp_path / "state" / "live"))))
    _, status = os.waitpid(child, 0)
    go_on.set()
    holding.join()
    client.close()

    assert 0 == status
