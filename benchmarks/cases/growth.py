"""Plot what a call costs against the size of the store and the number of processes; flat is the goal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.contest import Entry, race
from harness.figures import Figure, Line, Plot, Section
from harness.sample import Sample
from harness.setting import Setting
from harness.teams import team_race

from .filling import fill_runs

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_TEAMS = (1, 2, 4, 8, 16, 32, 64)
_ROUNDS, _CALLS, _TEAM_CALLS = 10, 200, 640
_TEXT = """\
First one process writes to stores that hold more and more runs already, all of them in one race. Then more and more
processes share one journal and one store, without a pause between calls; what is plotted is the processor time of a
call, since a time on the wall would only count the cores.
"""


def measure(setting: Setting) -> Section:
    """Race over store sizes, then over team sizes."""
    by_size, sizes = _by_size(setting)
    by_team = {name: _by_team(setting, name, entry) for name, entry in _KINDS.items()}
    first, last = by_size["run, µs"].points[0][1], by_size["run, µs"].points[-1][1]
    figures = (Figure(f"a run in a store of {sizes[-1]:,} runs", last / first, "x", against=f"in one of {sizes[0]:,}"),)
    plots = (
        Plot(
            "benchmark-store-size", "One run against the size of the store", "runs stored", "µs", (*by_size.values(),)
        ),
        Plot("benchmark-processes", "One call against the processes", "processes", "CPU µs", (*by_team.values(),)),
    )
    return Section("growth", "Growth", _TEXT, figures, (), plots)


def _by_size(setting: Setting) -> tuple[dict[str, Line], list[int]]:
    sizes = [setting.count(size, least=100) for size in _SIZES]
    entries = []
    for size in sizes:
        base = setting.directory / f"base-{size}"
        fill_runs(base, size)
        entries.append(Entry(f"{size}", "ours:Runs", {"base": str(base)}, calls=_CALLS))
    samples = race(entries, setting.directory / "sizes", rounds=setting.count(_ROUNDS, least=3))
    readings: dict[str, Callable[[Sample], float]] = {
        "run, µs": lambda sample: sample.median_us,
        "run, CPU µs": lambda sample: sample.cpu_us,
    }
    points = {name: tuple((size, read(samples[f"{size}"])) for size in sizes) for name, read in readings.items()}
    return {name: Line(name, found) for name, found in points.items()}, sizes


_KINDS: dict[str, Entry] = {
    'event, "interval"': Entry("events", "ours:Events", {"fsync": "interval"}),
    'event, "always"': Entry("events", "ours:Events", {"fsync": "always"}),
    "run": Entry("runs", "ours:Runs"),
}


def _by_team(setting: Setting, name: str, kind: Entry) -> Line:
    points = []
    teams = [size for size in _TEAMS if size <= setting.count(_TEAMS[-1], least=4)]
    for size in teams:
        place = setting.directory / f"team-{size}-{'-'.join(filter(str.isalpha, name))}"
        calls = setting.count(_TEAM_CALLS, least=size * 10) // size
        points.append((float(size), _cpu_us(place, kind, size, calls)))
    return Line(name, tuple(points))


def _cpu_us(place: Path, kind: Entry, size: int, calls: int) -> float:
    options = {**kind.options, "base": str(place / "base")}
    entry = Entry(kind.name, kind.kind, options, calls=calls)
    return team_race([entry], place, size=size, rounds=4)[kind.name].cpu_us
