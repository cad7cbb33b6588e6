"""No line is acknowledged before a sync that covers it; what a failed sync may have lost is written anew elsewhere."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable

import pytest

from telemetry.sinks.journal import disk, writer
from telemetry.sinks.journal.disk import Disk

DAY = "events_20261123.ndjson"
NEXT_DAY = "events_20261124.ndjson"


class FragileDisk:
    """
    A disk whose power may be cut at any moment; it knows which bytes would be there afterwards.

    Args:
        fails: told the number of a sync, from 1; the sync fails when this returns True, and then the system has
            forgotten what it was to write.
    """

    def __init__(self, fails: Callable[[int], bool] = lambda number: False) -> None:
        self.calls: list[tuple[str, str]] = []
        self.safe = b""
        self.broken: set[str] = set()
        self.problems: list[str] = []
        self._fails = fails
        self._waiting: dict[str, list[bytes]] = {}
        self._syncing: set[str] = set()
        self._gate = threading.Lock()

    @property
    def as_disk(self) -> Disk:
        return Disk(write=self._write, sync=self._sync, sync_directory=self._sync_directory)

    @property
    def sync_count(self) -> int:
        return sum(act == "sync" for act, _ in self.calls)

    def _write(self, descriptor: int, text: bytes | memoryview) -> int:
        count = os.write(descriptor, text)
        with self._gate:
            self._waiting.setdefault(_name(descriptor), []).append(bytes(text[:count]))
            self.calls.append(("write", _name(descriptor)))
        return count

    def _sync(self, descriptor: int) -> None:
        name = _name(descriptor)
        with self._gate:
            self.calls.append(("sync", name))
            if name in self.broken:
                self.problems.append(f"{name} was synced again after a fault")
            if name in self._syncing:
                self.problems.append(f"{name} was synced twice at once")
            self._syncing.add(name)
            covered, self._waiting[name] = self._waiting.get(name, []), []
            is_failing = self._fails(self.sync_count)
        time.sleep(0.0005)
        with self._gate:
            self._syncing.discard(name)
            if is_failing:
                self.broken.add(name)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.safe += b"".join(covered)

    def _sync_directory(self, path: str) -> None:
        self.calls.append(("sync directory", os.path.basename(path)))


def _name(descriptor: int) -> str:
    # By inode: descriptor numbers are used again.
    return str(os.fstat(descriptor).st_ino)


def _in_threads(count: int, act: Callable[[int], None]) -> None:
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            act(number)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors


@pytest.mark.parametrize("days", [1, 5])
@pytest.mark.parametrize("faulty", [set(), {7}, {3, 4}, {2, 9, 17, 23}])
def test_no_acknowledgement_before_a_covering_sync(open_journal, clock, line, numbers, tmp_path, days, faulty):
    """8 threads, midnights and failing syncs in between: when a call returns, its line survives a power cut."""
    fragile = FragileDisk(lambda number: number in faulty)
    journal = open_journal(disk=fragile.as_disk)
    early: list[int] = []
    refused: list[int] = []

    def write(thread: int) -> None:
        for n in range(thread * 100, thread * 100 + 40):
            if thread == 0 and n % 10 == 9 and days > 1:
                clock.now += 86400
            try:
                journal.append(line(n))
            except OSError:
                refused.append(n)
            else:
                early.extend([] if line(n) in fragile.safe else [n])

    _in_threads(8, write)

    assert [] == early
    assert [] == fragile.problems
    # Two faults in a row are one more than a line is tried for; then the agent is told.
    assert bool(refused) == (faulty == {3, 4})
    assert {n + thread * 100 for thread in range(8) for n in range(40)} - set(refused) <= set(numbers(tmp_path / "raw"))


def test_threads_share_their_syncs(open_journal, line):
    """With 16 threads there are far fewer syncs than lines, and one line alone is never held back."""
    fragile = FragileDisk()
    journal = open_journal(disk=fragile.as_disk)

    _in_threads(16, lambda thread: [journal.append(line(n)) for n in range(25)] and None)

    assert fragile.sync_count < 16 * 25 / 2


def test_the_directory_is_synced_with_the_first_line(open_journal, clock, line):
    """The name of a new file is safe before its first line is acknowledged; later lines need the file only."""
    fragile = FragileDisk()
    journal = open_journal(disk=fragile.as_disk)

    journal.append(line(1))
    first = [act for act, _ in fragile.calls]
    journal.append(line(2))
    clock.now += 86400
    journal.append(line(3))

    assert ["write", "sync", "sync directory"] == first
    assert [*first, "write", "sync", *first] == [act for act, _ in fragile.calls]


def test_a_file_of_another_writer_is_synced_with_its_directory_too(open_journal, line, tmp_path):
    """Who made the file may have died before syncing its name."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / DAY).write_bytes(line(1))
    fragile = FragileDisk()

    open_journal(disk=fragile.as_disk).append(line(2))

    assert ["write", "sync", "sync directory"] == [act for act, _ in fragile.calls]


def test_after_a_failed_sync_the_line_goes_to_a_new_file(open_journal, line, numbers, tmp_path):
    """The system forgets what it could not write, so a second sync would lie: line and journal move to `r1`."""
    fragile = FragileDisk(lambda number: number == 2)
    journal = open_journal(disk=fragile.as_disk)

    for n in range(4):
        journal.append(line(n))

    first, second = tmp_path / "raw" / DAY, tmp_path / "raw" / "events_20261123.r1.ndjson"
    assert line(0) + line(1) == first.read_bytes()
    assert line(1) + line(2) + line(3) == second.read_bytes()
    assert [0, 1, 1, 2, 3] == numbers(tmp_path / "raw")
    assert (1, str(second)) == (journal.health()["sync_faults"], journal.health()["file"])
    assert "the disk failed" in journal.health()["last_fault"]


def test_a_new_process_goes_on_in_the_newest_file_of_the_day(open_journal, line, tmp_path):
    """The first files of the day lie on a bad spot of the disk."""
    (tmp_path / "raw").mkdir()
    for name in (DAY, "events_20261123.r1.ndjson", "events_20261123.r2.ndjson"):
        (tmp_path / "raw" / name).touch()

    open_journal().append(line(1))

    assert line(1) == (tmp_path / "raw" / "events_20261123.r2.ndjson").read_bytes()


def test_a_disk_that_fails_for_good_is_told(open_journal, line, tmp_path, monkeypatch):
    """One new file a line at most, and no more than 99 a day; when it works again, so does the journal."""
    monkeypatch.setattr(writer, "_MOST_FILES", 3)
    is_broken = True
    fragile = FragileDisk(lambda number: is_broken)
    journal = open_journal(disk=fragile.as_disk)

    for n in range(5):
        with pytest.raises(OSError, match="the disk failed") as caught:
            journal.append(line(n))
    is_broken = False
    journal.append(line(9))

    assert errno.EIO == caught.value.errno
    names = {path.name for path in (tmp_path / "raw").glob("events*")}
    assert {DAY, *(f"events_20261123.r{n}.ndjson" for n in (1, 2, 3))} == names
    assert line(9) in fragile.safe


def test_a_fault_at_midnight_is_no_fault_of_the_new_day(open_journal, clock, line, tmp_path):
    """What was acknowledged is safe already; the new day's file has no number."""
    fragile = FragileDisk(lambda number: number == 2)
    journal = open_journal(disk=fragile.as_disk)
    journal.append(line(1))
    journal.append(line(2), is_durable=False)
    clock.now += 86400

    journal.append(line(3))

    assert line(1) + line(2) == (tmp_path / "raw" / DAY).read_bytes()
    assert line(3) == (tmp_path / "raw" / NEXT_DAY).read_bytes()
    assert 1 == journal.health()["sync_faults"]


def test_a_line_that_can_be_had_again_waits_for_no_sync(open_journal, line, tmp_path):
    """It is in the file all the same, and the next sync covers it."""
    fragile = FragileDisk()
    journal = open_journal(disk=fragile.as_disk)

    journal.append(line(1), is_durable=False)
    written = (tmp_path / "raw" / DAY).read_bytes()
    before = fragile.sync_count
    journal.append(line(2))

    assert (line(1), 0) == (written, before)
    assert line(1) + line(2) == fragile.safe


def test_never_means_never_until_asked(open_journal, clock, line):
    """Neither a line nor midnight nor the end syncs; `sync()` does, for who calls `flush()` wants it safe."""
    fragile = FragileDisk()
    journal = open_journal(fsync="never", disk=fragile.as_disk)
    journal.append(line(1))
    clock.now += 86400
    journal.append(line(2))
    before = fragile.sync_count

    assert journal.sync(5.0)
    after = fragile.sync_count
    journal.append(line(3))
    journal.close()

    assert (0, 1, 1) == (before, after, fragile.sync_count)


def _wait_until(claim: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_interval_syncs_behind_the_agent(open_journal, line):
    """Many lines, one sync, about an interval after the first of them; then again for what follows."""
    fragile = FragileDisk()
    journal = open_journal(fsync="interval", interval_s=0.1, disk=fragile.as_disk, clock=time.time)

    started = time.monotonic()
    for n in range(50):
        journal.append(line(n))
    _wait_until(lambda: line(49) in fragile.safe)
    waited, count = time.monotonic() - started, fragile.sync_count
    journal.append(line(51))
    _wait_until(lambda: line(51) in fragile.safe)

    assert waited > 0.05
    assert 1 <= count <= 1 + waited / 0.1  # one, unless others had the core for longer than an interval
    assert fragile.sync_count > count


def test_interval_syncs_old_files_before_it_leaves_them(open_journal, clock, line):
    """At midnight, when the file was taken away, and at the end."""
    fragile = FragileDisk()
    journal = open_journal(fsync="interval", interval_s=1000.0, disk=fragile.as_disk)
    journal.append(line(1))

    clock.now += 86400 / 2
    journal.append(line(2))
    at_midnight = fragile.safe
    journal.close()

    assert line(1) == at_midnight
    assert line(1) + line(2) == fragile.safe


def test_interval_needs_no_thread(open_journal, clock, line, monkeypatch):
    """At interpreter exit no thread starts any more: then the caller who comes after two intervals syncs."""

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    fragile = FragileDisk()
    journal = open_journal(fsync="interval", interval_s=2.0, disk=fragile.as_disk)

    counts = []
    for n in range(6):
        journal.append(line(n))
        counts.append(fragile.sync_count)
        clock.now += 1
    is_synced = journal.sync(1.0)

    assert [0, 0, 0, 0, 1, 1] == counts
    assert is_synced
    assert line(5) in fragile.safe


def test_interval_leaves_a_file_that_cannot_be_synced(open_journal, line, tmp_path):
    """The next line goes to a new file; nothing is raised into the agent, and the fault is told by `health()`."""
    fragile = FragileDisk(lambda number: number == 1)
    journal = open_journal(fsync="interval", interval_s=1000.0, disk=fragile.as_disk)
    journal.append(line(1))

    is_synced = [journal.sync(5.0), journal.sync(5.0)]
    count = fragile.sync_count
    journal.append(line(2))

    assert [False, False] == is_synced
    assert 1 == count  # the second would have said that all is well
    assert line(2) == (tmp_path / "raw" / "events_20261123.r1.ndjson").read_bytes()
    assert "the disk failed" in journal.health()["last_fault"]
    assert journal.sync(5.0)


def test_a_clock_that_is_set_back_delays_no_sync_for_long(open_journal, clock, line):
    """The pause is never longer than one interval, whatever the clock says."""
    journal = open_journal(fsync="interval", interval_s=1.0, disk=FragileDisk().as_disk)
    journal.append(line(1))
    clock.now -= 3600

    assert 1.0 == journal._sync_when_due()


def test_a_hanging_disk_holds_neither_flush_nor_close(open_journal, line):
    """A sync cannot be given up, so it is left behind; both return when their time is over."""
    release, is_hanging = threading.Event(), threading.Event()

    def hang(descriptor: int) -> None:
        is_hanging.set()
        release.wait(30)

    journal = open_journal(fsync="never", disk=Disk(sync=hang))
    journal.append(line(1))

    started = time.monotonic()
    is_synced = journal.sync(0.05)
    interval = open_journal(fsync="interval", interval_s=0.001, disk=Disk(sync=hang), clock=time.time)
    interval.append(line(2))
    is_hanging.wait(30)
    interval.close(0.05)
    took_s = time.monotonic() - started
    release.set()

    assert not is_synced
    assert took_s < 20  # else 30 s


def test_sync_waits_for_one_that_runs(open_journal, line):
    """A line that is being synced by another thread is not safe yet."""
    release, is_syncing = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        is_syncing.set()
        release.wait(30)

    journal = open_journal(disk=Disk(sync=slow))
    thread = threading.Thread(target=journal.append, args=(line(1),))
    thread.start()
    is_syncing.wait(30)

    before = journal.sync(0.02)
    release.set()
    after = journal.sync(30)
    thread.join()

    assert (False, True) == (before, after)


@pytest.mark.parametrize(("number", "is_told"), [(errno.EINVAL, False), (errno.EACCES, False), (errno.EIO, True)])
def test_a_directory_that_cannot_be_synced(tmp_path, monkeypatch, number, is_told):
    """Some file systems cannot; that is no fault. A disk that fails is one."""

    def refused(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refused)

    if is_told:
        with pytest.raises(OSError, match="Input/output"):
            disk.Disk().sync_directory(str(tmp_path))
    else:
        disk.Disk().sync_directory(str(tmp_path))


def test_the_real_disk_is_synced(tmp_path, monkeypatch):
    """Without a seam it is the system's own calls: fdatasync where there is one, fsync for a directory."""
    calls: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(descriptor) or fsync(descriptor))

    real = Disk()
    real.sync_directory(str(tmp_path))

    assert (os.write, getattr(os, "fdatasync", disk._sync)) == (real.write, real.sync)
    assert 1 == len(calls)
