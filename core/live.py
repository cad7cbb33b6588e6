"""Keep the runs that this process has started and not ended: what was set so far, and a clock that never goes back."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import timedelta
from typing import Any

from attrs import define, field

from ..plugins import clock
from ..plugins.changing import filled
from ..plugins.ids import calculate_duration_ms, get_iso8601_timestamp
from ..plugins.records import RunRecord
from .intake import Settings

__all__ = ["LiveRun", "LiveRuns"]

_REMEMBERED = 10_000


@define(eq=False)
class LiveRun:
    """
    One run under way.

    Args:
        start: its record at the start.
        is_told: the agent itself said when it began.
    """

    start: RunRecord
    is_told: bool = False
    fields: dict[str, Any] = field(factory=dict)
    metrics: dict[str, Any] = field(factory=dict)
    attributes: dict[str, Any] = field(factory=dict)
    coerced: tuple[str, ...] = ()
    _began_ns: int = field(factory=lambda: clock.monotonic_ns())
    # Re-entrant: a signal handler may set metrics of the run that the interrupted code is setting.
    lock: threading.RLock = field(factory=threading.RLock)

    def take(self, settings: Settings) -> None:
        """Merge what was set into the run."""
        with self.lock:
            self.fields.update(settings.fields)
            self.metrics.update(settings.metrics)
            self.attributes.update(settings.attributes)
            self.coerced = _united(self.coerced, settings.coerced)

    def increment(self, name: str, by: float) -> float:
        """Add *by* to the metric or count *name* and return the new value."""
        with self.lock:
            known = self.metrics.get(name, self.fields.get(name, getattr(self.start, name, 0)))
            total = (known if isinstance(known, int | float) else 0) + by
        return total

    def ended(self, status: str, writer: str, seq: int | None) -> RunRecord:
        """Return the record of the run as it ends now with *status*."""
        with self.lock:
            # The intake has made each of the fields fit.
            ending = {**self._times(self.fields.get("end_time")), **self.fields}
            ending["status"], ending["writer"], ending["seq"] = status, writer, seq
            ending["metrics"] = {**self.start.metrics, **self.metrics}
            ending["attributes"] = {**self.start.attributes, **self.attributes}
            ending["coerced"] = _united(self.start.coerced, self.coerced)
            return filled(self.start, ending)

    def _times(self, end_time: str | None) -> dict[str, Any]:
        # Of a run that is told afterwards, the agent says when it began or ended; the clock here knows nothing of it.
        if end_time is not None or self.is_told:
            end_time = end_time or get_iso8601_timestamp()
            return {"end_time": end_time, "duration_ms": calculate_duration_ms(self.start.start_time, end_time)}
        duration_ms = (clock.monotonic_ns() - self._began_ns) // 1_000_000
        # A wall clock that is set back in the middle of a run must not make its end come before its start.
        now = get_iso8601_timestamp()
        is_back = now < self.start.start_time
        return {"end_time": self._end_after(duration_ms) if is_back else now, "duration_ms": duration_ms}

    def _end_after(self, duration_ms: int) -> str:
        return (self.start.started_at + timedelta(milliseconds=duration_ms)).isoformat(timespec="microseconds")


def _united(notes: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*notes, *others))) if notes or others else ()


class LiveRuns:
    """The runs of one client in this process, by id, and the ids of the last 10,000 that ended here."""

    def __init__(self) -> None:
        self._live: dict[str, LiveRun] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def add(self, run: LiveRun) -> None:
        """Take a run that has just been started."""
        self._live[run.start.run_id] = run

    def get(self, run_id: str) -> LiveRun | None:
        """Return the run, None when it was not started here or has ended."""
        return self._live.get(run_id)

    def end(self, run_id: str) -> LiveRun | None:
        """Return the run and forget it; None when it was not started here or has ended: the first end wins."""
        # dict.pop() is atomic: of two threads that end one run, one gets it.
        run = self._live.pop(run_id, None)
        if run is not None:
            self._ended[run_id] = None
            if len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)
        return run

    def has_ended(self, run_id: str) -> bool:
        """Whether the run was ended here, as far as is remembered."""
        return run_id in self._ended

    def forget_all(self) -> list[str]:
        """Own no run any more, in the child of a fork they are the parent's; return the ids of those that were open."""
        open_runs = list(self._live)
        self._live = {}
        self._ended = OrderedDict()
        return open_runs
