"""Say whether records are complete: which numbers are missing or doubled, writer by writer, store by store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, TypeAlias

from attrs import define, field, frozen

from ..plugins.lateness import is_late
from ..plugins.lines import encode_line
from ..plugins.merge import fold
from ..plugins.numbers import Numbers
from ..plugins.pruning import RunPruned
from ..plugins.records import DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from ..plugins.store import RunQuery, RunStore

__all__ = ["Findings", "WriterAccount", "verify"]

_MOST_NAMED = 1_000

ReadJournal: TypeAlias = Callable[[], Iterable[Record]]
"""Reads the journal from its beginning: every record, in its order."""


@define
class WriterAccount:
    """
    The numbers of one writer, taken in any order.

    `missing()` and `doubled` are exact; a writer whose last records are lost cannot be told from one that wrote none.
    A damaged number can make a gap of any size, so that gaps are kept as stretches.
    """

    writer: str
    records: int = 0
    doubled: set[int] = field(factory=set)
    _numbers: Numbers = field(factory=Numbers, init=False)
    _begin: int | None = field(default=None, init=False)

    def take(self, seq: int) -> None:
        """Enter one number."""
        self.records += 1
        if not self._numbers.add(seq):
            self.doubled.add(seq)

    def begin_at_one(self) -> None:
        """Count as missing what came before the first number: no day of the journal was pruned."""
        self._begin = 1

    @property
    def highest(self) -> int:
        """The highest number, 0 when there is none."""
        return self._numbers.highest

    def missing(self) -> Iterator[int]:
        """Yield the numbers that are missing, in order."""
        return chain.from_iterable(self._numbers.gaps(self._begin))

    @property
    def missing_count(self) -> int:
        """How many numbers are missing."""
        return sum(gap.stop - gap.start for gap in self._numbers.gaps(self._begin))

    @property
    def has_gaps(self) -> bool:
        """Whether a number is missing."""
        return bool(self._numbers.gaps(self._begin))

    @property
    def is_complete(self) -> bool:
        """Whether no number is missing or doubled."""
        return not self.has_gaps and not self.doubled

    def to_dict(self) -> dict[str, Any]:
        """Return the account as plain values; at most 1,000 numbers of a kind are named."""
        return {
            "writer": self.writer,
            "records": self.records,
            "highest": self.highest,
            "missing": list(islice(self.missing(), _MOST_NAMED)),
            "doubled": sorted(self.doubled)[:_MOST_NAMED],
        }


@frozen
class Findings:
    """
    What a verification found.

    `runs_astray` names runs that the store has not, or has with another status, against the journal; `events_astray`
    is how many more events the journal has than the store (negative: fewer); `undelivered` counts, by remote sink,
    the ended runs that it has neither taken nor refused. `unnumbered` counts records of earlier writers. `repeated`
    counts the doubled numbers whose lines are all the same: written again after a failed sync, or copied. `died` are
    writers that died in mid run and miss numbers: calls that never returned may have taken them.
    """

    writers: tuple[WriterAccount, ...]
    unnumbered: int
    runs: int
    events: int
    runs_astray: Mapping[str, str]
    events_astray: int
    undelivered: Mapping[str, int]
    repeated: int = 0
    died: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, doubled or astray; what waits for delivery is not lost."""
        return all(writer.is_complete for writer in self.writers) and not self.runs_astray and not self.events_astray


@define
class _Ledger:
    writers: dict[str, WriterAccount] = field(factory=dict)
    runs: dict[str, RunRecord] = field(factory=dict)
    delivered: dict[str, set[str]] = field(factory=dict)
    events: Counter[str] = field(factory=Counter)
    unnumbered: int = 0
    pruned: dict[str, str] = field(factory=dict)
    is_pruned: bool = False
    began: dict[str, str | None] = field(factory=dict)
    died: set[str | None] = field(factory=set)

    @classmethod
    def of(cls, journal: Iterable[Record]) -> _Ledger:
        ledger = cls()
        for record in journal:
            ledger.enter(record)
        if not ledger.is_pruned:
            for writer in ledger.writers.values():
                writer.begin_at_one()
        return ledger

    def enter(self, record: Record) -> None:
        if isinstance(record, RunPruned):
            self._prune(record)
            return
        if record.writer is None or record.seq is None:
            self.unnumbered += 1
        else:
            self.writers.setdefault(record.writer, WriterAccount(record.writer)).take(record.seq)
        if isinstance(record, RunRecord):
            self._note_death(record)
        if (before := self.pruned.get(record.run_id)) is not None:
            if is_late(record, before):
                return
            del self.pruned[record.run_id]
        if isinstance(record, RunEvent):
            self.events[record.run_id] += 1
        elif isinstance(record, RunRecord | MetricsUpdate | DeliveryReport):
            self.runs[record.run_id] = fold(self.runs.get(record.run_id), record)
        if isinstance(record, DeliveryReport):
            self.delivered.setdefault(record.sink, set()).add(record.run_id)

    def _note_death(self, run: RunRecord) -> None:
        if run.verdict:
            self.died.add(self.began.get(run.run_id))
        else:
            self.began.setdefault(run.run_id, run.writer)

    def _prune(self, line: RunPruned) -> None:
        self.is_pruned = True
        self.runs.pop(line.run_id, None)
        self.events.pop(line.run_id, None)
        self.pruned[line.run_id] = line.before


def verify(read_journal: ReadJournal, store: RunStore | None, remote_sinks: Iterable[str] = ()) -> Findings:
    """
    Compare what was written with what is stored; agents may write meanwhile.

    Args:
        store: the store that should agree with the journal, caught up; None when there is none.
        remote_sinks: names of the sinks that deliver runs elsewhere.
    """
    ledger = _Ledger.of(read_journal())
    runs_astray, events_astray = ({}, 0) if store is None else _against(ledger, store, read_journal)
    return Findings(
        writers=tuple(ledger.writers[name] for name in sorted(ledger.writers)),
        unnumbered=ledger.unnumbered,
        runs=len(ledger.runs),
        events=ledger.events.total(),
        runs_astray=runs_astray,
        events_astray=events_astray,
        undelivered={sink: _undelivered(ledger, sink) for sink in remote_sinks},
        repeated=_repeated(ledger, read_journal),
        died=tuple(name for name in sorted(ledger.writers) if name in ledger.died and ledger.writers[name].has_gaps),
    )


def _against(ledger: _Ledger, store: RunStore, read_journal: ReadJournal) -> tuple[dict[str, str], int]:
    """Return the runs that are astray, and how many events are."""
    statuses, events = dict(_differing(ledger, store)), Counter(event.run_id for event in store.events())
    if not statuses and not _events_astray(ledger, events, ledger):
        return {}, 0
    # The store was asked after the journal was read, and may know what agents have written since: what it says is
    # right when it lies between what the journal said before and what it says now.
    now = _Ledger.of(read_journal())
    astray = {
        run_id: _told(ledger.runs[run_id], status)
        for run_id, status in statuses.items()
        if not _says(now, run_id, status)
    }
    return astray, _events_astray(ledger, events, now)


def _differing(ledger: _Ledger, store: RunStore) -> Iterator[tuple[str, str | None]]:
    doubtful = {run_id: run.status for run_id, run in ledger.runs.items()}
    for stored in store.runs(RunQuery(limit=None)):
        if doubtful.get(stored.run_id) == stored.status:
            del doubtful[stored.run_id]
    # One by one only now: a run whose start is corrected meanwhile can slip through between two pages.
    for run_id, status in doubtful.items():
        known = store.get_run(run_id)
        if known is None or known.status != status:
            yield run_id, None if known is None else known.status


def _says(ledger: _Ledger, run_id: str, status: str | None) -> bool:
    run = ledger.runs.get(run_id)
    return status == (None if run is None else run.status)


def _told(run: RunRecord, status: str | None) -> str:
    return "not in the store" if status is None else f"{run.status} in the journal, {status} in the store"


def _events_astray(ledger: _Ledger, stored: Counter[str], now: _Ledger) -> int:
    lacking = ((ledger.events & now.events) - stored).total()
    # Of a run that began in a day that was deleted, the store knows more than the journal.
    return lacking or (0 if now.is_pruned else -(stored - now.events).total())


def _repeated(ledger: _Ledger, read_journal: ReadJournal) -> int:
    doubled = {name: writer.doubled for name, writer in ledger.writers.items() if writer.doubled}
    if not doubled:
        return 0
    texts: dict[tuple[str, int], set[int]] = {}
    for record in read_journal():
        if isinstance(record, RunPruned) or record.writer is None or record.seq is None:
            continue
        if record.seq in doubled.get(record.writer, ()):
            texts.setdefault((record.writer, record.seq), set()).add(hash(encode_line(record)))
    return sum(len(found) == 1 for found in texts.values())


def _undelivered(ledger: _Ledger, sink: str) -> int:
    known = ledger.delivered.get(sink, set())
    return sum(1 for run in ledger.runs.values() if not run.is_running and run.run_id not in known)
