"""Take a batch of records to the backend: starts and events as log records, ended runs as spans."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import Event
from opentelemetry.sdk.util import BoundedList

from ...plugins.complaints import Complaints
from ...plugins.errors import Refused, Retryable, TelemetryError
from ...plugins.item import Item
from ...plugins.records import RunEvent, RunRecord
from .kin import Relations
from .logs import Origin, log_of_event, log_of_start
from .look_back import LookBack
from .options import OtlpOptions
from .resources import Resources
from .spans import MOST_EVENTS, span_event, span_of
from .values import nanoseconds
from .wire import Wire, logs_wire, traces_wire

__all__ = ["Courier"]

_Letters = list[tuple[Item, Any]]
_complaints = Complaints(logging.getLogger("telemetry.otlp"))


class Courier:
    """
    The exporters of one sink, and what they need to know of the runs; for one thread.

    Attributes:
        rejected: records that the backend threw away without saying which.
    """

    def __init__(self, options: OtlpOptions, journal_dir: Path) -> None:
        self._look_back = LookBack(journal_dir)
        self._relations = Relations(self._look_back)
        self._resources = Resources(options.resource)
        self._has_span_events = options.span_events
        self._logs = logs_wire(options)
        self._traces = traces_wire(options)
        self.rejected = 0

    def hang_up(self) -> None:
        """Let go of the connections until there is something to send."""
        self._logs.session.close()
        self._traces.session.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._logs.close()
        self._traces.close()

    def deliver(self, batch: Sequence[Item]) -> dict[str, TelemetryError]:
        """Take *batch* to the backend; return an error by key for each item that was not taken."""
        self._learn(batch)
        errors = self._sent(self._logs, self._logs_of(batch))
        # In order per run: the span says that the run is over, so what happened before goes first.
        waiting = {item.record.run_id: error for item in batch if isinstance(error := errors.get(item.key), Retryable)}
        ended = [item for item in batch if _is_ended(item)]
        errors |= {item.key: waiting[item.record.run_id] for item in ended if item.record.run_id in waiting}
        return errors | self._sent(self._traces, self._spans_of([item for item in ended if item.key not in errors]))

    def _learn(self, batch: Sequence[Item]) -> None:
        for item in batch:
            if isinstance(item.record, RunRecord):
                self._relations.note(item.record)
        self._relations.look_up({item.record.run_id: _time_of(item) for item in batch})

    def _origin_of(self, item: Item) -> Origin:
        run_id = item.record.run_id
        resource = self._resources.of_kin(self._relations.kin_of(run_id))
        return Origin(self._relations.root_of(run_id), resource, item.key)

    def _logs_of(self, batch: Sequence[Item]) -> _Letters:
        letters: _Letters = []
        for item in batch:
            if isinstance(item.record, RunEvent):
                letters.append((item, log_of_event(item.record, self._origin_of(item))))
            elif isinstance(item.record, RunRecord) and item.record.is_running:
                letters.append((item, log_of_start(item.record, self._origin_of(item))))
        return letters

    def _spans_of(self, ended: Sequence[Item]) -> _Letters:
        runs = {run.run_id: run for item in ended if isinstance(run := item.record, RunRecord)}
        events = self._events_of(runs)
        letters: _Letters = []
        for item in ended:
            if isinstance(run := item.record, RunRecord):
                parent = self._relations.kin_of(run.run_id).parent
                letters.append((item, span_of(run, parent, self._origin_of(item), events.get(run.run_id))))
        return letters

    def _events_of(self, runs: Mapping[str, RunRecord]) -> dict[str, BoundedList[Event]]:
        events: dict[str, BoundedList[Event]] = {}
        if self._has_span_events and runs:

            def take(event: RunEvent) -> None:
                start = nanoseconds(runs[event.run_id].start_time) or 0
                events.setdefault(event.run_id, BoundedList(MOST_EVENTS)).append(span_event(event, start))

            self._look_back.events(runs, take)
        return events

    def _sent(self, wire: Wire, letters: _Letters) -> dict[str, TelemetryError]:
        """Send *letters*; of a request that is refused the halves are sent, until each culprit stands alone."""
        if not letters:
            return {}
        verdict = wire.send([letter for _, letter in letters])
        if isinstance(verdict.error, Refused) and len(letters) > 1:
            middle = len(letters) // 2
            errors = self._sent(wire, letters[:middle])
            outage = next((error for error in errors.values() if isinstance(error, Retryable)), None)
            return errors | (self._sent(wire, letters[middle:]) if outage is None else _all(letters[middle:], outage))
        if verdict.error is not None:
            return _all(letters, verdict.error)
        self._note(verdict.rejected, verdict.warning, len(letters))
        return {}

    def _note(self, rejected: int, warning: str, count: int) -> None:
        # The protocol forbids to send it again, and does not tell which records these were.
        self.rejected += rejected
        if rejected:
            _complaints.say("rejected", "the OTLP backend threw away %d of %d records: %s", rejected, count, warning)
        elif warning:
            _complaints.say("warned", "the OTLP backend took all records and warns: %s", warning)


def _all(letters: _Letters, error: TelemetryError) -> dict[str, TelemetryError]:
    return {item.key: error for item, _ in letters}


def _is_ended(item: Item) -> bool:
    return isinstance(item.record, RunRecord) and not item.record.is_running


def _time_of(item: Item) -> str:
    return item.record.start_time if isinstance(item.record, RunRecord) else item.record.timestamp
