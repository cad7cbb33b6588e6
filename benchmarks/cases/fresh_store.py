"""Let 64 processes begin at once where nothing is yet: the race for the first use of journal and database."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from harness.contest import Entry, Worker
from harness.figures import Figure, Section
from harness.setting import Setting
from harness.teams import NUMBERS_EACH

_SIZE, _RUNS = 64, 100
_TEXT = """\
64 processes wait with an open client over an empty directory, then each records 100 runs at once, with the default
sinks and modes. Counted are processes in which a call raised, and runs that are not `success` in the database when
all have closed. A warning says that the database was locked for so long that a row was left to the catch-up with the
journal.
"""


def measure(setting: Setting) -> Section:
    """Start them, count rows and complaints."""
    base = setting.directory / "base"
    size = setting.count(_SIZE, least=8)
    entry = Entry("ours", "ours:Runs", {"base": str(base), "fsync": "always"}, calls=_RUNS)
    places = [setting.directory / f"member-{number}" for number in range(size)]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(entry, place, number * NUMBERS_EACH)) for number, place in enumerate(places)
        ]
        for worker in workers:
            worker.begin()
        failed = sum(map(_has_failed, workers))
    expected = {number * NUMBERS_EACH + run for number in range(size) for run in range(_RUNS)}
    work = f"{size} processes x {_RUNS} runs on a fresh store"
    figures = (
        Figure(f"{work}: processes with an error", failed, "", 0),
        Figure(f"{work}: warnings", _complaints(places), "lines"),
        Figure(f"{work}: runs missing in the database", len(expected - _ended(base)), "runs", 0),
        Figure(f"{work}: rows", _rows(base), "rows", size * _RUNS, is_at_least=True),
    )
    return Section("fresh_store", "Sixty-four at once on a fresh store", _TEXT, figures)


def _has_failed(worker: Worker) -> bool:
    try:
        worker.answer()
        worker.close()
    except RuntimeError:  # a call raised, which ended the worker
        return True
    return False


def _complaints(places: list[Path]) -> int:
    # What is logged goes to the worker's standard error.
    return sum(len((place / "worker.log").read_bytes().splitlines()) for place in places)


def _ended(base: Path) -> set[int]:
    with closing(sqlite3.connect(base / "db" / "telemetry.sqlite")) as connection:
        rows = connection.execute("SELECT items_succeeded FROM agent_runs WHERE status = 'success'")
        return {number for (number,) in rows}


def _rows(base: Path) -> int:
    with closing(sqlite3.connect(base / "db" / "telemetry.sqlite")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM agent_runs").fetchone()
        return int(count)
