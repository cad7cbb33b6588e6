"""Close what a client had open once nobody can reach it: files that nobody closes add up, until the agent has none."""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..plugins.worker import Worker
from .shield import attempt

if TYPE_CHECKING:
    from .live import LiveRuns
    from .ownership import Ownership
    from .wiring import Setup

__all__ = ["Belongings", "close_dropped", "follow", "forget_dropped", "make_room"]

_CLOSE_S = 2.0
_BRIEFLY_S = 0.05
_DELIVERS_S = 30.0
_LATE_S = 0.5
_MANY = 8  # clients of 7 descriptors each; some systems give a process 256
_ROOM_S = 0.05
_POLL_S = 0.001
_dropped: deque[Belongings] = deque()


@define(eq=False)
class Belongings:
    """
    What outlives a client; nothing of it leads back to the client itself.

    Args:
        owns_sinks: the client has built its sinks. Those that were handed to it may serve another one by now.
        not_before: when they are closed, by the steady clock, as long as there are few of them.
    """

    setup: Setup
    ownership: Ownership
    runs: LiveRuns
    owns_sinks: bool
    process_id: int = field(factory=os.getpid)
    not_before: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is anything to close; after `client.close()`, as a rule, there is not."""
        has_sinks = self.owns_sinks and bool(self.setup.bus.sink_names)
        return has_sinks or (self.ownership.is_claimed and not len(self.runs))

    def close(self, deadline_s: float) -> None:
        """
        Let go of sinks and claim within *deadline_s* seconds.

        A run that was not ended keeps its claim: it lives as long as the process does, and then gets its verdict.
        """
        end = time.monotonic() + deadline_s
        self.setup.bus.revive = self._revive
        if not len(self.runs):
            self.ownership.leave(has_open_runs=False)
        self.ownership.close(deadline_s)
        if self.owns_sinks:
            self.setup.close(max(0.0, end - time.monotonic()))

    def _revive(self) -> None:
        # A delivery whose answer took longer than the closing reports of it: the sinks are opened for that, and nobody
        # but us is left to close them again.
        self.setup.attach_all()
        if self.owns_sinks:
            self.not_before = time.monotonic() + _LATE_S  # the report itself is still on its way
            _dropped.append(self)
            _worker.wake()

    def forked(self) -> None:
        """Become the child's in the child of a fork: what the parent has open, and its runs, stay the parent's."""
        self.process_id = os.getpid()
        open_runs = self.runs.forget_all()
        self.setup.bus.renew_after_fork()
        self.ownership.forked(open_runs)


def follow(client: Any, belongings: Belongings) -> None:
    """Have *belongings* closed when nobody can reach *client* any more, but not at the exit of the process."""
    weakref.finalize(client, _let_go, belongings).atexit = False


def _let_go(belongings: Belongings) -> None:
    attempt(_queue, belongings)  # what a finalizer raises is written to the agent's standard error


def _queue(belongings: Belongings) -> None:
    # Called wherever the last reference was dropped, or in a garbage collection, so in the midst of any code of the
    # agent's and of ours, under whatever lock: nothing is closed here, and no lock waited for. Where the thread cannot
    # be woken without that, the next client wakes it.
    if belongings.process_id == os.getpid() and belongings.is_open:
        # What an API has not got yet would have to wait for the next client.
        belongings.not_before = time.monotonic() + (_DELIVERS_S if belongings.setup.delivers else 0.0)
        _dropped.append(belongings)
        _worker.nudge()


def _close_next() -> float | None:
    if not _dropped:
        return None
    belongings, are_few = _dropped[0], len(_dropped) <= _MANY
    if are_few and (wait_s := belongings.not_before - time.monotonic()) > 0:
        return wait_s
    attempt(belongings.close, _CLOSE_S if are_few else _BRIEFLY_S)  # left in the queue, for the child of a fork
    _take_off(belongings)
    return 0.0


def _take_off(belongings: Belongings) -> None:
    if _dropped and _dropped[0] is belongings:
        _dropped.popleft()


_worker = Worker(_close_next, "parting")


def make_room() -> None:
    """Before a client is built: see to those that were dropped; wait 50 ms at most where they have become many."""
    if not _dropped:
        return
    end = time.monotonic() + _ROOM_S
    while _worker.wake() and len(_dropped) > _MANY and time.monotonic() < end:
        time.sleep(_POLL_S)


def close_dropped(deadline_s: float) -> None:
    """At the exit of the process: close what is still open of dropped clients, within *deadline_s* seconds."""
    end = time.monotonic() + deadline_s
    if not _dropped or not _worker.stop(deadline_s):
        return  # a sink that hangs; what it has not taken is in the journal
    while _dropped and (left_s := end - time.monotonic()) > 0:
        belongings = _dropped[0]
        attempt(belongings.close, left_s)
        _take_off(belongings)


def forget_dropped() -> None:
    """In the child of a fork: let go of the parent's descriptors and locks, and of nothing else."""
    waiting = list(_dropped)
    _dropped.clear()
    for belongings in waiting:
        attempt(belongings.forked)
