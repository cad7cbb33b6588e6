"""Many processes write one journal: killed, stopped or forked, they cost the others nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO

import pytest

from telemetry.sinks.journal import journal_files, read_records
from telemetry.sinks.journal.side_lock import SideLock

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone stops and forks processes")

WRITER = """
import os, sys
from telemetry.plugins import RunEvent, encode_line
from telemetry.sinks.journal import Journal

directory, name, fsync, pad, count = sys.argv[1:]
journal = Journal(directory, fsync=fsync, interval_s=0.01)
for n in range(1, int(count) + 1):
    journal.append(encode_line(RunEvent(name, "e", "t", {"n": n, "pad": "x" * int(pad)}, name, n)))
    # Only now: the call has returned, and the other side of the pipe remembers it.
    os.write(1, b"%d\\n" % n)
"""


def _start(directory: Path, name: str, *, fsync: str = "always", pad: int = 0, count: int = 10**9):
    arguments = [sys.executable, "-c", WRITER, str(directory), name, fsync, str(pad), str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE)


def _acknowledged(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    with pipe:
        return max((int(line) for line in pipe if line.endswith(b"\n")), default=0)


def _journalled(directory: Path) -> Counter[tuple[str, int]]:
    found = (found.record for file in journal_files(directory) for found in read_records(file))
    return Counter((event.run_id, event.payload["n"]) for event in found)


@pytest.mark.parametrize(("fsync", "pad"), [("always", 0), ("interval", 300), ("never", 2_000_000)])
def test_lines_of_killed_writers_survive(tmp_path, fsync, pad):
    """Three writers at a time, eight SIGKILLs: what was acknowledged is there once; who comes next is not harmed."""
    promised: dict[str, int] = {}
    living: list[tuple[str, subprocess.Popen[bytes]]] = []
    for number in range(8):
        while len(living) < 3:
            name = f"{number}-{len(living)}"
            living.append((name, _start(tmp_path, name, fsync=fsync, pad=pad)))
        name, victim = living.pop(0)
        assert victim.stdout is not None
        first = victim.stdout.readline()
        time.sleep(0.003 * number)
        victim.kill()
        promised[name] = max(int(first), _acknowledged(victim.stdout))
        victim.wait()
    for name, victim in living:
        victim.kill()
        promised[name] = _acknowledged(victim.stdout)
        victim.wait()

    journalled = _journalled(tmp_path)
    # A line may be whole though its writer died before it heard so; two of them cannot be.
    assert {(name, n) for name, last in promised.items() for n in range(1, last + 1)} <= set(journalled)
    assert {1} == set(journalled.values())
    assert all(n <= promised[name] + 1 for name, n in journalled)


@pytest.mark.parametrize("fsync", ["always", "never"])
def test_eight_processes_lose_and_mix_nothing(tmp_path, fsync):
    """Lines of 100 bytes to 100 kB, eight writers at once: each is there, whole and once, each writer's in order."""
    writers = [_start(tmp_path, str(n), fsync=fsync, pad=10**n if n < 6 else 0, count=60) for n in range(8)]
    assert [60] * 8 == [_acknowledged(writer.stdout) for writer in writers]
    assert [0] * 8 == [writer.wait() for writer in writers]

    (file,) = journal_files(tmp_path)
    events = [found.record for found in read_records(file)]
    order = {name: [event.seq for event in events if event.run_id == name] for name in map(str, range(8))}
    assert {name: list(range(1, 61)) for name in map(str, range(8))} == order
    assert 8 * 60 == file.path.read_bytes().count(b"\n")


HOLDER = """
import sys, time
from telemetry.sinks.journal.side_lock import SideLock

lock = SideLock(sys.argv[1], wait_s=5)
lock.renew()
print(lock.acquire(), flush=True)
time.sleep(60)
"""


@POSIX
@pytest.mark.parametrize("fsync", ["always", "never"])
def test_a_stopped_lock_holder_holds_up_nobody(open_journal, tmp_path, line, numbers, fsync):
    """The first line waits 0.1 s, the next ones not at all; when the holder is gone the lock is taken again."""
    journal = open_journal(fsync=fsync)
    journal.append(line(0))
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "raw" / ".lock"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert b"True\n" == holder.stdout.readline()
        holder.send_signal(signal.SIGSTOP)

        for n in range(1, 11):
            journal.append(line(n))
        health = journal.health()
        holder.kill()
    journal.append(line(11))

    assert list(range(12)) == numbers(tmp_path / "raw")
    # Ten misses, one of them after a whole wait: by the clock, a disk that syncs slowly looks like a wait.
    assert (1, 10) == (health["lock_timeouts"], health["lock_misses"])
    assert 10 == journal.health()["lock_misses"]


FORKED = """
import os, sys, threading
from telemetry.plugins import RunEvent, encode_line
from telemetry.sinks.journal import Journal

journal = Journal(sys.argv[1], fsync=sys.argv[2], interval_s=0.001)
is_over = False

def write(name, count):
    for n in range(1, count + 1):
        journal.append(encode_line(RunEvent(name, "e", "t", {"n": n}, name, n)))

def write_on(name):
    n = 0
    while not is_over:
        n += 1
        journal.append(encode_line(RunEvent(name, "e", "t", {"n": n}, name, n)))

# Three threads are somewhere inside append() and hold its locks while the process forks.
threads = [threading.Thread(target=write_on, args=(f"thread-{n}",)) for n in range(3)]
for thread in threads:
    thread.start()
children = []
for number in range(15):
    child = os.fork()
    if not child:
        journal.after_fork()
        write(f"child-{number}", 20)
        assert journal.sync(5.0)
        journal.close()
        os._exit(0)
    children.append(child)
    write("parent-%d" % number, 5)
statuses = [os.waitpid(child, 0)[1] for child in children]
is_over = True
for thread in threads:
    thread.join()
assert statuses == [0] * 15, statuses
"""


@POSIX
@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_a_forked_child_writes_on_its_own(tmp_path, fsync):
    """Whatever lock another thread held at the fork: the child has its own, hangs nowhere, and repeats nothing."""
    arguments = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", FORKED, str(tmp_path), fsync]
    subprocess.run(arguments, check=True, timeout=60)

    journalled = _journalled(tmp_path)
    assert {1} == set(journalled.values())
    names = Counter(name for name, _ in journalled)
    assert {f"child-{n}": 20 for n in range(15)}.items() <= names.items()
    assert {f"parent-{n}": 5 for n in range(15)}.items() <= names.items()
    for thread in ("thread-0", "thread-1", "thread-2"):
        assert set(range(1, names[thread] + 1)) == {n for name, n in journalled if name == thread}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@POSIX
def test_a_child_leaves_its_parents_lock_alone(open_journal, tmp_path, line):
    """The descriptors of a fork share one lock: the child closes its copy and never unlocks it."""
    journal = open_journal()
    journal.append(line(1))
    other = SideLock(str(tmp_path / "raw" / ".lock"), wait_s=0.0)
    other.renew()
    assert journal._lock.acquire()
    assert journal._file is not None
    inherited = [journal._file._descriptor, journal._lock._descriptor]

    child = os.fork()
    if not child:
        journal.after_fork()
        os._exit(sum(map(_is_open, inherited)))
    _, status = os.waitpid(child, 0)
    is_free = other.acquire()
    journal._lock.release()

    assert 0 == status
    assert not is_free
    assert other.acquire()
    other.close()


@POSIX
def test_a_handler_may_fork_in_the_middle_of_a_line(open_journal, tmp_path, line, numbers):
    """The child goes on below the handler with the file that the line needs; afterwards it has its own."""
    journal = open_journal(fsync="never")
    journal.append(line(0))
    file = journal._file
    assert file is not None
    write = file._write
    children: list[int] = []

    def fork_first(descriptor: int, text: bytes | memoryview) -> int:
        if not children:
            children.append(os.fork())
            if not children[0]:
                journal.after_fork()
                write(descriptor, line(7))
                os._exit(0)
        return write(descriptor, text)

    file._write = fork_first
    journal.append(line(1))
    _, status = os.waitpid(children[0], 0)

    assert 0 == status
    assert {0, 1, 7} == set(numbers(tmp_path / "raw"))
