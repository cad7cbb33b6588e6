"""
Run one contestant in a process of its own and measure it as it is told to, a JSON line at a time.

    python worker.py MODULE:CLASS DIRECTORY OPTIONS     OPTIONS is a JSON object

Started by `harness/contest.py` with the Python of the contestant's own environment, so it uses the standard library
only. Orders are `calls`, `burst`, `die` and `close`; each but `die` is answered with one line.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class Contestant(Protocol):
    """What each class in contestants/ is."""

    def call(self, number: int) -> None:
        """Do once what is measured; *number* can be found again by `read_back()`."""

    def close(self) -> None:
        """Bring everything out, as a program does that ends well."""

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers that can be read from *directory* by now."""


def loaded(name: str) -> Any:
    """Return the class that `module:Class` names."""
    module, _, kind = name.partition(":")
    return getattr(importlib.import_module(f"contestants.{module}"), kind)


def calls(contestant: Contestant, first: int, count: int) -> dict[str, Any]:
    """Call *contestant* so often, one after the other; return the nanoseconds of each call."""
    clock, call = time.perf_counter_ns, contestant.call
    took: list[int] = []
    if hasattr(contestant, "prepare"):
        contestant.prepare(count)
    pause_s = getattr(contestant, "pause_s", 0.0)
    cpu, began = time.process_time_ns(), clock()
    for number in range(first, first + count):
        before = clock()
        call(number)
        took.append(clock() - before)
        if pause_s:
            time.sleep(pause_s)
    return {"ns": took, "wall_ns": clock() - began, "cpu_ns": time.process_time_ns() - cpu}


def burst(contestant: Contestant, first: int, count: int, threads: int) -> dict[str, Any]:
    """Let *threads* share *count* calls; return the nanoseconds of each call."""
    barrier = threading.Barrier(threads + 1)
    shares = [range(first + start, first + count, threads) for start in range(threads)]
    took: list[list[int]] = [[] for _ in shares]

    def work(numbers: range, mine: list[int]) -> None:
        barrier.wait()
        for number in numbers:
            before = time.perf_counter_ns()
            contestant.call(number)
            mine.append(time.perf_counter_ns() - before)

    workers = [threading.Thread(target=work, args=pair) for pair in zip(shares, took, strict=True)]
    for worker in workers:
        worker.start()
    cpu = time.process_time_ns()
    barrier.wait()
    began = time.perf_counter_ns()
    for worker in workers:
        worker.join()
    wall_ns = time.perf_counter_ns() - began
    return {"ns": [ns for mine in took for ns in mine], "wall_ns": wall_ns, "cpu_ns": time.process_time_ns() - cpu}


def die(contestant: Contestant, first: int, count: int) -> None:
    """Call *contestant* so often and be killed directly after the last call."""
    for number in range(first, first + count):
        contestant.call(number)
    os.kill(os.getpid(), signal.SIGKILL)


def serve(contestant: Contestant, answers: Any) -> None:
    """Carry out the orders on standard input until `close` or its end."""
    acts: dict[str, Callable[..., Any]] = {"calls": calls, "burst": burst, "die": die}
    for line in sys.stdin:
        order = json.loads(line)
        act = order.pop("act")
        if act == "close":
            contestant.close()
            print(json.dumps({}), file=answers, flush=True)
            return
        print(json.dumps(acts[act](contestant, **order)), file=answers, flush=True)


def main() -> None:
    """Open the contestant, say so, and serve."""
    name, directory, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    # Some contestants greet on standard output: it goes to standard error, and the answers to a copy of it.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    kind = loaded(name)
    if options.pop("read_back", False):
        print(json.dumps(sorted(kind.read_back(directory))), file=answers, flush=True)
        return
    contestant = kind(directory, **options)
    print(json.dumps({}), file=answers, flush=True)
    serve(contestant, answers)


if __name__ == "__main__":
    main()
