"""One process at a time delivers, and one that dies lets the next one in."""

import os
import signal
import sys
import threading

import pytest

from telemetry.sinks.delivery.locks import PathLock

HOLD = """
import sys
from pathlib import Path
from telemetry.sinks.delivery.locks import PathLock
lock = PathLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    """Return the path of a lock file that is not there yet."""
    return tmp_path / "hq.lock"


def test_two_objects_of_one_process_exclude_each_other(path):
    """lockf() alone would let both in: it knows processes only."""
    first, second = PathLock(path), PathLock(path)

    assert first.acquire()
    assert not second.acquire()
    assert (True, False) == (first.is_held, second.is_held)

    second.release()
    assert first.is_held

    first.release()
    assert second.acquire()
    second.release()


def test_another_path_to_the_same_file_is_the_same_lock(path, tmp_path):
    """A base directory reached by a symbolic link is still one base directory."""
    (tmp_path / "link").symlink_to(tmp_path)
    first, second = PathLock(path), PathLock(tmp_path / "link" / "hq.lock")

    assert first.acquire()
    assert not second.acquire()
    first.release()


def test_a_waiter_gets_the_lock_when_it_is_let_go(path):
    """acquire() waits as long as it was told, and no longer than needed."""
    first, second = PathLock(path), PathLock(path)
    first.acquire()
    threading.Timer(0.05, first.release).start()

    assert second.acquire(wait_s=10)
    second.release()


def test_a_killed_process_lets_the_next_one_in(path, child):
    """The kernel frees the lock; nobody has to clean up."""
    holder = child(HOLD, path)
    assert "True" == holder.stdout.readline().strip()
    lock = PathLock(path)
    assert not lock.acquire()

    holder.send_signal(signal.SIGKILL)

    assert lock.acquire(wait_s=5)
    lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_neither_holds_nor_frees_the_lock(path, child):
    """The child starts without it, and its end does not free what the parent holds."""
    lock = PathLock(path)
    lock.acquire()

    pid = os.fork()
    if pid == 0:
        is_clean = not lock.is_held and not PathLock(path).acquire()
        lock.release()
        os._exit(0 if is_clean else 1)
    _, status = os.waitpid(pid, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    assert lock.is_held
    other = child(HOLD, path)
    assert "False" == other.stdout.readline().strip()
    lock.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_outlives_its_parent_does_not_keep_the_lock(path, child):
    """flock() would be inherited: a daemon that the agent forked would hold up the delivery for ever."""
    program = HOLD.replace("sys.stdin.read()", "import os\nif os.fork() == 0:\n    sys.stdin.read()\nos._exit(0)")
    parent = child(program, path)
    assert "True" == parent.stdout.readline().strip()

    parent.wait(10)

    lock = PathLock(path)
    assert lock.acquire(wait_s=5)
    lock.release()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the C library's fork()")
def test_a_child_that_was_forked_behind_pythons_back_does_not_keep_the_lock_either(path, child):
    """A library in C tells nobody that it forks; flock() would be held by its daemon for ever."""
    fork = "import ctypes, os\nlibc = ctypes.CDLL(None)\npid = libc.fork()\nif pid == 0:\n    libc.pause()\n"
    parent = child(HOLD.replace("sys.stdin.read()", fork + "print(pid, flush=True)\nos._exit(0)"), path)
    assert "True" == parent.stdout.readline().strip()
    orphan = int(parent.stdout.readline())
    parent.wait(10)
    lock = PathLock(path)

    try:
        assert lock.acquire(wait_s=5)
    finally:
        os.kill(orphan, signal.SIGKILL)
        lock.release()


def test_the_lock_file_is_private(path):
    """Created 0600, like everything in the base directory."""
    lock = PathLock(path)
    lock.acquire()
    lock.release()

    if sys.platform != "win32":
        assert 0o600 == path.stat().st_mode & 0o777
