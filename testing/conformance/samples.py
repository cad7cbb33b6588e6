"""Make records as the platform makes them: numbered by their writer, with times that go forward."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
from attrs import define, field

from ...plugins.commit_link import CommitLink
from ...plugins.ids import new_writer_id
from ...plugins.records import DeliveryReport, MetricsUpdate, RunEvent, RunRecord

__all__ = ["Samples"]

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@define(eq=False)
class Samples:
    """
    The records of one writer; no two have one number.

    Args:
        status: with which runs end, unless a test asks for another: one that the sink keeps.
    """

    status: str = "success"
    writer: str = field(factory=new_writer_id)
    _numbers: Iterator[int] = field(factory=lambda: itertools.count(1))

    def of_another_writer(self) -> Samples:
        """Return the records of a new writer, which end as these do."""
        return Samples(self.status)

    def start(self, **changes: Any) -> RunRecord:
        """Return the start of a new run."""
        number = next(self._numbers)
        values = {
            "run_id": f"{_BEGAN:%Y%m%dT%H%M%SZ}-agent-{self.writer[:4]}{number:04x}",
            "agent_name": "agent",
            "job_type": "job",
            "start_time": _moment(number),
            "writer": self.writer,
            "seq": number,
        }
        return RunRecord(**{**values, **changes})

    def end(self, start: RunRecord | None = None, **changes: Any) -> RunRecord:
        """Return the end of the run that *start* began; of a new one when it is None."""
        start = self.start() if start is None else start
        number = next(self._numbers)
        values = {"status": self.status, "end_time": _moment(number), "duration_ms": 1000, "seq": number}
        return attrs.evolve(start, **{**values, **changes, "writer": self.writer})

    def whole(self, **changes: Any) -> tuple[RunRecord, RunRecord]:
        """Return start and end of a new run; *changes* are the end's."""
        start = self.start(**{name: changes[name] for name in ("run_id", "agent_name") if name in changes})
        return start, self.end(start, **changes)

    def event(self, run: RunRecord, payload: Any = None, event_type: str = "step") -> RunEvent:
        """Return an event of *run*."""
        number = next(self._numbers)
        return RunEvent(run.run_id, event_type, _moment(number), payload, self.writer, number)

    def update(self, run: RunRecord, **metrics: Any) -> MetricsUpdate:
        """Return metrics that are set in *run*."""
        number = next(self._numbers)
        return MetricsUpdate(run.run_id, _moment(number), metrics, writer=self.writer, seq=number)

    def commit(self, run: RunRecord, commit_hash: str = "9fceb02d0ae598e95dc970b74767f19372d61af8") -> CommitLink:
        """Return a commit of *run*."""
        number = next(self._numbers)
        return CommitLink(
            run_id=run.run_id,
            timestamp=_moment(number),
            commit_hash=commit_hash,
            agent_name=run.agent_name,
            writer=self.writer,
            seq=number,
        )

    def report(self, run: RunRecord) -> DeliveryReport:
        """Return the news that some remote sink delivered *run*."""
        number = next(self._numbers)
        return DeliveryReport(run.run_id, _moment(number), "another", writer=self.writer, seq=number)


def _moment(number: int) -> str:
    return (_BEGAN + timedelta(seconds=number)).isoformat(timespec="microseconds")
