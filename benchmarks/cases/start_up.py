"""Measure what it costs to have the package: its import, the first event, the size on the disk, the distributions."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from harness.figures import Figure, Section, Table
from harness.setting import Setting

_ROUNDS = 40
_BARE, _IMPORT, _EVENT = "bare interpreter", "import telemetry", "import, client, run, first event"
_PROGRAMS = {
    _BARE: "pass",
    _IMPORT: "import telemetry",
    _EVENT: (
        "import telemetry; c = telemetry.TelemetryClient(); "
        "c.log_event(c.start_run('bench', 'start'), 'parsed', {'n': 1})"
    ),
}
_OF_REQUESTS = {"requests", "urllib3", "idna", "certifi", "charset-normalizer"}
_TEXT = """\
Programs are started in turns; the first event goes to a fresh directory, with the default sinks. Judged is the
processor time over that of a bare interpreter, since waiting for a core is not the import's. The size is that of
everything in a fresh environment: the package, what it needs, and the compiled bytecode.
"""


def measure(setting: Setting) -> Section:
    """Start programs, and look at what is installed."""
    times = _started(setting)
    over = {name: _median(times[name]) - _median(times[_BARE]) for name in (_IMPORT, _EVENT)}
    size_mb, names = _installed()
    others = [name for name in names if name not in _OF_REQUESTS and name != "local-telemetry"]
    figures = (
        Figure("import telemetry, over a bare interpreter", over[_IMPORT], "ms", 25.0),
        Figure("import and first event, over a bare interpreter", over[_EVENT], "ms", 90.0),
        Figure("installed size", size_mb, "MB", 15.0),
        Figure("distributions besides requests' own", len(others), "", 9),
    )
    head = ("program", "CPU ms", "wall ms")
    rows = tuple((name, f"{_median(found):.1f}", f"{_median(found, 1):.1f}") for name, found in times.items())
    text = f"{_TEXT}Installed beside it: {', '.join(others)}; of requests: {', '.join(sorted(_OF_REQUESTS))}."
    return Section("start_up", "Import, first event, size", text, figures, (Table(head, rows),))


def _started(setting: Setting) -> dict[str, list[tuple[float, float]]]:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in _PROGRAMS}
    for number in range(setting.count(_ROUNDS, least=5)):
        for name, program in _PROGRAMS.items():
            environ = {**os.environ, "TELEMETRY_BASE_DIR": str(setting.directory / f"base-{number}")}
            times[name].append(_start(program, environ, setting.directory))
    return times


def _start(program: str, environ: dict[str, str], directory: Path) -> tuple[float, float]:
    """Return the milliseconds of processor and of wall time that a Python with *program* takes, end included."""
    before, began = children_s(), time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=environ, cwd=directory, check=True)
    return (children_s() - before) * 1000, (time.perf_counter() - began) * 1000


def children_s() -> float:
    """Return the processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # os.times() counts in steps of 10 ms
    return used.ru_utime + used.ru_stime


def _median(times: list[tuple[float, float]], place: int = 0) -> float:
    return statistics.median(each[place] for each in times)


def _installed() -> tuple[float, list[str]]:
    """Return the size of this environment, in MB, and the distributions in it."""
    folder = Path(sysconfig.get_path("purelib"))
    return sum(_sizes(folder)) / 1e6, sorted({found.metadata["Name"].lower() for found in distributions()})


def _sizes(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob("*") if path.is_file())
