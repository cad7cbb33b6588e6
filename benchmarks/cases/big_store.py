"""Ask a store of a million runs and ten million events what its readers ask every day."""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.figures import Figure, Section, Table
from harness.setting import Setting

from telemetry import TelemetryClient
from telemetry.plugins import RunQuery

from .children import start
from .filling import fill_events, fill_runs

_RUNS, _EVENTS_EACH = 1_000_000, 10
_AGENT = "agent-42"
_TIMES = 30
_KEPT_DAYS = 80  # of 90
_WRITER_PAUSE_S = 0.005
_TEXT = """\
100 agents, 90 days. Questions are asked through the reading API of an open store; the command is a process of its
own, from start to end. Times are medians of many; a store that was just opened answers its first question in the time
of the last column. Retention deletes in steps that aim at 10 ms by the time that the last one took; its longest time
counts the checkpoints between them too, which wait for the disk to sync. After each it lets go for as long again.
"""


def measure(setting: Setting) -> Section:
    """Fill the store, ask, and start the command."""
    base = setting.directory / "base"
    runs = setting.count(_RUNS)
    fill_events(base, fill_runs(base, runs), _EVENTS_EACH)
    with TelemetryClient(base_dir=base) as client:
        found = {name: _asked(question) for name, question in _questions(client).items()}
    command_cpu_ms, command_ms = _command(base)
    limits = {"latest 20 runs of an agent": 1.0, "counts by status, last day": 5.0, "p95 duration of an agent": 10.0}
    figures = (
        *(Figure(name, statistics.median(found[name]), "ms", limit) for name, limit in limits.items()),
        Figure("telemetry runs, start to end, CPU time", command_cpu_ms, "ms", 300.0),
        Figure("telemetry runs, start to end, wall time", command_ms, "ms"),
    )
    pruned, waits_ms = _pruned(base)
    figures += (
        Figure("longest time for which retention held the write lock", pruned["longest_ms"], "ms", 50.0),
        Figure("longest wait of a writer meanwhile", max(waits_ms), "ms"),
    )
    rows = tuple((name, f"{statistics.median(times):.2f}", f"{times[0]:.2f}") for name, times in found.items())
    size = (base / "db" / "telemetry.sqlite").stat().st_size
    thinned = f"Pruned were {pruned['runs']:,.0f} runs in {pruned['took_s']:.0f} s."
    text = (
        f"{_TEXT}{thinned} The database held {runs:,} runs and {runs * _EVENTS_EACH:,} events in {size / 1e9:.1f} GB."
    )
    title = "A large store"
    return Section("big_store", title, text, figures, (Table(("question", "median ms", "first ms"), rows),))


def _questions(client: TelemetryClient) -> dict[str, Callable[[], Any]]:
    day = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="microseconds")
    store = client._reader()
    (newest,) = client.runs(agent=_AGENT, limit=1)
    return {
        "latest 20 runs of an agent": lambda: list(store.runs(RunQuery(agent=_AGENT, limit=20))),
        "counts by status, last day": lambda: store.summary("status", RunQuery(since=day, limit=None)),
        "p95 duration of an agent": lambda: store.summary("agent", RunQuery(agent=_AGENT, limit=None)),
        "one run with its events": lambda: (store.get_run(newest.run_id), list(store.events(newest.run_id))),
        "counts of all runs by status": store.stats,
    }


def _asked(question: Callable[[], Any]) -> list[float]:
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        question()
        times.append((time.perf_counter() - began) * 1000)
    return times


def _pruned(base: Path) -> tuple[dict[str, float], list[float]]:
    """Prune the oldest ninth of the runs, while a writer takes the lock again and again; return its waits."""
    waits_ms = []
    with (
        start("prune", base, _KEPT_DAYS) as child,
        closing(sqlite3.connect(base / "db" / "telemetry.sqlite")) as writer,
    ):
        while child.poll() is None:
            began = time.perf_counter()
            writer.execute("BEGIN IMMEDIATE")
            waits_ms.append((time.perf_counter() - began) * 1000)
            writer.execute("ROLLBACK")
            time.sleep(_WRITER_PAUSE_S)
        output, _ = child.communicate()
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found, waits_ms


def _command(base: Path) -> tuple[float, float]:
    """Return the median milliseconds of processor and of wall time of `telemetry runs`."""
    from .start_up import children_s

    environ = {**os.environ, "TELEMETRY_BASE_DIR": str(base)}
    command = [sys.executable, "-c", "from telemetry.core.cli.main import main; main()", "runs"]
    cpu, wall = [], []
    for _ in range(_TIMES):
        before, began = children_s(), time.perf_counter()
        subprocess.run(command, env=environ, cwd=base, check=True, stdout=subprocess.DEVNULL)
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((children_s() - before) * 1000)
    return statistics.median(cpu), statistics.median(wall)
