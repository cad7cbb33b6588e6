"""One leader commits for all that wait; whoever is held up, interrupted or refused, nobody waits for ever."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from telemetry.sinks.journal import group_commit
from telemetry.sinks.journal.group_commit import GroupCommit


class Crowd:
    """Threads that each append one line, and what became of each: None, or the error."""

    def __init__(self, group: GroupCommit) -> None:
        self.outcomes: dict[bytes, BaseException | None] = {}
        self._group = group
        self._threads: list[threading.Thread] = []

    def send(self, *lines: bytes) -> None:
        for line in lines:
            self._threads.append(threading.Thread(target=self._append, args=(line,)))
            self._threads[-1].start()

    def _append(self, line: bytes) -> None:
        try:
            self._group.append(line)
        except (OSError, KeyboardInterrupt, SystemExit) as error:
            self.outcomes[line] = error
        else:
            self.outcomes[line] = None

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)


def _wait_until(claim: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.0005)


def _queued(group: GroupCommit, count: int) -> Callable[[], bool]:
    return lambda: len(group._queue) == count


class StoppedOnce:
    """A commit that stops at its first call until it is let on, and fails when it is told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.groups: list[list[bytes]] = []
        self.is_inside = threading.Event()
        self.go_on = threading.Event()
        self._error = error

    def __call__(self, lines: Sequence[bytes]) -> None:
        self.groups.append(list(lines))
        if len(self.groups) == 1:
            self.is_inside.set()
            self.go_on.wait(60)
            if self._error is not None:
                raise self._error


def _crowd_behind(gate: StoppedOnce, *lines: bytes) -> Crowd:
    """Let `first` be in the middle of its commit and *lines* wait behind it; then let it go on."""
    group = GroupCommit(gate)
    crowd = Crowd(group)
    crowd.send(b"first")
    gate.is_inside.wait(60)
    for n, line in enumerate(lines):
        crowd.send(line)
        _wait_until(_queued(group, n + 1))
    gate.go_on.set()
    crowd.wait()
    return crowd


def test_one_line_is_committed_in_the_callers_thread():
    """No thread stands between the caller and the disk."""
    threads: list[int] = []
    group = GroupCommit(lambda lines: threads.append(threading.get_ident()))

    group.append(b"line")

    assert [threading.get_ident()] == threads


def test_lines_that_wait_are_committed_together_and_in_order():
    """Seven lines that came during one sync are one write and one sync more."""
    gate, lines = StoppedOnce(), [b"%d" % n for n in range(7)]

    crowd = _crowd_behind(gate, *lines)

    assert [[b"first"], lines] == gate.groups
    assert dict.fromkeys([b"first", *lines]) == crowd.outcomes


def test_an_error_reaches_each_line_of_its_group_and_no_other():
    """Each thread gets an error of its own, with number, text and path; the next group is tried anew."""
    gate = StoppedOnce(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/place"))

    crowd = _crowd_behind(gate, b"a", b"b")

    error = crowd.outcomes.pop(b"first")
    assert isinstance(error, OSError)
    assert (errno.ENOSPC, "/place") == (error.errno, error.filename)
    assert {b"a": None, b"b": None} == crowd.outcomes


def test_all_of_a_group_are_told_of_its_error():
    """The second group fails as a whole: nobody in it takes its line for safe."""

    class SecondFails(StoppedOnce):
        def __call__(self, lines: Sequence[bytes]) -> None:
            super().__call__(lines)
            if len(self.groups) == 2:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    crowd = _crowd_behind(SecondFails(), b"a", b"b", b"c")

    assert crowd.outcomes.pop(b"first") is None
    assert [errno.EIO] * 3 == [getattr(error, "errno", None) for error in crowd.outcomes.values()]
    assert 3 == len(set(map(id, crowd.outcomes.values())))


@pytest.mark.parametrize("expected", [1, 2])
def test_a_signal_handler_inside_the_leader_commits_at_once(expected):
    """It runs in the leader's thread: waiting for the leader would be waiting for itself."""
    groups: list[Sequence[bytes]] = []

    def commit(lines: Sequence[bytes]) -> None:
        groups.append(list(lines))
        if len(groups) == 1:
            group.append(b"of the handler")

    group = GroupCommit(commit)
    group._expected = expected
    group.append(b"line")
    group.append(b"next")

    assert [[b"line"], [b"of the handler"], [b"next"]] == groups


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interrupted_leader_leaves_the_others_to_the_next_one(error):
    """^C ends the call of the thread that it hit; all the other lines are committed, and so are later ones."""
    gate = StoppedOnce(error)
    group = GroupCommit(gate)
    crowd = Crowd(group)
    group._queue.append(group_commit._Entry(b"of another thread"))
    group._expected = 2

    crowd.send(b"first")
    gate.is_inside.wait(60)
    crowd.send(b"a", b"b")
    _wait_until(_queued(group, 2))
    gate.go_on.set()
    crowd.wait()
    group.append(b"later")

    assert {b"first": error, b"a": None, b"b": None} == crowd.outcomes
    assert [b"of another thread", b"first"] == gate.groups[0]
    assert {b"of another thread", b"a", b"b", b"later"} == {line for group in gate.groups[1:] for line in group}


def test_a_leader_that_is_interrupted_before_it_leads_holds_up_nobody(monkeypatch):
    """^C may arrive between any two steps."""
    group = GroupCommit(lambda lines: None)
    group._expected = 2

    def interrupted(entry: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(group, "_lead", interrupted)
        with pytest.raises(KeyboardInterrupt):
            group.append(b"interrupted")
    crowd = Crowd(group)
    crowd.send(b"next")
    crowd.wait()

    assert {b"next": None} == crowd.outcomes


def test_a_thread_that_does_not_wake_up_holds_up_nobody(monkeypatch):
    """The one that was woken to lead sits in a signal handler: after a moment another one leads."""
    gate = StoppedOnce()
    woken: list[bytes] = []
    wake = group_commit._Entry.wake

    def deaf(entry: group_commit._Entry) -> None:
        if not entry.is_done:
            woken.append(entry.line)  # and nothing happens: its thread is busy elsewhere
        else:
            wake(entry)

    monkeypatch.setattr(group_commit._Entry, "wake", deaf)
    crowd = _crowd_behind(gate, b"a", b"b")

    assert [b"b"] == woken
    assert {b"first": None, b"a": None, b"b": None} == crowd.outcomes


def test_the_newest_waiting_thread_leads_next(monkeypatch):
    """Of one thread that waits twice, in a handler and below it, only the newer one can run."""
    gate = StoppedOnce()
    group = GroupCommit(gate)
    leaders: list[bytes] = []
    lead = group._lead
    monkeypatch.setattr(group_commit, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(group, "_lead", lambda entry: leaders.append(entry.line) or lead(entry))
    crowd = Crowd(group)
    crowd.send(b"first")
    gate.is_inside.wait(60)
    for n, line in enumerate((b"a", b"b", b"c")):
        crowd.send(line)
        _wait_until(_queued(group, n + 1))

    gate.go_on.set()
    crowd.wait()

    assert [b"c"] == leaders


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_a_lone_leader_that_fails_holds_up_nobody(error):
    """It goes without a queue of its own; who came meanwhile is woken, and its error is its own."""
    gate = StoppedOnce(error)

    crowd = _crowd_behind(gate, b"a", b"b")

    assert error is crowd.outcomes.pop(b"first")
    assert {b"a": None, b"b": None} == crowd.outcomes
    assert [[b"first"], [b"a", b"b"]] == gate.groups


def test_a_thread_that_computes_holds_up_a_leader_once(monkeypatch):
    """Who gathers a group gives up when the interpreter is taken for 5 ms: a wait for each yield would be 150 ms."""
    group = GroupCommit(lambda lines: None)
    yields = []
    now = [0.0]

    def sleep(pause_s: float) -> None:
        yields.append(pause_s)
        now[0] += 0.005

    monkeypatch.setattr(group_commit, "time", SimpleNamespace(sleep=sleep, perf_counter=lambda: now[0]))
    group._expected = 8
    group.append(b"one\n")

    assert [0] == yields


def test_ringing_twice_does_no_harm(monkeypatch):
    """Two leaders in a row may wake a thread that has not run in between."""
    monkeypatch.setattr(group_commit, "_PATIENCE_S", 60.0)
    entry = group_commit._Entry(b"line")

    entry.wake()
    entry.wake()
    started = time.monotonic()
    entry.wait()

    assert time.monotonic() - started < 30


def test_many_threads_lose_nothing():
    """32 threads hammer one group: every line is committed exactly once."""
    committed: list[bytes] = []
    group = GroupCommit(committed.extend)
    lines = [[b"%d-%d" % (thread, n) for n in range(100)] for thread in range(32)]
    threads = [threading.Thread(target=lambda own=own: [group.append(line) for line in own]) for own in lines]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(line for own in lines for line in own) == sorted(committed)
    for own in lines:
        assert own == [line for line in committed if line in set(own)]


def test_a_thread_without_a_pause_starves_no_other():
    """Beside a thread that logs in a loop, a line waits for a few commits, not for the end of the loop."""
    commits: list[Sequence[bytes]] = []

    def commit(lines: Sequence[bytes]) -> None:
        time.sleep(0.0005)
        commits.append(lines)

    group = GroupCommit(commit)
    is_over = threading.Event()

    def flood() -> None:
        while not is_over.is_set() and len(commits) < 5_000:
            group.append(b"flood")

    flooding = threading.Thread(target=flood)
    flooding.start()
    waits = []
    for _ in range(20):
        time.sleep(0.002)  # so that nobody else is expected, as beside an agent that works
        before = len(commits)
        group.append(b"agent")
        waits.append(len(commits) - before)
    is_over.set()
    flooding.join(60)

    # Who waits for a core as well, on a busy machine, sees more commits go by; starved, it sees all that are left.
    assert sorted(waits)[len(waits) // 2] <= 100, waits
    assert max(waits) <= 2_000, waits
