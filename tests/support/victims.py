"""Processes that are made to die, and the record of what they were told is safe: kept outside of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from telemetry import RunRecord, TelemetryClient

WRITER = """
import os, sys
from telemetry import TelemetryClient

client = TelemetryClient()
run_id = client.start_run("victim", "writes")
os.write(1, b"run %s\\n" % run_id.encode())
number = 0
while True:
    number += 1
    client.log_event(run_id, "count", {"number": number, "pad": "x" * (number * 37 % 600)})
    # Only now: the call has returned, so the event is acknowledged, and the other side of the pipe remembers it.
    os.write(1, b"%d\\n" % number)
"""


class Victim:
    """
    A process that runs *code* against one base directory and tells on its standard output what it was promised.

    `run_id` and `acknowledged` are what came through the pipe; they outlive the process.
    """

    def __init__(self, base_dir: Path, code: str = WRITER, **environment: str) -> None:
        self.run_id: str | None = None
        self.acknowledged = 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            env={**os.environ, "TELEMETRY_BASE_DIR": str(base_dir), **environment},
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                return  # cut off by the kill: the number may lack digits
            if line.startswith(b"run "):
                self.run_id = line[4:].strip().decode()
            else:
                self.acknowledged = int(line)

    def wait_for(self, count: int, timeout_s: float = 90.0) -> None:
        """Return when *count* events are acknowledged."""
        end = time.monotonic() + timeout_s
        while self.acknowledged < count:
            assert time.monotonic() < end, f"only {self.acknowledged} events in {timeout_s} s"
            assert self.process.poll() is None, "the victim died before its time"
            time.sleep(0.001)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill it, and wait until all that it said has been heard."""
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        self._reader.join(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()


def massacre(base_dir: Path, *, kills: int, at_once: int, seed: int, **environment: str) -> Iterator[Victim]:
    """Yield *kills* victims after their death, *at_once* of them alive at a time, each killed at a random moment."""
    dice = random.Random(seed)
    living: list[Victim] = []
    for _ in range(kills):
        while len(living) < at_once:
            living.append(Victim(base_dir, **environment))
        victim = living.pop(0)
        victim.wait_for(1)
        time.sleep(dice.random() * 0.05)
        victim.kill()
        yield victim
    for victim in living:
        victim.wait_for(1)
        victim.kill()
        yield victim


def seen_by_a_reader(base_dir: Path, run_id: str) -> RunRecord:
    """Return what a client that is opened now says of the run."""
    with TelemetryClient(base_dir=base_dir) as client:
        run = client.get_run(run_id)
    assert run is not None
    return run
