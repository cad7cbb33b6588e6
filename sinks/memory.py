"""Keep records in memory, for tests and first steps; read this first, it is the smallest whole sink."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import define, field, frozen, validators

from ..plugins import CommitLink, DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord, fold, hookimpl

__all__ = ["MemorySink"]


@frozen(kw_only=True)
class _Options:
    """`limit` is how many records are kept, the newest; all when it is None."""

    limit: int | None = field(default=None, validator=validators.optional(validators.ge(1)))


@define(eq=False)
class MemorySink:
    """
    The records in the order in which they came.

    A child after fork starts with none: what its parent recorded is the parent's.
    """

    Options: ClassVar[type[_Options]] = _Options
    contract: ClassVar[int] = 1
    runs_inline: ClassVar[bool] = True

    options: _Options = field(factory=_Options)
    records: list[Record] = field(factory=list, init=False)

    @hookimpl
    def telemetry_run_started(self, run: RunRecord) -> None:
        """Keep a run that has begun."""
        self._keep(run)

    @hookimpl
    def telemetry_event_logged(self, event: RunEvent) -> None:
        """Keep an event."""
        self._keep(event)

    @hookimpl
    def telemetry_metrics_set(self, update: MetricsUpdate) -> None:
        """Keep metrics that were set in the middle of a run."""
        self._keep(update)

    @hookimpl
    def telemetry_run_ended(self, run: RunRecord) -> None:
        """Keep a run that has ended."""
        self._keep(run)

    @hookimpl
    def telemetry_delivery_reported(self, report: DeliveryReport) -> None:
        """Keep the news of a remote sink."""
        self._keep(report)

    @hookimpl
    def telemetry_commit_linked(self, commit: CommitLink) -> None:
        """Keep a commit of a run."""
        self._keep(commit)

    @hookimpl
    def telemetry_health(self) -> dict[str, Any]:
        """Return how many records are kept."""
        return {"records": len(self.records)}

    @hookimpl
    def telemetry_forked(self) -> None:
        """Forget the parent's records."""
        self.records.clear()

    @property
    def runs(self) -> dict[str, RunRecord]:
        """Each run by its id, as its records make it up to now."""
        runs: dict[str, RunRecord] = {}
        for record in self.records:
            if isinstance(record, RunRecord | MetricsUpdate | DeliveryReport):
                runs[record.run_id] = fold(runs.get(record.run_id), record)
        return runs

    @property
    def events(self) -> list[RunEvent]:
        """The events alone."""
        return [record for record in self.records if isinstance(record, RunEvent)]

    def _keep(self, record: Record) -> None:
        self.records.append(record)
        if self.options.limit is not None:
            del self.records[: -self.options.limit]
