"""Run work behind the agent: a thread that exists only while there is something to do, and never across a fork."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable

__all__ = ["Worker"]

_IDLE_S = 0.5
_FORK_WAIT_S = 0.15  # for all workers together: a fork is a call of the agent, and none is held longer
# Not a WeakSet: to walk one while another thread adds to it raises, and a fork must not fail for that.
_workers: weakref.WeakValueDictionary[int, Worker] = weakref.WeakValueDictionary()


class Worker:
    """
    Call *step* again and again in a daemon thread while it has work.

    `step()` does one bounded piece of work and returns the seconds until it wants to be called again: 0 for at
    once, None for "nothing left". The thread is started by `wake()` and ends when there is nothing left, so a
    process that is idle has no thread of ours. What `step()` raises ends the thread until the next `wake()`.
    Before the user's process forks the thread is stopped (Python 3.12+ warns of a fork with threads) and started
    again in the parent; the child starts without. A step that takes longer than 0.15 s goes on across the fork.
    Nothing that was acknowledged may depend on a Worker: the process can die at any time.

    Args:
        at_end: called once, after `close()` and the last step: by the thread, if that outlives the deadline.
    """

    def __init__(
        self, step: Callable[[], float | None], name: str, *, at_end: Callable[[], None] | None = None
    ) -> None:
        self._step = step
        self._name = name
        self._at_end = at_end
        self._is_closed = False
        self._has_ended = False
        self._renew()
        _workers[id(self)] = self

    def _renew(self) -> None:
        # Re-entrant, since a signal handler may call wake() while this thread is inside: then it only sets a flag.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._leaving: threading.Thread | None = None
        self._is_woken = False
        self._is_stopping = False
        self._is_parked = False

    def wake(self) -> bool:
        """
        Ask for a step soon; starts the thread when there is none. Never blocks on the work itself.

        Return False when there will be no step: after `close()`, and at interpreter shutdown, when no thread can
        be started any more.
        """
        with self._changed:
            if self._is_closed:
                return False
            self._is_woken = True
            self._changed.notify_all()
            if self._thread is None and not self._is_stopping and not self._is_parked:
                self._start()
            return self._thread is not None or self._is_parked

    def nudge(self) -> None:
        """Do as `wake()` does unless a lock would have to be waited for: for finalizers, which may run under others."""
        if self._changed.acquire(blocking=False):
            try:
                self.wake()
            finally:
                self._changed.release()

    def _start(self) -> None:
        # Noted before it runs: a signal handler that interrupts start() must not begin a second one.
        self._thread = threading.Thread(target=self._run, name=f"telemetry-{self._name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None  # at interpreter shutdown no thread starts any more

    def _run(self) -> None:
        try:
            while (pause_s := self._one_step()) is not None:
                with self._changed:
                    if not self._is_woken and not self._must_end:
                        self._changed.wait(pause_s)
                    if self._must_end:
                        return self._leave()
        finally:
            self._leave()
            if self._is_closed:
                self._end()

    def _one_step(self) -> float | None:
        """Do one step; return the pause before the next, None when the thread is to end."""
        with self._changed:
            self._is_woken = False
        pause_s = self._step()
        if pause_s is not None:
            return pause_s
        with self._changed:
            if not self._is_woken and not self._must_end:
                self._changed.wait(_IDLE_S)
            if self._is_woken and not self._must_end:
                return 0.0
            # Under the same lock as the look at the flag: a wake() that comes now finds no thread and starts one.
            self._leave()
            return None

    @property
    def _must_end(self) -> bool:
        return self._is_stopping or self._is_parked or self._is_closed

    def _leave(self) -> None:
        with self._changed:
            if self._thread is threading.current_thread():
                self._thread, self._leaving = None, self._thread

    def stop(self, deadline_s: float) -> bool:
        """
        End the thread after its current step; return whether it ended within *deadline_s* seconds.

        `wake()` starts it again, unless `close()` was called.
        """
        with self._changed:
            thread, self._is_stopping = self._thread or self._leaving, True
            self._changed.notify_all()
        is_gone = _joined(thread, deadline_s)
        with self._changed:
            self._is_stopping = False
        return is_gone

    def close(self, deadline_s: float) -> bool:
        """End the thread for good; return whether it ended within *deadline_s* seconds."""
        self._is_closed = True
        is_gone = self.stop(deadline_s)
        if is_gone:
            self._end()
        return is_gone

    def _end(self) -> None:
        with self._changed:
            is_first, self._has_ended = not self._has_ended, True
        if is_first and self._at_end is not None:
            self._at_end()

    @property
    def is_alive(self) -> bool:
        """Whether the thread exists right now."""
        return self._thread is not None

    def _park(self) -> None:
        with self._changed:
            self._is_parked = True
            self._is_woken = self._is_woken or self._thread is not None
            self._changed.notify_all()

    def _unpark(self) -> None:
        self._is_parked = False
        if self._is_woken:
            self.wake()


def _joined(thread: threading.Thread | None, deadline_s: float) -> bool:
    if thread is None:
        return True
    # A thread cannot wait for itself, nor for one whose start a signal handler has interrupted.
    if thread is not threading.current_thread() and thread.ident is not None:
        thread.join(max(0.0, deadline_s))
    return not thread.is_alive()


def _all_workers() -> list[Worker]:
    return [worker for reference in _workers.valuerefs() if (worker := reference()) is not None]


def _before_fork() -> None:
    workers = _all_workers()
    for worker in workers:
        worker._park()
    end = time.monotonic() + _FORK_WAIT_S
    for worker in workers:
        for thread in (worker._thread, worker._leaving):
            _joined(thread, end - time.monotonic())


def _after_fork_in_parent() -> None:
    for worker in _all_workers():
        worker._unpark()


def _after_fork_in_child() -> None:
    for worker in _all_workers():
        worker._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
