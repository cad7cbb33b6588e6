"""Stand between the bus and one sink: in the agent's thread where a sink promises to be quick, else in an own one."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..plugins.worker import Worker
from .shield import Guard

__all__ = ["BackgroundGate", "Gate"]

_PATIENCE_S = 0.05
_LONGEST_QUEUE = 10_000


class Gate:
    """Hand records to one sink in the caller's thread, guarded and counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.guard = Guard(name)

    @property
    def way(self) -> Callable[[Callable[[Any], Any], Any], bool]:
        """What takes (act, record) and returns whether the sink took it: here the guard itself, at no further cost."""
        return self.guard.call

    def drain(self, deadline_s: float) -> bool:
        """Wait until nothing is queued; return whether that came true within *deadline_s* seconds."""
        return True

    def close(self, deadline_s: float) -> None:
        """End what the gate itself keeps."""

    def facts(self) -> dict[str, Any]:
        """Return the counts for `client.status()`."""
        guard = self.guard
        return {"delivered": guard.delivered, "failed": dict(guard.failures), "last_error": guard.last_error}


class BackgroundGate(Gate):
    """
    Hand records to a stranger's sink in a thread of its own, in order; wait for it a moment, never longer.

    A sink that answers within 50 ms has its record before the agent goes on, as if it were called directly. One
    that does not is slow: its records queue up (10,000 at most, then they are counted as lost to this sink) and
    the agent waits no more until the queue is empty again.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._worker = Worker(self._step, name=f"sink-{name}")
        self._queue: deque[tuple[Callable[[Any], Any], Any, threading.Event | None]] = deque()
        self._is_slow = False
        self._thread_id: int | None = None

    @property
    def way(self) -> Callable[[Callable[[Any], Any], Any], bool]:
        """What takes (act, record) and returns whether it was queued."""
        return self.deliver

    def deliver(self, act: Callable[[Any], Any], record: Any) -> bool:
        """Queue *record* and wait up to 50 ms for the sink to take it."""
        # A sink that logs by way of the client would feed itself for ever.
        if self._thread_id == threading.get_ident():
            return False
        if len(self._queue) >= _LONGEST_QUEUE:
            self.guard.failed("overflow", f"{_LONGEST_QUEUE} records are waiting; this one is left out")
            return False
        done = None if self._is_slow else threading.Event()
        self._queue.append((act, record, done))
        self._worker.wake()
        if done is not None and not done.wait(_PATIENCE_S):
            self._is_slow = True
            self.guard.failed("slow", f"took over {_PATIENCE_S * 1000:.0f} ms; its records are queued")
        return True

    def _step(self) -> float | None:
        self._thread_id = threading.get_ident()
        if not self._queue:
            self._is_slow = False
            return None
        act, record, done = self._queue[0]
        self.guard.call(act, record)
        self._queue.popleft()
        if done is not None:
            done.set()
        return 0.0

    def drain(self, deadline_s: float) -> bool:
        """Wait until the queue is empty, *deadline_s* seconds at most."""
        end = time.monotonic() + deadline_s
        while self._queue and time.monotonic() < end:
            self._worker.wake()
            time.sleep(0.002)
        return not self._queue

    def close(self, deadline_s: float) -> None:
        """Drain, then end the thread."""
        started = time.monotonic()
        self.drain(deadline_s)
        self._worker.close(max(0.0, deadline_s - (time.monotonic() - started)))

    def renew(self) -> None:
        """Forget the parent's queue after a fork."""
        self._queue.clear()
        self._is_slow = False
        self._thread_id = None

    def facts(self) -> dict[str, Any]:
        """Return the counts and what is queued."""
        return {**super().facts(), "queued": len(self._queue), "is_slow": self._is_slow}
