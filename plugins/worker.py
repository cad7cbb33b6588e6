"""Run work behind the agent: a thread that exists only while there is something to do, and never across a fork."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable

__all__ = ["Worker"]

_log = logging.getLogger("telemetry.worker")
_IDLE_S = 0.5
_FORK_WAIT_S = 1.0
_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """
    Call *step* again and again in a daemon thread while it has work.

    `step()` does one bounded piece of work and returns the seconds until it wants to be called again: 0 for at
    once, None for "nothing left". The thread is started by `wake()` and ends when there is nothing left, so a
    process that is idle has no thread of ours. Before the user's process forks the thread is stopped (Python 3.12+
    warns of a fork with threads) and started again in the parent; the child starts without.
    Nothing that was acknowledged may depend on a Worker: the process can die at any time.
    """

    def __init__(self, step: Callable[[], float | None], name: str) -> None:
        self._step = step
        self._name = name
        self._renew()
        _workers.add(self)

    def _renew(self) -> None:
        # Plain Lock in a Condition: a signal handler that calls wake() while this thread is inside must not hang,
        # so an RLock it is (threading.Condition's default) - re-entered it only sets a flag.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._is_woken = False
        self._is_stopping = False
        self._is_closed = False

    def wake(self) -> None:
        """Ask for a step soon; starts the thread when there is none. Never blocks on the work itself."""
        with self._changed:
            if self._is_closed:
                return
            self._is_woken = True
            self._changed.notify_all()
            if self._thread is None and not self._is_stopping:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"telemetry-{self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # at interpreter shutdown no thread starts any more; the next process finds the work
        self._thread = thread

    def _run(self) -> None:
        while (pause_s := self._one_step()) is not None:
            with self._changed:
                if not self._is_woken and not self._is_stopping:
                    self._changed.wait(pause_s)
                if self._is_over():
                    return

    def _one_step(self) -> float | None:
        with self._changed:
            self._is_woken = False
        pause_s = self._step()
        if pause_s is not None:
            return pause_s
        with self._changed:
            if not self._is_woken and not self._is_stopping:
                self._changed.wait(_IDLE_S)
            return None if self._is_over(is_idle=not self._is_woken) else 0.0

    def _is_over(self, is_idle: bool = False) -> bool:
        if self._is_stopping or is_idle:
            self._thread = None
            return True
        return False

    def stop(self, deadline_s: float) -> bool:
        """
        End the thread after its current step; return whether it ended within *deadline_s* seconds.

        `wake()` starts it again, unless `close()` was called.
        """
        with self._changed:
            thread, self._is_stopping = self._thread, True
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(deadline_s)
        with self._changed:
            self._is_stopping = False
        return thread is None or not thread.is_alive()

    def close(self, deadline_s: float) -> bool:
        """End the thread for good; return whether it ended within *deadline_s* seconds."""
        self._is_closed = True
        return self.stop(deadline_s)

    @property
    def is_alive(self) -> bool:
        """Whether the thread exists right now."""
        return self._thread is not None


_parked: list[Worker] = []


def _before_fork() -> None:
    _parked[:] = [worker for worker in list(_workers) if worker.is_alive]
    for worker in _parked:
        worker.stop(_FORK_WAIT_S)


def _after_fork_in_parent() -> None:
    for worker in _parked:
        worker.wake()
    _parked.clear()


def _after_fork_in_child() -> None:
    _parked.clear()
    for worker in list(_workers):
        worker._renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
