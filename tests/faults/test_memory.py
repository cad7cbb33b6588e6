"""Memory, descriptors and threads stay as they are, however long the agent runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

EVENTS = """
import gc, os, sys
from telemetry import TelemetryClient
from telemetry.sinks.ndjson import NdjsonSink

def resident_kib():
    gc.collect()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

count = int(sys.argv[1])
client = TelemetryClient(sinks={"raw": NdjsonSink(NdjsonSink.Options(fsync="never"))})
run_id = client.start_run("agent", "job")
for number in range(20_000):
    client.log_event(run_id, "warm", {"number": number})
before = resident_kib()
for number in range(count):
    client.log_event(run_id, "count", {"number": number, "note": "text %d" % number})
print(resident_kib() - before)
"""

CYCLES = """
import gc, os, sys, threading, time
from telemetry import TelemetryClient

def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

def cycle():
    with TelemetryClient() as client:
        client.end_run(client.start_run("agent", "job"))

def counted_when(is_so):
    # The threads of a client that was closed go home by themselves, within a second where the machine is quiet.
    end = time.monotonic() + 60
    while not is_so(threading.active_count()) and time.monotonic() < end:
        time.sleep(0.05)
    return descriptors(), threading.active_count(), resident_kib()

for _ in range(20):
    cycle()
before = counted_when(lambda threads: threads == 1)
for _ in range(int(sys.argv[1])):
    cycle()
after = counted_when(lambda threads: threads <= before[1])
print(*(new - old for old, new in zip(before, after)))
"""


def _told(code: str, count: int, base_dir: object) -> list[int]:
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(count)], env=environment, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


def test_events_cost_no_memory(tmp_path):
    """100,000 events: the process grows by less than 2 MB."""
    assert _told(EVENTS, 100_000, tmp_path)[0] < 2_048


@pytest.mark.faults_long
@pytest.mark.timeout(1800)
def test_a_million_events_cost_no_memory(tmp_path):
    """1,000,000 events: the process grows by less than 4 MB."""
    assert _told(EVENTS, 1_000_000, tmp_path)[0] < 4_096


def _check_cycles(count: int, base_dir: object) -> None:
    descriptors, threads, kib = _told(CYCLES, count, base_dir)
    assert (0, 0) == (descriptors, threads)
    assert kib < 3_072


def test_clients_leave_nothing_behind(tmp_path):
    """200 clients opened and closed: no descriptor and no thread more than before, and less than 3 MB."""
    _check_cycles(200, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_thousand_clients_leave_nothing_behind(tmp_path):
    """The same 2,000 times: memory is flat, it does not grow by the client."""
    _check_cycles(2_000, tmp_path)


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
def test_ten_thousand_clients_leave_nothing_behind(tmp_path):
    """10,000 clients opened and closed: no descriptor and no thread more than before, and less than 3 MB."""
    _check_cycles(10_000, tmp_path)
