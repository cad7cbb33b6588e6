"""Show where the time of a run goes: by what each layer adds to it, and step by step."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contestants.sqlite_floor import make_tables
from harness.contest import Entry
from harness.figures import Table
from harness.sample import Sample, quantile

from telemetry import RunRecord, TelemetryClient
from telemetry.core.live import LiveRun
from telemetry.plugins.changing import filled
from telemetry.plugins.ids import generate_run_id, get_iso8601_timestamp
from telemetry.plugins.lines import encode_line
from telemetry.sinks.journal import Journal
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.draining import store

__all__ = ["LAYERS", "layers", "steps"]

_REPEATS, _CALLS = 20, 100
_LINES, _KEPT, _JOURNAL, _BETWEEN = "floor: 2 lines", "ours, no sinks", "ours, journal alone", "floor between ours"
_WRITER = "5b99c73325e7"
LAYERS = (
    Entry(_LINES, "sqlite_floor:Lines", calls=_CALLS),
    Entry(_KEPT, "ours:Kept", calls=_CALLS),
    Entry(_JOURNAL, "ours:Runs", {"write": None}, calls=_CALLS),
    Entry(_BETWEEN, "between:Between", calls=_CALLS),
)
"""Who takes part in the race beside the floor and ours, for the sake of the differences."""


def layers(samples: dict[str, Sample], floor: str, ours: str) -> Table:
    """Return what each layer adds to a run, from the medians of one race."""
    us = {name: sample.median_us for name, sample in samples.items()}
    rows = {
        "floor: both lines": us[_LINES],
        "floor: both rows": us[floor] - us[_LINES],
        "the same floor between runs of ours": us[_BETWEEN] - us[_JOURNAL],
        "ours: ids, checks, records, search for secrets, bus": us[_KEPT],
        "ours: both lines, with guards, encoding and locks": us[_JOURNAL] - us[_KEPT],
        "ours: both rows, with guards, locks and extras": us[ours] - us[_JOURNAL],
        "ours in all": us[ours],
    }
    told = tuple((name, f"{took:.0f}", f"{took / us[floor]:.2f}") for name, took in rows.items())
    return Table(("layer", "µs", "x floor"), told, "Where the time goes, layer by layer")


def steps(directory: Path, rounds: int) -> Table:
    """Return how long each step takes by itself in a loop, for start and end together."""
    directory.mkdir()
    rows = _Rows(directory)
    acts = _acts(directory, rows)
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        rows.refill()
        for name, act in acts.items():
            began = time.perf_counter_ns()
            for _ in range(_REPEATS):
                act()
            times[name].append((time.perf_counter_ns() - began) / _REPEATS)
    found = tuple((name, f"{quantile(each, 0.1) / 1000:.1f}") for name, each in times.items())
    return Table(("step", "µs"), found, "Step by step, each by itself and so with warm caches")


def _acts(directory: Path, rows: _Rows) -> dict[str, Callable[[], Any]]:
    client = TelemetryClient(sinks={}, base_dir=directory)
    journal = Journal(directory / "raw", fsync="never", interval_s=1.0, lock_wait_s=0.1)
    intake, redactor, now = client._intake, client._bus.redactor, get_iso8601_timestamp()
    assert redactor is not None
    given: dict[str, Any] = {"agent_name": "bench", "job_type": "job", "trigger_type": "cli", "agent_owner": "me"}
    start, end = _pair(0)
    line = encode_line(end)
    return {
        "id and record of the start": lambda: client._start_record(
            now, {**given, "run_id": generate_run_id("bench", now), "parent_run_id": None}
        ),
        "record of the end": lambda: (intake.ending({"items_succeeded": 1}), LiveRun(start).ended("success", "w", 2)),
        "search for secrets": lambda: (redactor(start), redactor(end)),
        "encode both lines": lambda: (encode_line(start), encode_line(end)),
        "journal: lock, append, unlock": lambda: (journal.append(line), journal.append(line)),
        "store: turn, lock, look at the WAL": lambda: (rows.lock(), rows.lock()),
        "store: INSERT": rows.insert,
        "store: UPDATE, and INSERT of what the schema has no column for": rows.update,
    }


class _Rows:
    """Runs to write, and the store that they are written to."""

    def __init__(self, directory: Path) -> None:
        make_tables(directory)
        self._database = Database(directory / "db" / "telemetry.sqlite")
        self._numbers = itertools.count(1)
        self._starts: list[RunRecord] = []
        self._ends: list[RunRecord] = []
        with self._database.writing(5.0) as opened:
            self._opened = opened

    def refill(self) -> None:
        """Make the runs of one round, and keep the WAL from getting full in it."""
        self._database.checkpoint(5.0, least_bytes=1 << 21)
        pairs = [_pair(next(self._numbers)) for _ in range(_REPEATS)]
        self._starts, self._ends = [start for start, _ in pairs], [end for _, end in pairs]

    def lock(self) -> None:
        with self._database.writing_one(1.0):
            self._database.is_wal_full()

    def insert(self) -> None:
        store(self._opened, self._starts.pop(), is_journaled=True)

    def update(self) -> None:
        store(self._opened, self._ends.pop(), is_journaled=True)


def _pair(number: int) -> tuple[RunRecord, RunRecord]:
    """Return the start and the end of a run."""
    now = get_iso8601_timestamp()
    names: dict[str, Any] = {
        "run_id": f"20261123T100000Z-bench-{number:08x}",
        "agent_name": "bench",
        "agent_owner": "me",
    }
    start = RunRecord(**names, job_type="job", start_time=now, host="vm", writer=_WRITER, seq=2 * number + 1)
    ending = {"status": "success", "end_time": now, "duration_ms": 0, "items_succeeded": 1, "seq": 2 * number + 2}
    return start, filled(start, ending)
