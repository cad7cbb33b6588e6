"""
Measure the agent's calls with the default sinks (journal `fsync = "always"`, SQLite): median, p99 and writes a second.

    python benchmarks/seed.py [--runs 300] [--events 20] [--directory DIR]

Exit code 1 when a seed target is missed: start_run < 10 ms, log_event < 5 ms, end_run < 50 ms, > 20 writes/s (medians).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from telemetry import TelemetryClient

TARGETS_MS = {"start_run": 10.0, "log_event": 5.0, "end_run": 50.0}
LEAST_WRITES_PER_S = 20.0
PAYLOAD = {"file": "os.py", "lines": 1234, "ok": True, "ratio": 0.25, "tags": ["a", "b"], "note": "a line of prose"}


def timed(times: list[float], act: Callable[..., Any], *args: Any) -> Any:
    """Call *act* and add the milliseconds that it took to *times*."""
    began = time.perf_counter()
    result = act(*args)
    times.append((time.perf_counter() - began) * 1000)
    return result


def measure(client: TelemetryClient, runs: int, events: int) -> dict[str, list[float]]:
    """Record *runs* runs of *events* events each and return the milliseconds of every call, by its name."""
    times: dict[str, list[float]] = {name: [] for name in TARGETS_MS}
    for _ in range(runs):
        run_id = timed(times["start_run"], client.start_run, "bench", "seed")
        for _ in range(events):
            timed(times["log_event"], client.log_event, run_id, "parsed", PAYLOAD)
        timed(times["end_run"], client.end_run, run_id)
    return times


def report(times: dict[str, list[float]], elapsed_s: float) -> bool:
    """Print the table; return whether every target is met."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    print(f"{'call':<12}{'median ms':>12}{'p99 ms':>12}{'target ms':>12}")
    is_met = True
    for name, values in times.items():
        median, p99 = statistics.median(values), statistics.quantiles(values, n=100)[98]
        is_met &= median < TARGETS_MS[name]
        print(f"{name:<12}{median:>12.3f}{p99:>12.3f}{TARGETS_MS[name]:>12.0f}")
    writes = sum(map(len, times.values())) / elapsed_s
    print(f"{'writes/s':<12}{writes:>12.0f}{'':>12}{'> ' + format(LEAST_WRITES_PER_S, '.0f'):>12}")
    return is_met and writes > LEAST_WRITES_PER_S


def main() -> int:
    """Run the benchmark as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--directory", type=Path, help="where to write; a temporary place if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        client = TelemetryClient(base_dir=folder)
        began = time.perf_counter()
        times = measure(client, options.runs, options.events)
        elapsed_s = time.perf_counter() - began
        stored = client.get_stats()["total_runs"]
        client.close()
    is_met = report(times, elapsed_s)
    print(f"read back: {stored} of {options.runs} runs")
    return 0 if is_met and stored == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
