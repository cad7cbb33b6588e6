"""Keep count of what could not be kept, and have it written down once writing works again."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from ..plugins.ids import get_iso8601_timestamp
from ..plugins.records import Record, RunEvent

__all__ = ["Losses"]

_MOST_RUNS = 100


@define
class Losses:
    """
    Records that the journal refused: a full disk, a folder that is read-only or gone.

    `total` counts them for `client.status()`; `waiting` is how many are not yet written down in the journal.
    """

    total: int = 0
    waiting: int = 0
    _since: str | None = None
    _reason: str = ""
    _runs: dict[str, int] = field(factory=dict)

    def note(self, record: Record, reason: str | None) -> None:
        """Count *record* as lost."""
        self.total += 1
        self.waiting += 1
        self._since = self._since or get_iso8601_timestamp()
        self._reason = reason or "unknown"
        if record.run_id in self._runs or len(self._runs) < _MOST_RUNS:
            self._runs[record.run_id] = self._runs.get(record.run_id, 0) + 1

    def report(self, writer: str, seq: int) -> RunEvent:
        """Return the event that writes the losses down, and begin a new count; it stands in the first run that lost."""
        payload: dict[str, Any] = {
            "count": self.waiting,
            "since": self._since,
            "reason": self._reason,
            "by_run": dict(self._runs),
        }
        run_id = next(iter(self._runs))
        self.waiting, self._since, self._runs = 0, None, {}
        return RunEvent(run_id, "telemetry_records_lost", get_iso8601_timestamp(), payload, writer, seq)
