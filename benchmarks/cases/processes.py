"""Measure how many durable events a second eight processes write into one journal."""

from __future__ import annotations

from harness.contest import Entry
from harness.figures import Figure, Section, Table
from harness.sample import Sample, ratio
from harness.setting import Setting
from harness.teams import team_race

_SIZE = 8
_ROUNDS = 16
_CALLS = 100
_LOCKED, _BARE, _OURS = "write + fdatasync under a file lock", "bare write + fdatasync, no lock", 'ours, fsync="always"'
_CALLED = "log_event() without a sink, then a bare write + fdatasync"
_TEXT = """\
Eight processes append to one file, and each line survives a power cut before its call returns. The ceiling is a bare
`os.write` and `fdatasync` without any lock, validation or check; the common way holds a lock over both. Ours locks
only the write. The third row shows what stops it: a call that does everything but the journal, followed by a bare
write: the work in Python after each sync. It takes several times the processor time that it takes in a loop (see
where the time goes, above); we suppose that the seven others have driven its code out of the caches meanwhile, and
have no counter here to prove it. Leaving the lock out altogether gains nothing that can be told from noise.
"""


def measure(setting: Setting) -> Section:
    """Let four teams of eight take turns."""
    shared = setting.directory / "shared"
    shared.mkdir()
    calls = setting.count(_CALLS, least=20)
    entries = [
        Entry(_LOCKED, "write_floor:UnderFileLock", {"sync": True, "shared": str(shared / "locked")}, calls=calls),
        Entry(_BARE, "write_floor:Floor", {"sync": True, "shared": str(shared / "bare")}, calls=calls),
        Entry(_CALLED, "python_floor:CalledAndBare", {"shared": str(shared / "called")}, calls=calls),
        Entry(_OURS, "ours:Events", {"fsync": "always", "base": str(shared / "base")}, calls=calls),
    ]
    samples = team_race(entries, setting.directory, size=_SIZE, rounds=setting.count(_ROUNDS, least=4))
    figures = tuple(
        Figure(f"durable events a second, {_SIZE} processes", _gain(samples, other), "x", limit, True, other)
        for other, limit in ((_LOCKED, 3.5), (_BARE, 0.95))
    )
    head = ("", "events a second", "x bare", "median µs", "p99 µs", "CPU µs an event")
    table = Table(head, tuple(_row(name, samples) for name in samples))
    return Section("processes", "Durable events from many processes", _TEXT, figures, (table,))


def _gain(samples: dict[str, Sample], other: str, name: str = _OURS) -> float:
    return ratio(samples[name].rates(), samples[other].rates())


def _row(name: str, samples: dict[str, Sample]) -> tuple[str, ...]:
    sample = samples[name]
    times = (f"{each:,.0f}" for each in (sample.median_us, sample.p99_us, sample.cpu_us))
    return (name, f"{sample.per_s:,.0f}", f"{_gain(samples, _BARE, name):.2f}", *times)
