"""Measure how many durable events a second the threads of one process write: the gain of the group commit."""

from __future__ import annotations

import threading
import time

from harness.contest import Entry, lost_after_close, race
from harness.figures import Figure, Section, Table
from harness.sample import Sample, ratio
from harness.setting import Setting

_ROUNDS = 10
_CALLS_EACH = 100
_TARGETS = {8: 4.0, 32: 6.0}
_LOCKED, _OURS = "write + fdatasync under one lock", 'ours, fsync="always"'
_GROUPS = "the group commit alone, one encoded dict a call"
_TEXT = """\
Threads of one process write events that each survive a power cut. The peer is what a thread-safe log does that syncs:
one lock around the write and the sync. Ours lets the first thread that comes write and sync for all that wait (group
commit).

Each line has to wake the thread that waits for it, and threads of one interpreter run one at a time. The row "the group
commit alone" shows what that costs: nothing is left of `log_event()` but the wait. With 8 threads and a sync of 0.12 ms
their turns take as long as the sync; to let the turns of one half run during the sync of the other gains nothing, as
was tried: we suppose that the leader then waits for the interpreter at each of its five system calls.
"""
_WAKES = 5000


def measure(setting: Setting) -> Section:
    """Race them with 1, 8 and 32 threads."""
    rows, figures = [], []
    for threads in (1, *_TARGETS):
        samples, lost = _raced(setting, threads)
        gain = ratio(samples[_OURS].rates(), samples[_LOCKED].rates())
        rows += [_row(threads, name, sample, lost[name]) for name, sample in samples.items()]
        if threads in _TARGETS:
            work = f"durable events a second, {threads} threads"
            figures.append(Figure(work, gain, "x", _TARGETS[threads], True, _LOCKED))
            gain = ratio(samples[_GROUPS].rates(), samples[_LOCKED].rates())
            figures.append(Figure(f"{_GROUPS}, {threads} threads", gain, "x", against=_LOCKED))
    figures.append(Figure("one thread wakes another and gives it the interpreter", _wake_us(), "µs"))
    head = ("threads", "", "events a second", "median µs", "p99 µs", "lost")
    return Section("threads", "Durable events from many threads", _TEXT, tuple(figures), (Table(head, tuple(rows)),))


def _raced(setting: Setting, threads: int) -> tuple[dict[str, Sample], dict[str, int]]:
    calls = setting.count(_CALLS_EACH, least=20) * threads
    entries = [
        Entry(_LOCKED, "write_floor:UnderOneLock", calls=calls),
        Entry(_GROUPS, "python_floor:GroupsOfLines", calls=calls),
        Entry(_OURS, "ours:Events", {"fsync": "always"}, calls=calls),
    ]
    directory = setting.directory / f"threads-{threads}"
    rounds = setting.count(_ROUNDS, least=3)
    samples = race(entries, directory, rounds=rounds, act="burst", threads=threads)
    return samples, {entry.name: lost_after_close(entry, directory, rounds) for entry in entries}


def _row(threads: int, name: str, sample: Sample, lost: int) -> tuple[str, ...]:
    speeds = (f"{sample.per_s:,.0f}", f"{sample.median_us:,.0f}", f"{sample.p99_us:,.0f}")
    return (str(threads), name, *speeds, f"{lost:,} of {sample.calls:,}")


def _wake_us() -> float:
    """Return what it takes one thread to wake another one, which waits at a lock: half of a wake there and back."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def answer() -> None:
        for _ in range(_WAKES):
            there.acquire()
            back.release()

    other = threading.Thread(target=answer)
    other.start()
    began = time.perf_counter()
    for _ in range(_WAKES):
        there.release()
        back.acquire()
    took_s = time.perf_counter() - began
    other.join()
    return took_s / _WAKES / 2 * 1e6
