"""Group failed runs into the faults behind them, in one pass and in the memory of the faults, not of the runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import define, field

from ..plugins.records import RunRecord
from .fingerprint import Fingerprint, fingerprint_of

__all__ = ["FaultGroup", "group_faults"]


@define
class FaultGroup:
    """
    All runs that failed by one fault.

    `example` is the newest of them; `agents` counts them by agent.
    """

    fingerprint: Fingerprint
    example: RunRecord
    first_seen: str
    last_seen: str
    count: int = 0
    agents: Counter[str] = field(factory=Counter)

    def add(self, run: RunRecord) -> None:
        """Count a run in."""
        self.count += 1
        self.agents[run.agent_name] += 1
        self.first_seen = min(self.first_seen, run.start_time)
        if run.start_time >= self.last_seen:
            self.last_seen, self.example = run.start_time, run

    def to_dict(self) -> dict[str, Any]:
        """Return the group as plain values."""
        return {
            "fingerprint": self.fingerprint.id,
            "count": self.count,
            "kind": self.fingerprint.kind,
            "message": self.fingerprint.message,
            "place": self.fingerprint.place,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "agents": dict(self.agents),
            "example": self.example.run_id,
        }


def group_faults(runs: Iterable[RunRecord]) -> list[FaultGroup]:
    """Return the faults of *runs*, the most frequent first, of two equal ones the one seen last."""
    groups: dict[Fingerprint, FaultGroup] = {}
    for run in runs:
        fingerprint = fingerprint_of(run)
        group = groups.get(fingerprint)
        if group is None:
            group = groups[fingerprint] = FaultGroup(fingerprint, run, run.start_time, run.start_time)
        group.add(run)
    newest_first = sorted(groups.values(), key=lambda group: group.last_seen, reverse=True)
    return sorted(newest_first, key=lambda group: group.count, reverse=True)
