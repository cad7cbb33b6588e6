"""A run that a forked child writes to lives as long as either of them, and its end is judged once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import until

from telemetry import RunRecord, TelemetryClient
from telemetry.core.verdicts import judge
from telemetry.plugins import RunStore
from telemetry.sinks.journal import journal_files, read_records
from telemetry.sinks.sqlite.journal_store import JournalStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork and signals are POSIX")

PARENT = """
import multiprocessing, os, signal, subprocess, sys, time
from telemetry import TelemetryClient
client = TelemetryClient()
run_id = client.start_run("parent", "life")
def say(*words): os.write(1, " ".join(map(str, words)).encode() + b"\\n")
def work(number=0): client.log_event(run_id, "page", {"number": number})
def lasting():
    said, say_so = os.pipe()
    if (child := os.fork()) == 0:
        os.close(1); os.close(2)  # so that who reads them need not wait for it
        work(); os.write(say_so, b"!"); time.sleep(600)
    os.read(said, 1)
    return child
def claims(): return len(os.listdir(client.base_dir / "state" / "live"))
"""

CHILDREN = {
    "a pool": 'with multiprocessing.get_context("fork").Pool(2) as pool: pool.map(work, range(4))\n',
    # Before 3.13 it runs no exit handlers, so its claim stays.
    "a process that ends well": (
        'child = multiprocessing.get_context("fork").Process(target=work); child.start(); child.join()\n'
        "assert child.exitcode == 0\n"
    ),
    "a child that is killed": (
        "if (child := os.fork()) == 0:\n"
        "    work(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "assert os.waitpid(child, 0)[1] == signal.SIGKILL\n"
    ),
}

ASK = "import sys; from telemetry import TelemetryClient as C; print(C().get_run(sys.argv[1]).status)"
LOOKS = {
    "itself": "told = client.get_run(run_id).status\n",
    "another": (
        f"told = subprocess.run([sys.executable, '-c', {ASK!r}, run_id], stdout=subprocess.PIPE, text=True)\n"
        "told = told.stdout.strip()\n"
    ),
}


def _told(base_dir: Path, code: str, ends_with: int = 0) -> list[str]:
    """Run *code* behind `PARENT` and return the words that it says."""
    done = subprocess.run(
        [sys.executable, "-c", PARENT + code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)},
    )
    assert ends_with == done.returncode, done.stderr
    return done.stdout.split()


def _runs(base_dir: Path) -> dict[str, RunRecord]:
    with TelemetryClient(base_dir=base_dir) as client:
        client.get_stats()
        return {run.run_id: run for run in client.runs(limit=None)}


def _verdicts(base_dir: Path) -> list[str]:
    records = [found.record for file in journal_files(base_dir / "raw") for found in read_records(file)]
    return [record.run_id for record in records if isinstance(record, RunRecord) and record.verdict]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("way", CHILDREN)
def test_a_living_parents_run_outlives_its_children(tmp_path, way, look):
    """The children that wrote to it are gone, their parent stands in it: it is running, and ends as it says."""
    told, claims = _told(tmp_path, CHILDREN[way] + LOOKS[look] + "client.end_run(run_id)\nsay(told, claims())\n")

    (run,) = _runs(tmp_path).values()

    assert ("running", "1") == (told, claims)
    assert ("success", False) == (run.status, run.verdict)
    assert [] == _verdicts(tmp_path)


@pytest.mark.parametrize("way", CHILDREN)
def test_a_parent_that_dies_after_its_children_is_judged(tmp_path, way):
    """Also when somebody looked in between, and took the claims of the children away."""
    code = CHILDREN[way] + LOOKS["itself"] + "say(told, run_id); os.kill(os.getpid(), signal.SIGKILL)\n"
    told, run_id = _told(tmp_path, code, -signal.SIGKILL)

    run = _runs(tmp_path)[run_id]

    assert "running" == told
    assert ("failed", True, "process gone without a word") == (run.status, run.verdict, run.status_detail)
    assert [run_id] == _verdicts(tmp_path)
    assert [] == list((tmp_path / "state" / "live").iterdir())


def test_a_living_child_keeps_no_claims_of_the_dead(tmp_path):
    """It has adopted its parent's run; workers that died with runs of their own are judged once, and forgotten."""
    code = (
        "child = lasting()\n"
        "for number in range(5):\n"
        "    if (worker := os.fork()) == 0:\n"
        "        client.start_run('worker', 'life'); work(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "    os.waitpid(worker, 0)\n"
        "counts = client.get_stats()['status_counts']\n"
        "say(counts['running'], counts['failed'], claims())\n"
        "os.kill(child, signal.SIGKILL); os.waitpid(child, 0)\n"
        "client.end_run(run_id)\n"
    )

    running, failed, claims = _told(tmp_path, code)

    assert ("1", "5", "2") == (running, failed, claims)
    assert (5, 5) == (len(_verdicts(tmp_path)), len(set(_verdicts(tmp_path))))


def test_the_claim_of_a_dead_parent_answers_for_its_run(tmp_path):
    """Its run lives with the child that goes on with it; a child that died leaves nothing, and there is one verdict."""
    code = CHILDREN["a child that is killed"] + "say(run_id, lasting()); os.kill(os.getpid(), signal.SIGKILL)\n"
    run_id, child = _told(tmp_path, code, -signal.SIGKILL)
    live = tmp_path / "state" / "live"

    try:
        run = _runs(tmp_path)[run_id]
        claims = len(list(live.iterdir()))
    finally:
        os.kill(int(child), signal.SIGKILL)
    assert until(lambda: _runs(tmp_path)[run_id].status == "failed")

    assert ("running", 2) == (run.status, claims)
    assert [run_id] == _verdicts(tmp_path)
    assert [] == list(live.iterdir())


def test_a_store_is_opened_once_for_all_the_dead(tmp_path):
    """Each opening of a store looks at the whole journal; 200 claims took 4.5 s a look."""
    code = (
        "for number in range(3):\n"
        "    if (worker := os.fork()) == 0:\n"
        "        client.start_run('worker', 'life'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "    os.waitpid(worker, 0)\n"
        "client.end_run(run_id)\n"
    )
    _told(tmp_path, code)
    opened: list[RunStore] = []
    judged: list[RunRecord] = []

    def open_store() -> RunStore:
        opened.append(JournalStore(tmp_path / "raw"))
        return opened[-1]

    count = judge(tmp_path / "state" / "live", open_store, judged.append)

    assert (3, 3, 1) == (count, len({run.run_id for run in judged}), len(opened))
