"""Prove that a look at the runs writes the verdict on those whose process is gone, and on no other."""

import json
import os
import subprocess
import sys

import pytest

from telemetry import TelemetryClient

_WORKER = """
import os, sys, time, telemetry
client = telemetry.TelemetryClient()
run_id = client.start_run("worker", "long")
os.write(1, run_id.encode() + b"\\n")
time.sleep(60)
"""


@pytest.fixture
def worker(real_bench):
    """Return a process in the middle of a run, and the id of the run."""
    process = subprocess.Popen([sys.executable, "-P", "-c", _WORKER], stdout=subprocess.PIPE, text=True)
    run_id = process.stdout.readline().strip()
    yield process, run_id
    process.kill()
    process.wait()
    process.stdout.close()


def status_of(bench, run_id: str) -> tuple[str, bool]:
    """Return status and verdict of a run as `telemetry show` tells them."""
    page = json.loads(bench.run("show", run_id, "--json").out)
    return page["status"], page["verdict"]


def verdicts_in(bench) -> int:
    """Return how many lines of the journal are verdicts."""
    return next(bench.base_dir.glob("raw/*.ndjson")).read_text().count('"verdict":true')


@pytest.mark.skipif(os.name == "nt", reason="kills with a signal")
def test_a_killed_run_is_failed_for_whoever_looks_first(real_bench, worker):
    """While its process lives it is running; once it is killed it has failed, and the verdict stands in the journal."""
    process, run_id = worker
    alive = status_of(real_bench, run_id)

    process.kill()
    process.wait()

    assert ("running", False) == alive
    assert ("failed", True) == status_of(real_bench, run_id)
    written = verdicts_in(real_bench)
    assert written >= 1
    assert ("failed", True) == status_of(real_bench, run_id)
    assert written == verdicts_in(real_bench)


def test_our_own_open_run_stays_running(real_bench):
    """The process that looks may be the one that runs."""
    with TelemetryClient() as client:
        run_id = client.start_run("agent", "job")

        assert ("running", False) == status_of(real_bench, run_id)

        client.end_run(run_id)


def test_duration_of_a_run_with_a_strange_start_is_not_known(bench):
    """Another program's time that is no time has no age and no duration, and stops no list."""
    from attrs import evolve

    strange = evolve(bench.store.stored[0], start_time="2027-soon")
    bench.store.stored[0] = strange

    shown = bench.show("runs", "-n", "1").out
    page = bench.show("show", "0f1e2d3c").out

    assert "2027-soon" in shown
    assert "took" not in page
    assert 3 == bench.run("plot", "duration", "--running").code
