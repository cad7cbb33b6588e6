"""A worker has a thread only while there is work, never across a fork, and lets nobody wait for it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from patience import quickest, until

from telemetry.plugins import Worker

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


class Steps:
    """A step that counts its calls and returns what it is told to."""

    def __init__(self, *pauses_s: float | None) -> None:
        self.pauses_s = list(pauses_s)
        self.threads: list[str] = []
        self.done = threading.Event()

    def __call__(self) -> float | None:
        self.threads.append(threading.current_thread().name)
        if self.pauses_s:
            return self.pauses_s.pop(0)
        self.done.set()
        return None


@pytest.fixture
def opened() -> Iterator[list[Worker]]:
    """Return a list whose workers are closed behind the test."""
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.close(5)


def test_a_worker_without_work_has_no_thread() -> None:
    """An agent that never needs it pays nothing."""
    before = threading.active_count()

    worker = Worker(Steps(), "test")

    assert (False, before) == (worker.is_alive, threading.active_count())


def test_work_is_done_until_nothing_is_left(opened: list[Worker]) -> None:
    """0 asks for the next step at once, None ends the thread when it has been idle for a moment."""
    steps = Steps(0, 0, 0.001)
    opened.append(worker := Worker(steps, "test"))

    assert worker.wake()

    assert steps.done.wait(60)
    assert until(lambda: not worker.is_alive)
    assert ["telemetry-test"] * 4 == steps.threads


def test_the_thread_does_not_keep_the_process() -> None:
    """It is a daemon: the process may end at any time."""
    script = "import time; from telemetry.plugins import Worker; Worker(lambda: time.sleep(60), 'w').wake()"

    began = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

    assert time.monotonic() - began < 40  # else 60 s


def test_waking_an_idle_worker_starts_it_anew(opened: list[Worker]) -> None:
    """Also when the wake comes in the very moment in which the thread ends."""
    steps = Steps()
    opened.append(worker := Worker(steps, "test"))

    for count in range(1, 4):
        worker.wake()
        assert until(lambda count=count: len(steps.threads) >= count)  # type: ignore[misc]
        worker.stop(5)

    assert 3 == len(steps.threads)


def test_no_wake_is_lost(opened: list[Worker]) -> None:
    """However wake and step interleave, a step begins after the last wake."""
    wanted, seen = 0, 0

    def step() -> None:
        nonlocal seen
        seen = wanted

    opened.append(worker := Worker(step, "test"))
    for number in range(1, 2_001):
        wanted = number
        worker.wake()

    assert until(lambda: seen == 2_000)


def test_a_pause_is_kept_and_cut_short_by_a_wake(opened: list[Worker]) -> None:
    """A step that wants to be called in a minute is called at once when there is news."""
    steps = Steps(60.0)
    opened.append(worker := Worker(steps, "test"))
    worker.wake()
    assert until(lambda: len(steps.threads) == 1)
    assert not steps.done.wait(0.05)

    worker.wake()

    assert steps.done.wait(60)


def test_a_stopped_worker_can_be_woken(opened: list[Worker]) -> None:
    """Stop ends the thread after its step, within the deadline; the next wake starts one."""
    steps = Steps(60.0, 60.0)
    opened.append(worker := Worker(steps, "test"))
    worker.wake()
    assert until(lambda: bool(steps.threads))

    assert worker.stop(60)

    assert not worker.is_alive
    assert worker.wake()
    assert until(lambda: len(steps.threads) == 2)


def test_a_closed_worker_stays_closed(opened: list[Worker]) -> None:
    """Wake then says that there will be no step."""
    steps = Steps()
    opened.append(worker := Worker(steps, "test"))

    assert worker.close(1)

    assert not worker.wake()
    assert ([], False) == (steps.threads, worker.is_alive)


@pytest.mark.parametrize("end", ["stop", "close"])
def test_a_step_that_hangs_holds_nobody_beyond_the_deadline(end: str) -> None:
    """The answer is then False, and the thread ends by itself once the step is over."""
    release, began = threading.Event(), threading.Event()

    def hang() -> float:
        began.set()
        release.wait(60)
        return 0.0 if end == "close" else 60.0

    worker = Worker(hang, "test")
    worker.wake()
    assert began.wait(60)
    started = time.monotonic()

    is_ended = getattr(worker, end)(0.05)

    assert not is_ended
    assert time.monotonic() - started < 20
    release.set()
    assert worker.close(60)
    assert until(lambda: not worker.is_alive)


@pytest.mark.parametrize("state", ["new", "idle", "in a pause", "in a step"])
@pytest.mark.parametrize("deadline_s", [0.0, 5.0])
def test_what_is_to_happen_at_the_end_happens_once(state: str, deadline_s: float) -> None:
    """After the last step, whoever waits for it; a lock that is freed there is free for the next one."""
    release, began = threading.Event(), threading.Event()
    told: list[str] = []

    def step() -> float | None:
        began.set()
        if state == "in a step":
            release.wait(60)
        told.append("step")
        return 60.0 if state == "in a pause" else None

    worker = Worker(step, "test", at_end=lambda: told.append("end"))
    if state != "new":
        worker.wake()
        assert began.wait(60)
    threading.Timer(0.05, release.set).start()

    worker.close(deadline_s)

    assert until(lambda: "end" in told)
    worker.close(5)
    assert ([] if state == "new" else ["step"]) + ["end"] == told


def test_a_worker_may_be_closed_by_its_own_step() -> None:
    """A thread cannot wait for itself, so it ends after the step."""
    answers: list[bool] = []
    worker = Worker(lambda: answers.append(worker.close(5)) or 0.0, "test")

    worker.wake()

    assert until(lambda: not worker.is_alive)
    assert [False] == answers


def test_a_step_that_raises_ends_the_thread_and_not_the_worker(
    opened: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error goes the way of any thread's error; the next wake tries again."""
    errors: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: errors.append(str(told.exc_value)))

    def step() -> None:
        raise OSError("broken")

    opened.append(worker := Worker(step, "test"))
    worker.wake()
    assert until(lambda: not worker.is_alive and len(errors) == 1)

    worker.wake()

    assert until(lambda: len(errors) == 2)
    assert ["broken", "broken"] == errors


def test_one_worker_has_one_thread(opened: list[Worker]) -> None:
    """However many threads wake it, no two steps run at once."""
    running, most = 0, 0

    def step() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.0005)
        running -= 1

    opened.append(worker := Worker(step, "test"))
    wakers = [threading.Thread(target=lambda: [worker.wake() for _ in range(200)]) for _ in range(8)]
    for waker in wakers:
        waker.start()
    for waker in wakers:
        waker.join()

    assert 1 == most


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no interval timer here")
def test_a_signal_handler_may_wake_while_the_thread_is_inside(opened: list[Worker]) -> None:
    """Neither a dead end nor a second thread: steps never overlap."""
    running, most = 0, 0

    def step() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        running -= 1

    opened.append(worker := Worker(step, "test"))
    before = signal.signal(signal.SIGALRM, lambda *_: worker.wake() and None)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            worker.wake()
            worker.stop(1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert 1 == most


def test_workers_that_nobody_holds_are_forgotten() -> None:
    """A process that builds clients without end keeps none of their workers."""
    from telemetry.plugins.worker import _all_workers

    before = len(_all_workers())
    for _ in range(100):
        Worker(Steps(), "test")

    assert before >= len(_all_workers()) - 1


@needs_fork
def test_a_fork_finds_no_thread_of_ours(opened: list[Worker]) -> None:
    """It is stopped before, started again in the parent, and the child has a worker that starts on its own demand."""
    steps = Steps(*[0.01] * 10_000)
    opened.append(worker := Worker(steps, "test"))
    worker.wake()
    assert until(lambda: bool(steps.threads))
    receiving, sending = os.pipe()

    child = os.fork()
    if child == 0:
        # By name: a client that an earlier test has left may have a thread of its own already, to tell its sink.
        was_alive, names = worker.is_alive, [each.name for each in threading.enumerate() if "test" in each.name]
        steps.threads.clear()
        worker.wake()
        is_working = until(lambda: bool(steps.threads))
        os.write(sending, f"{was_alive} {names} {is_working}".encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert b"False [] True" == os.read(receiving, 1000)
    count = len(steps.threads)
    assert until(lambda: len(steps.threads) > count)


@needs_fork
def test_a_fork_is_not_held_by_a_step_that_hangs() -> None:
    """All workers together delay a fork by a moment; the step goes on in the parent."""
    release = threading.Event()
    workers = [Worker(lambda: release.wait(60) and None, f"test-{n}") for n in range(3)]
    for worker in workers:
        worker.wake()

    children: list[int] = []

    def fork() -> None:
        children.append(os.fork())
        if children[-1] == 0:
            os._exit(0)

    held_s = quickest(fork, 0.4)
    release.set()
    for child in children:
        os.waitpid(child, 0)
    assert held_s < 0.4  # each for itself, they would hold it for 0.45 s
    assert all(worker.close(60) for worker in workers)


@needs_fork
def test_a_wake_that_meets_a_fork_is_not_lost(opened: list[Worker]) -> None:
    """What is asked for while the process forks is done behind it."""
    from telemetry.plugins import worker as module

    steps = Steps()
    opened.append(worker := Worker(steps, "test"))

    module._before_fork()
    is_promised = worker.wake()
    was_alive = worker.is_alive
    module._after_fork_in_parent()

    assert (True, False) == (is_promised, was_alive)
    assert steps.done.wait(60)


@needs_fork
def test_a_closed_worker_is_closed_in_the_child_too() -> None:
    """A fork revives nothing."""
    worker = Worker(Steps(), "test")
    worker.close(1)

    child = os.fork()
    if child == 0:
        os._exit(int(worker.wake()))

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


PREFORK = """
import os, sys, threading, time, warnings
from telemetry.plugins import Worker

warnings.simplefilter("error")
count = 0
def step():
    global count
    count += 1
    return 0.001
worker = Worker(step, "test")
for _ in range(20):
    worker.wake()
    time.sleep(0.005)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
before, end = count, time.monotonic() + 50
while count == before and time.monotonic() < end:
    time.sleep(0.001)
sys.exit(0 if count > before else 3)
"""


@needs_fork
def test_python_does_not_warn_of_our_threads_at_a_fork() -> None:
    """Twenty forks with a busy worker: no DeprecationWarning, which 3.12 gives where threads are running."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREFORK], capture_output=True, text=True, timeout=60, check=False
    )

    assert (0, "", "") == (result.returncode, result.stdout, result.stderr)


SHUTDOWN = """
import atexit, sys
from telemetry.plugins import Worker

worker = Worker(lambda: None, "test")

@atexit.register
def answer():
    is_promised = worker.wake()
    print(is_promised == worker.is_alive)
"""


def test_at_interpreter_shutdown_wake_tells_the_truth() -> None:
    """Python 3.12 starts no thread any more then; whoever hears that can do the work in the thread it is in."""
    result = subprocess.run([sys.executable, "-c", SHUTDOWN], capture_output=True, text=True, timeout=60, check=False)

    assert (0, "True\n", "") == (result.returncode, result.stdout, result.stderr)
