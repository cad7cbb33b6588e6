"""Keep count of what could not be kept, and have it written down once writing works again."""

from __future__ import annotations

import threading
from typing import Any

from attrs import define, field

from ..plugins.ids import get_iso8601_timestamp
from ..plugins.records import Record, RunEvent

__all__ = ["Losses"]

_MOST_RUNS = 100


@define(eq=False)
class Losses:
    """
    Records that the journal refused (a full disk, a folder that is read-only or gone), or that one sink never took.

    `total` counts them for `client.status()`; `waiting` is how many are not yet written down in the journal.
    """

    total: int = 0
    waiting: int = 0
    _since: str | None = None
    _reason: str = ""
    _runs: dict[str, int] = field(factory=dict)
    # Re-entrant: a signal handler that logs may interrupt the counting.
    _lock: threading.RLock = field(factory=threading.RLock)

    def note(self, record: Record, reason: str | None) -> None:
        """Count *record* as lost."""
        with self._lock:
            self.total += 1
            self.waiting += 1
            self._since = self._since or get_iso8601_timestamp()
            self._reason = reason or "unknown"
            if record.run_id in self._runs or len(self._runs) < _MOST_RUNS:
                self._runs[record.run_id] = self._runs.get(record.run_id, 0) + 1

    def report(self, event_type: str, **facts: Any) -> RunEvent | None:
        """
        Return the event that writes the losses down, not stamped, and begin a new count; None when there are none.

        It stands in the first run that lost something.
        """
        with self._lock:
            if not self.waiting:
                return None  # another thread has just written them down
            counts = {"count": self.waiting, "since": self._since, "reason": self._reason, "by_run": dict(self._runs)}
            run_id = next(iter(self._runs))
            self.waiting, self._since, self._runs = 0, None, {}
        return RunEvent(run_id, event_type, get_iso8601_timestamp(), {**facts, **counts})
