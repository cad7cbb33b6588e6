"""Have delivered what waits at one moment, also beside agents that write on: what comes later is not waited for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from ...plugins.care import Progress
from ..client import TelemetryClient

__all__ = ["Delivering"]

_POLL_S = 0.5


@define
class Delivering:
    """
    One delivery of what waits now in *outboxes*, by the name of their sinks.

    Args:
        client: has these sinks open, and delivers unless another process does.
        timeout_s: how long it may take; None for as long as something moves.
        patience_s: after how long in which nothing was delivered it ends.
    """

    client: TelemetryClient
    outboxes: Mapping[str, Any]
    progress: Progress
    timeout_s: float | None = None
    patience_s: float = 20.0
    _ends: dict[str, Mapping[str, int | None]] = field(factory=dict, init=False)

    def run(self) -> int:
        """Deliver; return how many records waited when it began. What is left of them `left()` tells."""
        self._ends = {name: outbox.ends() for name, outbox in self.outboxes.items()}
        total = sum(self.left().values())
        moved_at = time.monotonic()
        end = moved_at + (math.inf if self.timeout_s is None else self.timeout_s)
        last: Any = None
        while (waiting := self._firsts()) and time.monotonic() - moved_at < self.patience_s:
            posted = int(sum(self._told("posted", self.outboxes)))
            self.progress("delivering", min(posted, total), total)
            if (waiting, posted) != last:
                last, moved_at = (waiting, posted), time.monotonic()
            if not self._go_on(waiting, end):
                break
        return total

    def left(self) -> dict[str, int]:
        """Return by sink how many of the records that waited when it began still do."""
        return {name: sum(1 for _ in self.outboxes[name].left_of(ends)) for name, ends in self._ends.items()}

    def _firsts(self) -> dict[str, str]:
        """Return by sink the key of the first record that waits, where one does."""
        firsts = {name: next(self.outboxes[name].left_of(ends), None) for name, ends in self._ends.items()}
        return {name: key for name, key in firsts.items() if key is not None}

    def _told(self, name: str, sinks: Iterable[str]) -> list[float]:
        health = self.client.status()["sinks"]
        return [float(health.get(sink, {}).get(name, 0)) for sink in sinks]

    def _go_on(self, waiting: Iterable[str], end: float) -> bool:
        """Let the sinks deliver for a moment; return whether one of them will try again before *end*."""
        left_s = end - time.monotonic()
        rests_s = self._told("retry_in_s", waiting)
        if left_s <= 0 or min(rests_s) > left_s:
            return False
        if max(rests_s) > _POLL_S:
            # Each flush() tries at once: an API that is down would be asked forty times a second.
            time.sleep(min(_POLL_S, left_s))
        else:
            self.client.flush(min(_POLL_S, left_s))
        return True
