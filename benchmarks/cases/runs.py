"""Measure start_run() + end_run() with journal and database: alone, beside others, and with eight at one store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.contest import Entry, deaths, lost_after_close, race
from harness.figures import Figure, Section, Table
from harness.sample import Sample, ratio
from harness.setting import Setting
from harness.teams import team_race

from .peers import Peer, entries_of, words
from .run_parts import LAYERS, layers, steps

_ROUNDS, _CALLS = 30, 100
_SIZE, _TEAM_ROUNDS, _TEAM_CALLS = 8, 10, 100
_STEP_ROUNDS, _PAUSE_S = 300, 0.005
_SPIN, _PACED = "no telemetry: 80 µs of counting", 'ours, write="behind", a run every 5 ms'
_FLOOR, _INLINE, _BEHIND = "floor: 2 lines, INSERT, UPDATE", 'ours, write="inline"', 'ours, write="behind"'
_PEERS = (Peer("MLflow with SQLite, a run", "mlflow_sqlite:Runs", "mlflow", 3),)
_HEAD = ("", "median µs", "p99 µs", "CPU µs", "x floor", "lost after a clean end", "lost after kill -9")
_TEXT = """\
A whole run: its start and its end, each a line in the journal (`fsync = "interval"`), together one INSERT and one
UPDATE. The floor does just that on one kept connection with the same tables and indexes. `write = "behind"` leaves
the rows to a thread. MLflow also logs one metric, which makes its runs countable. A p99 says more of the disk than of
the code where that of the floor is as long. In a loop without a pause every hundredth run finds the WAL full; while
it is written back, rows wait behind the caller.

What stops `write = "inline"` from two floors is the floor itself: two rows in seven indexes are most of a run, and made
between runs of ours, with the processor's caches as ours finds them, the very statements of the floor take longer than
in their own tight loop. The rest is spread over many small steps, none of which is a tenth of the whole: checks,
redaction, encoding, a lock between threads and one between processes for each line and each row, a guard around each
sink, and the row of what the schema has no column for, which tells a reader how far the journal was read. Left out for
a trial, in turns, all locks of the store saved 9 of 133 µs and that row 8: without both a run would take 2.0 floors.

With eight processes on two cores that do nothing else, a process waits some milliseconds until the scheduler gives it
a core back: those that only count for 80 µs a call, and write nothing, miss 1.5 ms as well. What ours takes above them
are the threads that write the rows, which want the same cores. Where agents also do something else, and start a run
every 5 ms each, the p99 is that of the code.
"""


def measure(setting: Setting) -> Section:
    """Race alone, then in teams of eight."""
    entries = [
        Entry(_FLOOR, "sqlite_floor:Floor", calls=_CALLS),
        Entry(_INLINE, "ours:Runs", calls=_CALLS),
        Entry(_BEHIND, "ours:Runs", {"write": "behind"}, calls=_CALLS),
        *entries_of(_PEERS, setting),
    ]
    rounds = setting.count(_ROUNDS, least=4)
    alone = race([*entries, *LAYERS], setting.directory, rounds=rounds)
    table = Table(_HEAD, tuple(_row(entry, alone, setting, rounds) for entry in entries), "One process")
    profile = steps(setting.directory / "steps", setting.count(_STEP_ROUNDS, least=5))
    teams = _teams(setting)
    head = ("", "runs a second", "median µs", "p99 µs")
    crowd = Table(head, tuple(_team_row(*pair) for pair in teams.items()), f"{_SIZE} processes, one store")
    tables = (table, layers(alone, _FLOOR, _INLINE), profile, crowd)
    return Section("runs", "A whole run", _TEXT + words(_PEERS, setting), tuple(_figures(alone, teams)), tables)


def _figures(alone: dict[str, Sample], teams: dict[str, Sample]) -> Iterator[Figure]:
    times = ratio(alone[_INLINE].medians(), alone[_FLOOR].medians())
    yield Figure("start_run + end_run", times, "x", 2.0, against=_FLOOR)
    yield Figure(f"start_run + end_run, p99, {_SIZE} processes", teams[_INLINE].p99_us / 1000, "ms", 10.0)
    work = 'start_run + end_run, write="behind", p99'
    spin = f"{teams[_SPIN].p99_us / 1000:.1f} ms without telemetry"
    yield Figure(f"{work}, one process", alone[_BEHIND].p99_us / 1000, "ms", 1.5)
    yield Figure(f"{work}, {_SIZE} processes, a run every 5 ms each", teams[_PACED].p99_us / 1000, "ms", 1.5)
    yield Figure(f"{work}, {_SIZE} processes, no pause", teams[_BEHIND].p99_us / 1000, "ms", 1.5, against=spin)


def _row(entry: Entry, samples: dict[str, Sample], setting: Setting, rounds: int) -> tuple[str, ...]:
    sample, made = samples[entry.name], entry.calls * (rounds + 1)
    speeds = (f"{sample.median_us:,.0f}", f"{sample.p99_us:,.0f}", f"{sample.cpu_us:,.0f}")
    times = f"{ratio(sample.medians(), samples[_FLOOR].medians()):.2f}"
    killed, lost = deaths(entry, setting.directory, times=3, calls=entry.calls)
    lost_at_end = lost_after_close(entry, setting.directory, rounds)
    return (entry.name, *speeds, times, f"{lost_at_end:,} of {made:,}", f"{lost:,} of {killed:,}")


def _teams(setting: Setting) -> dict[str, Sample]:
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        _SPIN: ("spin:Spin", {}),
        _INLINE: ("ours:Runs", {"base": "inline"}),
        _BEHIND: ("ours:Runs", {"base": "behind", "write": "behind"}),
        _PACED: ("ours:Runs", {"base": "paced", "write": "behind", "pause_s": _PAUSE_S}),
    }
    return {name: _team(setting, name, kind, options) for name, (kind, options) in kinds.items()}


def _team(setting: Setting, name: str, kind: str, options: dict[str, Any]) -> Sample:
    if "base" in options:
        options = {**options, "base": str(setting.directory / f"shared-{options['base']}")}
    entry = Entry(name, kind, options, calls=setting.count(_TEAM_CALLS, least=30))
    rounds = setting.count(_TEAM_ROUNDS, least=2)
    return team_race([entry], setting.directory / "teams", size=_SIZE, rounds=rounds)[name]


def _team_row(name: str, sample: Sample) -> tuple[str, ...]:
    return name, *(f"{each:,.0f}" for each in (sample.per_s, sample.median_us, sample.p99_us))
