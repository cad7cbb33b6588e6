"""Measure what a reader in a loop costs the writers, and how long the WAL gets meanwhile."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.contest import Entry, Worker
from harness.figures import Figure, Section, Table
from harness.sample import ratio
from harness.setting import Setting

from .filling import fill_runs

_ROUNDS, _CALLS, _STORED, _PAUSE_S = 20, 300, 20_000, 0.02
_POLL_S = 0.002
_CHILD = Path(__file__).resolve().parents[1] / "children" / "reader.py"
_TEXT = f"""\
A writer records runs in a store of {_STORED:,}; in every second round a reader asks for the latest runs and the
counts, with {_PAUSE_S * 1000:.0f} ms between two questions. Compared is the processor time of a run and its median
time, with the reader and without, round by round. The WAL is looked at every {_POLL_S * 1000:.0f} ms.
"""


def measure(setting: Setting) -> Section:
    """Alternate rounds without and with the reader."""
    base = setting.directory / "base"
    fill_runs(base, setting.count(_STORED))
    rounds = setting.count(_ROUNDS, least=3)
    alone, watched, questions = [], [], 0
    entry = Entry("writer", "ours:Runs", {"base": str(base)}, calls=_CALLS)
    with Worker(entry, setting.directory / "writer") as worker, _longest(base) as longest:
        worker.calls()
        for _ in range(rounds):
            alone.append(worker.calls())
            with _reader(base) as asked:
                watched.append(worker.calls())
            questions += asked[0]
        worker.close()
    cpu = ratio([each["cpu_ns"] for each in watched], [each["cpu_ns"] for each in alone])
    medians = [[statistics.median(each["ns"]) for each in side] for side in (watched, alone)]
    figures = (
        Figure("a run while a reader loops, CPU time", cpu, "x", 1.10, against="without the reader"),
        Figure("a run while a reader loops, median time", ratio(*medians), "x", 1.10, against="without the reader"),
        Figure("longest WAL", longest[0] / 1e6, "MB", 16.0),
    )
    rows = (("questions asked meanwhile", f"{questions:,}"), ("runs written", f"{2 * rounds * _CALLS:,}"))
    return Section("reader", "A reader beside the writers", _TEXT, figures, (Table(("", ""), rows),))


@contextmanager
def _reader(base: Path) -> Iterator[list[int]]:
    """Let the reader loop; its questions are counted in the list afterwards."""
    asked: list[int] = []
    command = [sys.executable, str(_CHILD), str(base), str(_PAUSE_S)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it has asked its first question
        yield asked
        output, _ = child.communicate("\n")
    asked.append(int(output.splitlines()[-1]))


@contextmanager
def _longest(base: Path) -> Iterator[list[int]]:
    """Watch the WAL; its greatest length stands in the list."""
    longest, is_over, path = [0], threading.Event(), base / "db" / "telemetry.sqlite-wal"

    def watch() -> None:
        while not is_over.wait(_POLL_S):
            if path.exists():
                longest[0] = max(longest[0], path.stat().st_size)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield longest
    finally:
        is_over.set()
        thread.join()
