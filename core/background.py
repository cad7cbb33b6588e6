"""Call a stranger's sink in a thread of its own, in the order of the records; the agent waits a moment at most."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ..plugins.records import DeliveryReport, Record, RunEvent
from ..plugins.worker import Worker
from .gates import Answer, Answered, Gate
from .shield import Guard

__all__ = ["BackgroundGate", "Task", "wait_for"]

_FIRST_PATIENCE_S = 0.05
_PATIENCE_S = 0.005
_LONGEST_QUEUE = 10_000
# 200 events of 0.9 MB took 430 MB of an agent; in memory a payload takes about twice its JSON.
_LARGEST_QUEUE_BYTES = 64 << 20
# Not the id of a thread, which the system gives to the next thread as soon as one has ended.
_thread = threading.local()


class Task:
    """
    One call of a sink, queued; also the answer to it.

    Args:
        gate: whose sink is called.
        act: the call; its argument is *record*.
        record: None for a question, which hands no record over.
    """

    __slots__ = ("_done", "act", "began_at", "gate", "is_well", "patience_s", "record", "size", "value")

    def __init__(self, gate: BackgroundGate, act: Callable[[Any], Any], record: Record | None, patience_s: float):
        self.gate = gate
        self.act = act
        self.record = record
        self.patience_s = patience_s
        self.size = _size_of(record)
        self.began_at: float | None = None
        self.value: Any = None
        self.is_well = False
        self._done = threading.Event()

    def run(self, guard: Guard) -> None:
        """Call the sink and let those go on that wait for it, whatever it raises."""
        self.began_at = time.monotonic()
        try:
            if self.record is not None:
                self.is_well = guard.call(self.act, self.record)
            else:
                self.value, self.is_well = guard.ask(self.act, None)
        finally:
            self._done.set()

    def wait(self, until: float) -> bool:
        """Wait for the end of the call until this moment of the steady clock; return whether it came."""
        return self._done.wait(max(0.0, until - time.monotonic()))

    @property
    def takes_long(self) -> bool:
        """Whether the sink has been in this call for over 50 ms."""
        return self.began_at is not None and time.monotonic() - self.began_at >= _FIRST_PATIENCE_S


def wait_for(tasks: Iterable[Task]) -> None:
    """Give the sinks time for what one call of the agent has handed them, to all of them the same 50 ms or 5 ms."""
    now = time.monotonic()
    for task in tasks:
        task.gate.give_time(task, now + task.patience_s)


class BackgroundGate(Gate):
    """
    Hand records to one sink in a thread of its own, in order.

    A sink that answers at once has its record before the agent goes on, as if it were called directly. The agent
    waits for it 50 ms the first time that it takes longer, and 5 ms at most from then on: a sink that needs 40 ms a
    record would else add 40 ms to every call. While records queue (10,000 or 64 MB at most, what comes then is
    lost to this sink) the agent does not wait at all.
    """

    is_inline = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._worker = Worker(self._step, name=f"sink-{name}")
        self._patience_s = _FIRST_PATIENCE_S
        self._is_closed = False
        self._renew()

    def _renew(self) -> None:
        self._queue: deque[Task] = deque()
        self._queued_bytes = 0
        self._in_hand: Task | None = None
        # Re-entrant: a signal handler that logs may interrupt the counting of what is queued.
        self._lock = threading.RLock()
        self._is_slow = False
        self._is_told = False

    @property
    def way(self) -> Callable[[Callable[[Any], Any], Any], Any]:
        """What takes (act, record) and returns True, False, or the task to wait for."""
        return self.deliver

    def deliver(self, act: Callable[[Any], Any], record: Record) -> bool | Task:
        """Queue *record*; return the task where it is worth while to wait for it, False when it is left out."""
        if _would_feed(self, record):
            return False
        if self._is_closed:
            return self._leave_out(record, "closed", "the client was closed meanwhile")
        if self._is_full:
            waiting = f"{len(self._queue)} records of {self._queued_bytes >> 20} MiB are waiting"
            return self._leave_out(record, "overflow", f"{waiting}; this one is left out")
        is_behind = self._is_slow
        task = self._put(act, record)
        if is_behind:
            self._tell_if_stuck()
        return True if is_behind else task

    @property
    def _is_full(self) -> bool:
        return len(self._queue) >= _LONGEST_QUEUE or self._queued_bytes >= _LARGEST_QUEUE_BYTES

    def _leave_out(self, record: Record, reason: str, detail: str) -> bool:
        self.guard.failed(reason, detail)
        self.losses.note(record, detail)
        return False

    def _put(self, act: Callable[[Any], Any], record: Record | None) -> Task:
        task = Task(self, act, record, self._patience_s)
        with self._lock:
            self._queue.append(task)
            self._queued_bytes += task.size
        if not self._worker.wake():
            # The interpreter is about to end and starts no thread any more, and the sink's own has gone home: it had
            # done all that it was given, so the sink is no slow one, and what is left is for the caller to do.
            while self._queue:
                self._step()
        return task

    def give_time(self, task: Task, until: float) -> None:
        """Wait for *task* until this moment; from then on the agent does not wait while records are queued."""
        began = time.monotonic()
        is_done = task.wait(until)
        if time.monotonic() - began > _PATIENCE_S:
            self._patience_s = _PATIENCE_S
        if is_done:
            return
        with self._lock:
            self._is_slow = bool(self._queue) or self._in_hand is not None
        self._tell_if_stuck()

    def _tell_if_stuck(self) -> None:
        if self.is_stuck and not self._is_told:
            self._is_told = True
            self.guard.failed("slow", f"took over {_FIRST_PATIENCE_S * 1000:.0f} ms; its records are queued")

    def ask(self, act: Callable[[Any], Any]) -> Answer:
        """Queue a question behind the records."""
        task = self._put(act, None)
        # To wait for oneself is of no use; the question is dealt with when the sink has returned from its call.
        return Answered(None, is_well=False) if _caller() is not None else task

    def open(self, act: Callable[[Any], Any]) -> Answer:
        """Queue the opening; also of a sink that still hangs in the call in which it was given up."""
        self._is_closed = False
        answer = self.ask(act)
        if isinstance(answer, Task):
            wait_for((answer,))
        return answer

    def close(self, act: Callable[[Any], Any]) -> Answer:
        """Queue the closing; no record gets behind it."""
        self._is_closed = True
        return self.ask(act)

    def forget(self, answer: Answer) -> None:
        """Take a question back that nobody waits for any more."""
        with self._lock:
            if answer in self._queue:
                self._queue.remove(answer)  # type: ignore[arg-type]

    def _step(self) -> float | None:
        with self._lock:
            if not self._queue:
                self._is_slow = self._is_told = False
                return None
            task = self._in_hand = self._queue.popleft()
            self._queued_bytes -= task.size
        _thread.gate = self
        try:
            task.run(self.guard)
        finally:
            _thread.gate = None
            self._in_hand = None
        return 0.0

    def end(self, until: float) -> None:
        """End the thread of a sink that has answered; the thread of one that hangs ends when its call does."""
        self._worker.stop(max(0.0, until - time.monotonic()))

    def waiting(self) -> list[Record]:
        """Return the records that the sink has not answered for, the one that it has in hand among them."""
        with self._lock:
            tasks = ([self._in_hand] if self._in_hand is not None else []) + list(self._queue)
        return [task.record for task in tasks if task.record is not None]

    def give_up(self) -> None:
        """Take back all records that wait and count them as lost to this sink; questions stay queued."""
        with self._lock:
            records = self.waiting()
            questions = [task for task in self._queue if task.record is None]
            self._queue.clear()
            self._queue.extend(questions)
            self._queued_bytes = 0
        for record in records:
            self.losses.note(record, "the sink did not answer in time")

    @property
    def is_stuck(self) -> bool:
        """Whether the sink has been in one call for over 50 ms."""
        task = self._in_hand
        return task is not None and task.takes_long

    def renew(self) -> None:
        """Forget what the parent had queued, in the child of a fork."""
        super().renew()
        self._renew()
        _thread.gate = None

    def facts(self) -> dict[str, Any]:
        """Return the counts, what is queued, and how many records the sink was never given or did not answer for."""
        own = {"queued": len(self.waiting()), "is_slow": self._is_slow, "given_up": self.losses.total}
        return {**super().facts(), **own}


def _size_of(record: Record | None) -> int:
    """Return the bytes of a payload; every other record is small, as are the numbers and texts of a run."""
    return len(record.payload_bytes or b"") if isinstance(record, RunEvent) else 0


def _caller() -> BackgroundGate | None:
    """Return the gate whose sink is calling, from the thread in which it was called; None for everybody else."""
    return getattr(_thread, "gate", None)


def _would_feed(gate: BackgroundGate, record: Record) -> bool:
    """Tell whether *record* is a sink's own: one that logs for each event would feed itself, or two each other."""
    caller = _caller()
    return caller is not None and (caller is gate or not isinstance(record, DeliveryReport))
