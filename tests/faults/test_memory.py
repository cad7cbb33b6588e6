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
import gc, os, sys, threading
from telemetry import TelemetryClient

def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

def cycle():
    with TelemetryClient() as client:
        client.end_run(client.start_run("agent", "job"))

for _ in range(20):
    cycle()
before = descriptors(), threading.active_count()
for _ in range(int(sys.argv[1])):
    cycle()
import time; time.sleep(1.5)
after = descriptors(), threading.active_count()
print(after[0] - before[0], after[1] - before[1])
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


def test_clients_leave_nothing_behind(tmp_path):
    """200 clients opened and closed: no descriptor and no thread more than before."""
    assert [0, 0] == _told(CYCLES, 200, tmp_path)


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
def test_ten_thousand_clients_leave_nothing_behind(tmp_path):
    """10,000 clients opened and closed: no descriptor and no thread more than before."""
    assert [0, 0] == _told(CYCLES, 10_000, tmp_path)
