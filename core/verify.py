"""Say whether records are complete: which numbers are missing or doubled, writer by writer, store by store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from ..plugins.merge import fold
from ..plugins.records import DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from ..plugins.store import RunStore

__all__ = ["Findings", "WriterAccount", "verify"]

_MOST_NAMED = 1_000


@define
class WriterAccount:
    """
    The numbers of one writer, taken in any order.

    `missing` and `doubled` are exact; a writer whose last records are lost cannot be told from one that wrote none.
    """

    writer: str
    records: int = 0
    highest: int = 0
    missing: set[int] = field(factory=set)
    doubled: set[int] = field(factory=set)

    def take(self, seq: int) -> None:
        """Enter one number."""
        self.records += 1
        if seq > self.highest:
            self.missing.update(range(self.highest + 1, seq))
            self.highest = seq
        elif seq in self.missing:
            self.missing.discard(seq)
        else:
            self.doubled.add(seq)

    @property
    def is_complete(self) -> bool:
        """Whether no number is missing or doubled."""
        return not self.missing and not self.doubled

    def to_dict(self) -> dict[str, Any]:
        """Return the account as plain values; at most 1,000 numbers of a kind are named."""
        return {
            "writer": self.writer,
            "records": self.records,
            "highest": self.highest,
            "missing": sorted(self.missing)[:_MOST_NAMED],
            "doubled": sorted(self.doubled)[:_MOST_NAMED],
        }


@frozen
class Findings:
    """
    What a verification found.

    `runs_astray` names runs that the store has not, or has with another status, against the journal; `events_astray`
    is how many more events the journal has than the store (negative: fewer); `undelivered` counts, by remote sink,
    the ended runs that it has neither taken nor refused. `unnumbered` counts records of earlier writers.
    """

    writers: tuple[WriterAccount, ...]
    unnumbered: int
    runs: int
    events: int
    runs_astray: Mapping[str, str]
    events_astray: int
    undelivered: Mapping[str, int]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, doubled or astray; what waits for delivery is not lost."""
        return all(writer.is_complete for writer in self.writers) and not self.runs_astray and not self.events_astray


@define
class _Ledger:
    writers: dict[str, WriterAccount] = field(factory=dict)
    runs: dict[str, RunRecord] = field(factory=dict)
    delivered: dict[str, set[str]] = field(factory=dict)
    events: int = 0
    unnumbered: int = 0

    def enter(self, record: Record) -> None:
        if record.writer is None or record.seq is None:
            self.unnumbered += 1
        else:
            self.writers.setdefault(record.writer, WriterAccount(record.writer)).take(record.seq)
        if isinstance(record, RunEvent):
            self.events += 1
        elif isinstance(record, RunRecord | MetricsUpdate | DeliveryReport):
            self.runs[record.run_id] = fold(self.runs.get(record.run_id), record)
        if isinstance(record, DeliveryReport):
            self.delivered.setdefault(record.sink, set()).add(record.run_id)


def verify(journal: Iterable[Record], store: RunStore | None, remote_sinks: Iterable[str] = ()) -> Findings:
    """
    Compare what was written with what is stored.

    Args:
        journal: every record, in the order of the journal.
        store: the store that should agree with it, caught up; None when there is none.
        remote_sinks: names of the sinks that deliver runs elsewhere.
    """
    ledger = _Ledger()
    for record in journal:
        ledger.enter(record)
    return Findings(
        writers=tuple(ledger.writers[name] for name in sorted(ledger.writers)),
        unnumbered=ledger.unnumbered,
        runs=len(ledger.runs),
        events=ledger.events,
        runs_astray=dict(_astray(ledger.runs, store)) if store is not None else {},
        events_astray=ledger.events - sum(1 for _ in store.events()) if store is not None else 0,
        undelivered={sink: _undelivered(ledger, sink) for sink in remote_sinks},
    )


def _astray(runs: Mapping[str, RunRecord], store: RunStore) -> Iterator[tuple[str, str]]:
    for run_id, run in runs.items():
        stored = store.get_run(run_id)
        if stored is None:
            yield run_id, "not in the store"
        elif stored.status != run.status:
            yield run_id, f"{run.status} in the journal, {stored.status} in the store"


def _undelivered(ledger: _Ledger, sink: str) -> int:
    known = ledger.delivered.get(sink, set())
    return sum(1 for run in ledger.runs.values() if not run.is_running and run.run_id not in known)
