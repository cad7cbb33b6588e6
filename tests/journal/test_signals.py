"""A signal handler may log while the thread that it interrupts is inside a call: no deadlock, no line lost."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from telemetry.sinks.journal.disk import Disk
from telemetry.sinks.journal.side_lock import SideLock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to log in")


@contextmanager
def _interrupted(handler: Callable[[], None]) -> Iterator[None]:
    """Let *handler* run in the main thread about every 0.3 ms, wherever that is."""
    stop = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def shoot() -> None:
        while not stop.wait(0.0003):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda number, frame: handler())
    shooter = threading.Thread(target=shoot)
    shooter.start()
    try:
        yield
    finally:
        stop.set()
        shooter.join()
        signal.signal(signal.SIGUSR1, before)


def _portions(descriptor: int, text: bytes | memoryview) -> int:
    return os.write(descriptor, text[: max(1, len(text) // 2)])


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
@pytest.mark.parametrize("write", [os.write, _portions], ids=["whole", "short writes"])
@pytest.mark.parametrize("threads", [0, 3])
def test_a_handler_logs_while_the_main_thread_does(open_journal, line, numbers, tmp_path, fsync, write, threads):
    """Handlers, the thread under them and other threads write at once: every line is there, whole and once."""
    journal = open_journal(fsync=fsync, interval_s=0.01, disk=Disk(write=write))
    handled: list[int] = []
    numbers_of_handlers = itertools.count(1_000_000)  # not len(handled), which the next handler may read as well
    depth = 0

    def handle() -> None:
        nonlocal depth
        if depth < 3:  # handlers are interrupted too, but not without end
            depth += 1
            n = next(numbers_of_handlers)
            handled.append(n)
            journal.append(line(n))
            depth -= 1

    def work(first: int) -> None:
        for n in range(first, first + 100):
            journal.append(line(n))

    helpers = [threading.Thread(target=work, args=(10_000 * n,)) for n in range(1, threads + 1)]
    with _interrupted(handle):
        for helper in helpers:
            helper.start()
        written = 0
        while written < 200 or (len(handled) < 30 and written < 50_000):
            journal.append(line(written))
            written += 1
        for helper in helpers:
            helper.join()

    expected = {*range(written), *handled, *(10_000 * t + n for t in range(1, threads + 1) for n in range(100))}
    assert len(handled) >= 30
    assert sorted(expected) == sorted(numbers(tmp_path / "raw"))


class _Interruptible:
    """A disk at whose calls something may happen, as if a signal arrived just before them or just after."""

    def __init__(self) -> None:
        self.at: dict[str, Callable[[], object]] = {}

    @property
    def as_disk(self) -> Disk:
        real = Disk()
        return Disk(
            write=lambda *arguments: self._around("write", real.write, *arguments),
            sync=lambda *arguments: self._around("sync", real.sync, *arguments),
        )

    def _around(self, name, call, *arguments):
        self._happen(f"before {name}")
        result = call(*arguments)
        self._happen(f"after {name}")
        return result

    def _happen(self, place: str) -> None:
        if act := self.at.pop(place, None):
            act()


PLACES = pytest.mark.parametrize("place", ["before write", "after write", "before sync", "after sync"])


@PLACES
@pytest.mark.parametrize("fsync", ["always", "never"])
def test_a_handler_may_close_the_journal(open_journal, line, numbers, tmp_path, place, fsync):
    """SIGTERM's handler closes the client in the middle of a call; the call ends well, and later ones do."""
    disk = _Interruptible()
    journal = open_journal(fsync=fsync, disk=disk.as_disk)
    journal.append(line(0))
    disk.at[place] = lambda: journal.close(60.0)

    started = time.monotonic()
    for n in (1, 2, 3):
        journal.append(line(n))

    assert time.monotonic() - started < 30  # it waits for no sync of its own thread
    assert [0, 1, 2, 3] == numbers(tmp_path / "raw")


@PLACES
def test_a_handler_may_turn_the_day_inside_a_call(open_journal, clock, line, numbers, tmp_path, place):
    """The file that the interrupted thread writes or syncs is let go of only when that is over."""
    disk = _Interruptible()
    journal = open_journal(disk=disk.as_disk)
    journal.append(line(0))

    def handle() -> None:
        clock.now += 86400
        journal.append(line(2))

    disk.at[place] = handle
    journal.append(line(1))
    journal.append(line(3))

    assert [0, 1, 2, 3] == sorted(numbers(tmp_path / "raw"))
    assert (0, 0) == (journal.health()["sync_faults"], journal.health()["append_faults"])


@pytest.mark.parametrize("fsync", ["always", "never"])
def test_a_handlers_line_leaves_the_lock_to_the_one_below(open_journal, line, tmp_path, fsync):
    """Other processes wait until the line of the interrupted thread is written too."""
    disk = _Interruptible()
    journal = open_journal(fsync=fsync, disk=disk.as_disk)
    journal.append(line(0))
    other = SideLock(str(tmp_path / "raw" / ".lock"), wait_s=0.0)
    other.renew()
    taken: list[bool] = []

    disk.at["before write"] = lambda: journal.append(line(2))
    disk.at["after write"] = lambda: disk.at.update({"after write": lambda: taken.append(other.acquire())})
    journal.append(line(1))
    taken.append(other.acquire())
    other.close()

    assert [False, True] == taken


def test_a_handler_meets_the_first_line(open_journal, line, numbers, tmp_path, monkeypatch):
    """The thread below is about to open the file; both lines are kept, and no descriptor too many stays open."""
    journal = open_journal()
    open_below = journal._open
    acts = [lambda: journal.append(line(1))]

    def opened(day: int):
        file = open_below(day)
        if acts:
            acts.pop()()
        return file

    monkeypatch.setattr(journal, "_open", opened)
    journal.append(line(2))
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    journal.close()
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else -2

    assert [1, 2] == sorted(numbers(tmp_path / "raw"))
    assert 2 == before - after


def test_an_error_that_a_handler_met_is_not_hidden_from_the_thread_below(open_journal, line, numbers, tmp_path):
    """The system tells a failed sync once only: if the handler was told, the line below is written anew as well."""
    faults: list[int] = []

    def sync(descriptor: int) -> None:
        if not faults:
            faults.append(descriptor)
            journal.append(line(2))  # the handler, before the sync of the thread below begins
        elif len(faults) == 1:
            faults.append(descriptor)
            raise OSError(5, "Input/output error")

    journal = open_journal(disk=Disk(sync=sync))
    journal.append(line(1))

    assert [1, 2] == numbers(tmp_path / "raw")[:2]
    assert {1, 2} == set(numbers(tmp_path / "raw")[2:])


def test_a_keyboard_interrupt_anywhere_leaves_a_working_journal(open_journal, line, numbers, tmp_path):
    """^C in the middle of any step, 200 times: the next lines are kept, and so is every line whose call returned."""
    journal = open_journal()
    returned: list[int] = []
    is_armed, interrupts, n = False, 0, 0

    def interrupt() -> None:
        nonlocal is_armed
        if is_armed:
            is_armed = False
            raise KeyboardInterrupt

    with _interrupted(interrupt):
        while interrupts < 200:
            n += 1
            try:
                is_armed = True
                journal.append(line(n))
                returned.append(n)
                is_armed = False
            except KeyboardInterrupt:
                interrupts += 1
    thread = threading.Thread(target=journal.append, args=(line(0),))
    thread.start()
    thread.join(60)

    assert not thread.is_alive()
    assert {0, *returned} <= set(numbers(tmp_path / "raw"))
