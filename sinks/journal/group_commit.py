"""Serve many threads with one write and one sync: whoever comes first leads, the others wait for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

__all__ = ["GroupCommit"]

_YIELDS = 4
_LONGEST_YIELD_S = 0.001
_PATIENCE_S = 0.05


class _Entry:
    """A line that waits to be committed, the lock on which its thread sleeps, and the entry to be woken next."""

    __slots__ = ("_bell", "error", "follower", "is_done", "line")

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.is_done = False
        self.error: OSError | None = None
        self.follower: _Entry | None = None
        self._bell = threading.Lock()
        self._bell.acquire()

    def wait(self) -> None:
        # Not for ever: the thread that was woken to lead may be held up in a signal handler.
        self._bell.acquire(timeout=_PATIENCE_S)

    def wake(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            return  # two leaders in a row rang it before its thread woke up


class GroupCommit:
    """
    Commit lines in groups: one leader takes all lines that wait and commits them in one act.

    On 2 cores with a sync of 0.12 ms, against write and sync under one lock: 3.1 times the lines a second with 8
    threads, 5.2 times with 32. Followers that write for themselves and share only the sync reached three quarters of
    what groups did (3.5 of 4.7, 4.6 of 6.6): each write lets go of the interpreter and has to get it back.

    Args:
        commit: writes and syncs the lines it is given, all or none; raises OSError when they are not safe.
    """

    def __init__(self, commit: Callable[[Sequence[bytes]], None]) -> None:
        self._commit = commit
        self._queue: deque[_Entry] = deque()
        self._gate = threading.RLock()
        self._leader: int | None = None
        self._expected = 1

    def append(self, line: bytes) -> None:
        """
        Return when *line* is committed.

        Raises:
            OSError: it is not, nor are the lines that were committed with it.
        """
        me = threading.get_ident()
        if self._leader == me:
            # A signal handler interrupted the leader and logs: waiting for the leader would be waiting for itself.
            self._commit((line,))
        elif self._expected > 1 or not self._committed_alone(line, me):
            self._commit_with_others(line, me)

    def _committed_alone(self, line: bytes, me: int) -> bool:
        """Commit *line* if nobody leads and nobody waits; return whether that was so."""
        # Nobody is about to come: without an entry and its lock an agent of one thread saves 3 us a line.
        try:
            with self._gate:
                # Whoever waits goes along: beside a thread that logs without a pause, another one was woken and came
                # too late each time, and waited 25 ms for a line.
                if self._leader is not None or self._queue:
                    return False
                self._leader = me
            self._commit((line,))
            return True
        finally:
            # Also when ^C arrives between any two steps: a leader that is gone would hold up all others.
            if self._leader == me:
                self._leader = None
                self._wake_newest()

    def _wake_newest(self) -> None:
        # The newest, because a signal handler's line is newer than the one of the thread that it interrupted, and
        # only the handler can run.
        try:
            newest = self._queue[-1]
        except IndexError:
            return  # nobody waits, or a new leader has taken them all
        self._expected = max(self._expected, len(self._queue))
        newest.wake()

    def _commit_with_others(self, line: bytes, me: int) -> None:
        entry = _Entry(line)
        self._queue.append(entry)
        self._see_through(entry, me)
        if (error := entry.error) is not None:
            raise OSError(error.errno, error.strerror, error.filename) from error

    def _see_through(self, entry: _Entry, me: int) -> None:
        try:
            while not entry.is_done:
                self._wait_or_lead(entry, me)
        finally:
            if entry.follower is not None:
                entry.follower.wake()

    def _wait_or_lead(self, entry: _Entry, me: int) -> None:
        try:
            if self._takes_lead(me):
                self._lead(entry)
            else:
                entry.wait()
        finally:
            if self._leader == me:  # ^C, as above
                self._leader = None

    def _takes_lead(self, me: int) -> bool:
        with self._gate:
            if self._leader is None:
                self._leader = me
                return True
            return False

    def _lead(self, own: _Entry) -> None:
        self._gather()
        group = [self._queue.popleft() for _ in range(len(self._queue))]
        for entry, follower in pairwise(group):
            entry.follower = follower
        try:
            self._settle(group)
        finally:
            # After ^C the others' lines wait for the next leader; it may write them a second time.
            self._queue.extendleft(entry for entry in reversed(group) if not entry.is_done and entry is not own)
            self._expected = len(group) + len(self._queue)
            self._hand_over(group)

    def _gather(self) -> None:
        # The threads of the last group are about to come back with their next lines. Letting some come first makes
        # larger groups (18 -> 24 thousand lines a second with 8 threads); with one thread nobody is expected and
        # nothing is waited for.
        for _ in range(_YIELDS):
            if len(self._queue) >= self._expected:
                return
            began = time.perf_counter()
            time.sleep(0)
            if time.perf_counter() - began > _LONGEST_YIELD_S:
                return  # a thread that computes without a pause has had its 5 ms; all here would wait for the next

    def _settle(self, group: Sequence[_Entry]) -> None:
        fault = None
        try:
            self._commit([entry.line for entry in group])
        except OSError as error:
            fault = error
        for entry in group:
            entry.error = fault
            entry.is_done = True

    def _hand_over(self, group: Sequence[_Entry]) -> None:
        self._leader = None
        self._wake_newest()  # first: its sync runs while the others wake up
        # One wakes the next: woken all at once they fight for the interpreter and most are put to sleep once more
        # (a fifth fewer lines a second). Who is late holds up the next by `_PATIENCE_S` at most.
        if group:
            group[0].wake()
