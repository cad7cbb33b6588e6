"""Build the database anew from a journal of a million lines: how long, in how much memory, and after a kill."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from harness.figures import Figure, Section, Table
from harness.setting import Setting

from .children import answer_of, start
from .filling import write_journal

_LINES = 1_000_000
_KILLED_AFTER = 0.4
_TEXT = """\
A journal of a million lines (100,000 runs, 800,000 events) and no database, which `telemetry rebuild` builds. The
floor decodes the same lines and inserts their rows, in one transaction, without folding, checking or a cursor. In the
last row the building process is killed on the way, and another one goes on. All is one thread's work: half of its time
goes into the lines of runs (20 µs each), a third into events (4 µs), the rest into indexes, check and copy.
"""


def measure(setting: Setting) -> Section:
    """Build it in one go, kill a second build, and let the floor do the least."""
    lines = setting.count(_LINES)
    base = setting.directory / "base"
    runs, size = write_journal(base, lines)
    whole = answer_of("rebuild", base)
    floor_s = _floor_s(base)
    resumed = _killed_and_resumed(base, whole["all_s"])
    work = f"rebuild from {lines:,} lines"
    complete = all((each["runs"], each["events"]) == (runs, 1) for each in (whole, resumed))
    figures = (
        Figure(work, whole["all_s"], "s", 10.0 * setting.share),
        Figure(f"{work}, beside the floor", whole["cpu_s"] / floor_s, "x", against="decode and INSERT, CPU time"),
        Figure(f"{work}, peak memory", whole["peak_mib"], "MiB", 64.0),
        Figure(f"{work}, runs missing, also after a kill", 0 if complete else 1, "runs", 0),
    )
    head = ("", "s", "CPU s", "peak MiB")
    rows = (
        _row("in one go", whole),
        ("floor: decode and INSERT", "", f"{floor_s:.1f}", ""),
        _row(f"after a kill at {_KILLED_AFTER:.0%}", resumed),
    )
    text = f"{_TEXT}The journal has {size / 1e6:,.0f} MB."
    return Section("rebuild", "Rebuild from the journal", text, figures, (Table(head, rows),))


def _row(name: str, found: dict[str, Any]) -> tuple[str, ...]:
    return name, *(f"{found[key]:.1f}" for key in ("all_s", "cpu_s", "peak_mib"))


def _killed_and_resumed(base: Path, whole_s: float) -> dict[str, Any]:
    for folder in ("db", "state"):
        shutil.rmtree(base / folder, ignore_errors=True)
    with start("rebuild", base) as child:
        time.sleep(whole_s * _KILLED_AFTER)
        child.kill()
    found: dict[str, Any] = answer_of("rebuild", base)
    return found


def _floor_s(base: Path) -> float:
    """Return the processor seconds that decoding every line and inserting one row for it takes."""
    (path,) = (base / "raw").iterdir()
    decode = msgspec.json.Decoder().decode
    began = time.process_time()
    with closing(sqlite3.connect(base / "floor.sqlite", isolation_level=None)) as connection, path.open("rb") as file:
        connection.execute("CREATE TABLE runs (run_id TEXT, name TEXT, status TEXT, start TEXT, metrics TEXT)")
        connection.execute(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, run_id TEXT, type TEXT, at TEXT, payload TEXT)"
        )
        connection.execute("CREATE INDEX of_run ON events (run_id)")
        connection.execute("BEGIN")
        for line in file:
            found = decode(line)
            if found["record_type"] == "event":
                payload = msgspec.json.encode(found["payload"]).decode()
                row = (found["run_id"], found["event_type"], found["timestamp"], payload)
                connection.execute("INSERT INTO events (run_id, type, at, payload) VALUES (?, ?, ?, ?)", row)
            else:
                run = (found["run_id"], found["agent_name"], found["status"], found["start_time"])
                connection.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", (*run, str(found["metrics"])))
        connection.execute("COMMIT")
    return time.process_time() - began
