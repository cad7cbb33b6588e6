"""Show where the time of a call goes, step by step, beside the system calls that no step can do without."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path
from typing import Any

from contestants.load import EVENT_TYPE, payload
from contestants.ours import Events
from harness.figures import Figure, Section, Table
from harness.sample import quantile
from harness.setting import Setting

from telemetry import RunEvent
from telemetry.plugins.codec import encode
from telemetry.plugins.ids import get_iso8601_timestamp
from telemetry.plugins.lines import encode_line

_ROUNDS, _REPEATS = 400, 50
_TEXT = """\
The steps of one `log_event()` with `fsync = "never"`, each called by itself in a loop, which keeps it warm: together
they take less than the whole. Shown is the tenth part of the rounds that was quickest; what is slower was disturbed.
No single step is left whose removal would save a tenth and keep its promise.
"""


def measure(setting: Setting) -> Section:
    """Time every step, in turns."""
    steps = _steps(setting.directory)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(setting.count(_ROUNDS, least=20)):
        for name, act in steps.items():
            began = time.perf_counter_ns()
            for _ in range(_REPEATS):
                act()
            times[name].append((time.perf_counter_ns() - began) / _REPEATS)
    empty = quantile(times.pop("nothing"), 0.1)
    found = {name: (quantile(each, 0.1) - empty) / 1000 for name, each in times.items()}
    whole = found["log_event()"]
    rows = tuple((name, f"{us:.2f}", f"{us / whole:.0%}") for name, us in found.items())
    kernel = found["journal: lseek, flock twice, os.write"] / whole
    figures = (Figure("log_event: its system calls", kernel, "x", against="the whole"),)
    return Section("parts", "Where the time goes", _TEXT, figures, (Table(("step", "µs", "of the whole"), rows),))


def _steps(directory: Path) -> dict[str, Callable[[], Any]]:
    contestant = Events(directory, fsync="never")
    client, run_id, value = contestant.client, contestant.run_id, payload(1)
    contestant.call(1)
    look, bus = client._look, client._bus
    sealed = look.sealed(value)
    assert sealed is not None
    event = RunEvent.sealed(run_id, EVENT_TYPE, get_iso8601_timestamp(), *sealed, "5b99c73325e7", 1)
    line = encode_line(event)
    journal = _Journal(directory)
    return {
        "log_event()": lambda: client.log_event(run_id, EVENT_TYPE, value),
        "copy the payload, check its types, search it for secrets, encode it": lambda: look.sealed(value),
        "of that: encode it": lambda: encode(value),
        "time stamp": get_iso8601_timestamp,
        "the record": lambda: RunEvent.sealed(run_id, EVENT_TYPE, "t", *sealed, "5b99c73325e7", 1),
        "bus, guard, sink, line, journal": lambda: bus.publish(event, is_clean=True),
        "of that: the line": lambda: encode_line(event),
        "journal: lseek, flock twice, os.write": lambda: journal.append(line),
        "of that: os.write": lambda: os.write(journal.descriptor, line),
        "nothing": lambda: None,
    }


class _Journal:
    """The system calls of the journal without the journal."""

    def __init__(self, directory: Path) -> None:
        self.descriptor = os.open(directory / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, line: bytes) -> None:
        flock(self.descriptor, LOCK_EX | LOCK_NB)
        os.lseek(self.descriptor, 0, os.SEEK_END)
        os.write(self.descriptor, line)
        flock(self.descriptor, LOCK_UN)
