"""Measure log_event() in one thread beside floors and peers, speed and loss in one table for each class of safety."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen
from harness.contest import Entry, deaths, lost_after_close, race
from harness.figures import Figure, Section, Table
from harness.sample import Sample, ratio
from harness.setting import Setting

from .peers import Peer, entries_of, words

_DEATHS = 3
_WRITE, _SYNC = "floor: os.write", "floor: os.write + fdatasync"
_ALWAYS, _INTERVAL, _NEVER = ('ours, fsync="always"', 'ours, fsync="interval"', 'ours, fsync="never"')
_LOGGING, _BARE, _SYNCED = ("logging to a file", "logging, the payload alone", "logging to a file + fdatasync")
_STRUCTLOG = "structlog + orjson"
_ONE_FUNCTION = "floor: the same checks, lock and write in one function"


@frozen
class _Class:
    """Contestants that make the same promise, the floor under it first, and how long they race."""

    name: str
    title: str
    rounds: int
    own: tuple[Entry, ...]
    peers: tuple[Peer, ...] = ()


_FLOOR = Entry(_WRITE, "write_floor:Floor")
_CLASSES = (
    _Class(
        "power",
        "Each line survives a power cut before the call returns",
        100,  # short rounds and many: how long a sync takes changes from moment to moment
        (
            Entry(_SYNC, "write_floor:Floor", {"sync": True}, calls=20),
            Entry(_ALWAYS, "ours:Events", {"fsync": "always"}, calls=20),
            Entry(_SYNCED, "stdlib_logging:Logging", {"sync": True}, calls=20),
        ),
    ),
    _Class(
        "process",
        "Each line survives the death of the process",
        30,
        (
            _FLOOR,
            Entry(_ONE_FUNCTION, "python_floor:InOneFunction"),
            Entry(_NEVER, "ours:Events", {"fsync": "never"}),
            Entry(_INTERVAL, "ours:Events", {"fsync": "interval"}),
            Entry(_LOGGING, "stdlib_logging:Logging"),
            Entry(_BARE, "stdlib_logging:Bare"),
        ),
        (
            Peer(_STRUCTLOG, "structlog_orjson:Structlog", "structlog", 1000),
            Peer("MLflow with SQLite, log_metric()", "mlflow_sqlite:Events", "mlflow", 10),
        ),
    ),
    _Class(
        "memory",
        "Kept in memory, or handed to another thread or process",
        10,
        (_FLOOR, Entry("logging behind a MemoryHandler", "stdlib_logging:Buffered")),
        (
            Peer("OpenTelemetry SDK, batched", "opentelemetry_sdk:Batched", "opentelemetry", 1000),
            Peer("W&B offline, log()", "wandb_offline:Events", "wandb", 200),
            Peer("Trackio, log()", "trackio_local:Events", "trackio", 100),
        ),
    ),
)
_TEXT = """\
The same content for everybody: an event of a run with 130 bytes of payload, a fresh dict each time. `logging` writes
it with a time and not as JSON; "the payload alone" is the least that `logging.info()` can do with it.

What stops ours from being as quick as structlog, which neither copies nor checks nor searches a payload, takes no lock
between processes and passes a processor's exception on to the agent: the row "the same checks, lock and write in one
function" does what has to be done to payload and file, and nothing else: the least that we know how to do in Python.
What ours takes above it pays for records, processors, a guard around each sink, and sinks that can be exchanged.
"""


def measure(setting: Setting) -> Section:
    """Race them all, count what is lost, and put both side by side."""
    tables: list[Table] = []
    samples: dict[str, Sample] = {}
    for group in _CLASSES:
        found, table = _raced(group, setting)
        tables.append(table)
        samples = {**found, **samples}  # the floor stands in two races; ours is compared in the first of them
    peers = tuple(peer for group in _CLASSES for peer in group.peers)
    return Section(
        "events", "One event, one thread", _TEXT + words(peers, setting), tuple(_figures(samples)), (*tables,)
    )


def _raced(group: _Class, setting: Setting) -> tuple[dict[str, Sample], Table]:
    directory = setting.directory / group.name
    entries = [*group.own, *entries_of(group.peers, setting)]
    rounds = setting.count(group.rounds, least=3)
    samples = race(entries, directory, rounds=rounds)
    floor = samples[entries[0].name]
    rows = []
    for entry in entries:
        killed, lost = deaths(entry, directory, times=_DEATHS, calls=min(entry.calls, 500))
        sample = samples[entry.name]
        made = entry.calls * (rounds + 1)
        ends = (f"{lost_after_close(entry, directory, rounds):,} of {made:,}", f"{lost:,} of {killed:,}")
        rows.append((entry.name, *_speeds(sample, floor), *ends))
    head = ("", "median µs", "p99 µs", "CPU µs", "x floor", "lost after a clean end", "lost after kill -9")
    return samples, Table(head, tuple(rows), group.title)


def _speeds(sample: Sample, floor: Sample) -> tuple[str, ...]:
    figures = (f"{sample.median_us:,.1f}", f"{sample.p99_us:,.0f}", f"{sample.cpu_us:,.1f}")
    return (*figures, f"{ratio(sample.medians(), floor.medians()):.1f}")


def _figures(samples: dict[str, Sample]) -> Iterator[Figure]:
    for name in (_INTERVAL, _NEVER):
        for other, limit in ((_LOGGING, 0.75), (_BARE, None), (_STRUCTLOG, 1.0), (_WRITE, None)):
            if other in samples:
                yield _figure(samples, name, other, limit)
    for other in (_STRUCTLOG, _LOGGING):
        if other in samples:
            times = ratio(samples[_ONE_FUNCTION].medians(), samples[other].medians())
            yield Figure("the same checks, lock and write in one function", times, "x", against=other)
    yield _figure(samples, _ALWAYS, _SYNC, 1.15)


def _figure(samples: dict[str, Sample], ours: str, other: str, limit: float | None) -> Figure:
    times = ratio(samples[ours].medians(), samples[other].medians())
    return Figure(f"log_event, {ours[6:]}, one thread", times, "x", limit, against=other)
