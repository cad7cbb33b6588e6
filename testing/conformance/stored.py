"""Compare what a sink gives back with what it was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from ...plugins.commit_link import CommitLink
from ...plugins.merge import fold
from ...plugins.records import DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord

__all__ = ["Stored", "expected_runs"]

_COMPARED = (
    *("agent_name", "job_type", "trigger_type", "status", "start_time", "end_time", "duration_ms"),
    *("items_discovered", "items_succeeded", "items_failed", "error_summary", "output_summary", "metrics"),
    *("parent_run_id", "product", "host"),
)
_Line = RunRecord | MetricsUpdate | DeliveryReport


@define
class Stored:
    """What came back: each run as its last line makes it, how many there were of each, and the events in order."""

    runs: dict[str, Any] = field(factory=dict)
    order: list[str] = field(factory=list)
    events: list[tuple[str, str, Any]] = field(factory=list)

    @classmethod
    def of(cls, found: Iterable[Record | Mapping[str, Any]]) -> Stored:
        """Return the sum of what `read_back()` yields."""
        stored = cls()
        for each in found:
            stored._take(each)
        return stored

    def _take(self, found: Record | Mapping[str, Any]) -> None:
        if isinstance(found, RunEvent):
            self.events.append((found.run_id, found.event_type, found.payload))
        elif isinstance(found, _Line):
            if isinstance(found, RunRecord):
                self._note(found.run_id)
            self.runs[found.run_id] = fold(self.runs.get(found.run_id), found)
        elif isinstance(found, Mapping):
            self._take_mapping(found)
        else:
            assert isinstance(found, CommitLink), f"read_back() yields {type(found).__name__}, no record or mapping"

    def _take_mapping(self, found: Mapping[str, Any]) -> None:
        run_id = found["run_id"]
        if found.get("event_type") is not None:
            self.events.append((run_id, found["event_type"], found.get("payload")))
        else:
            self._note(run_id)
            known = {name: value for name, value in found.items() if value is not None}
            self.runs[run_id] = {**self.runs.get(run_id, {}), **known}

    def _note(self, run_id: str) -> None:
        if run_id not in self.runs:
            self.order.append(run_id)

    def differences(self, run: RunRecord) -> list[str]:
        """Return a sentence for each field that came back otherwise than it stands in *run*."""
        found = self.runs.get(run.run_id)
        if found is None:
            return [f"run {run.run_id} is missing"]
        kept = found if isinstance(found, Mapping) else {name: getattr(found, name) for name in _COMPARED}
        pairs = [(name, kept[name], _plain(getattr(run, name))) for name in _COMPARED if name in kept]
        return [f"{run.run_id}: {name} is {is_!r}, not {was!r}" for name, is_, was in pairs if _plain(is_) != was]


def expected_runs(records: Iterable[Record]) -> dict[str, RunRecord]:
    """Return each run as *records* make it, by the rule that holds for every store."""
    runs: dict[str, RunRecord] = {}
    for record in records:
        if isinstance(record, _Line):
            runs[record.run_id] = fold(runs.get(record.run_id), record)
    return runs


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
