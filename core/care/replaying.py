"""Feed the journal to a sink again: what it has already changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import asdict, define, frozen

from ...plugins.care import JournalCare, Progress, StoreCare
from ...plugins.context import SinkContext
from ...plugins.errors import StoreError
from ...plugins.records import Record
from ..bus import Bus
from ..client import TelemetryClient
from ..config import TelemetryConfig
from .delivering import Delivering

__all__ = ["Replay", "Replayed"]

_FLUSHED = 500
_FLUSH_S = 60.0
_PATIENCE_S = 20.0


@frozen(kw_only=True)
class Replayed:
    """
    What was fed to a sink again.

    Args:
        since: the first day (UTC, `YYYY-MM-DD`), None for the whole journal.
        records: how many it took.
        left: how many a remote sink has still to be given; the next process that opens it goes on.
        trouble: what holds that up.
    """

    sink: str
    since: str | None
    records: int
    left: int = 0
    trouble: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@define
class Replay:
    """
    One replay into the sink called *name*.

    Args:
        day: the first day (UTC, `YYYY-MM-DD`), None for the whole journal.
        journal: what is fed.
    """

    config: TelemetryConfig
    name: str
    sink: Any
    context: SinkContext
    journal: JournalCare
    day: str | None
    progress: Progress

    def run(self) -> Replayed:
        """
        Feed it.

        Raises:
            StoreError: the sink is the journal itself, or cannot be fed.
        """
        if hasattr(self.sink, "open_outbox"):
            return self._deliver(self.sink.open_outbox(self.context))
        care = self.sink.open_care(self.context) if hasattr(self.sink, "open_care") else None
        if isinstance(care, StoreCare):
            return self._told(care.replay(self.day, self.progress))
        if isinstance(care, JournalCare):
            return self._told(self._gather(care))
        return self._told(self._feed())

    def _told(self, records: int, left: int = 0, trouble: str | None = None) -> Replayed:
        return Replayed(sink=self.name, since=self.day, records=records, left=left, trouble=trouble)

    def _deliver(self, outbox: Any) -> Replayed:
        """Set the delivery back and be the one who delivers, until all is there or it is held up."""
        outbox.rewind((self.day or "").replace("-", ""))
        with TelemetryClient(self.config) as client:
            delivering = Delivering(client, {self.name: outbox}, self.progress, patience_s=_PATIENCE_S)
            total = delivering.run()
        left = delivering.left()[self.name]
        trouble = outbox.status().trouble
        return self._told(total - left, left, trouble.reason if left and trouble is not None else None)

    def _gather(self, target: JournalCare) -> int:
        if target.directory == self.journal.directory:
            raise StoreError(
                f"{self.name} keeps the journal itself", "name a sink that is fed from it; telemetry sinks lists them"
            )
        gatherer = self.sink.open_gatherer(self.context, change=lambda record: record)
        try:
            with gatherer.alone():
                gatherer.look()
                count = 0
                days = [day for day in self.journal.days() if self.day is None or day.day >= self.day]
                for number, day in enumerate(days, start=1):
                    count += gatherer.take_journal(self.journal.directory / day.name).total
                    self.progress("adding days", number, len(days))
                return count
        finally:
            gatherer.close()

    def _feed(self) -> int:
        """Hand every record to a sink that keeps no state of ours, by its hooks; run id and number tell it apart."""
        bus = Bus()
        bus.attach(self.name, self.sink, self.context)
        try:
            return self._published(bus, self.journal.records(self.day, self.progress))
        finally:
            bus.close(_FLUSH_S)

    def _published(self, bus: Bus, records: Iterable[Record]) -> int:
        count = 0
        for record in records:
            delivery = bus.publish(record, is_clean=True)
            if delivery.failed:
                told = bus.health()[self.name].get("last_error") or "it failed"
                raise StoreError(f"{self.name} takes no {type(record).__name__} of {record.run_id}: {told}")
            count += 1
            if count % _FLUSHED == 0:
                bus.flush(_FLUSH_S)
        return count
