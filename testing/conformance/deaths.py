"""Contract tests: a process forks, is killed, or finds the disk full."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ...plugins.records import Record, RunRecord
from .children import Tell, start_child
from .contract import Contract
from .driving import Driver

__all__ = ["Deaths"]

_ACKNOWLEDGED = 20
_FORKED = 10


class Deaths(Contract):
    """What happens to a process must not happen to its records."""

    def test_child_and_parent_both_record(self, driver: Driver) -> None:
        """After a fork both go on with the sink, each for itself, and both have everything in the store."""
        self.needs_runs()
        before = driver.samples.whole()
        driver.give(*before)
        ids = [line.decode() for line in start_child(lambda tell: _go_on(driver, tell)).end()]
        after = driver.samples.whole()
        driver.give(*after)
        driver.finish()

        self.assert_runs(driver, [*before, *after])
        if self.is_durable:
            self.catch_up(reader := driver.beside(self.make_sink(driver.base)))
            assert not set(ids) - self.kept(reader).runs.keys()

    def test_end_of_a_child_is_not_the_parents(self, driver: Driver) -> None:
        """A child that closes the sink, or ends without a word, takes nothing from the parent."""
        driver.give(*(before := driver.samples.whole()))
        start_child(lambda tell: driver.forked()).end()
        start_child(lambda tell: _close_in_child(driver)).end()
        driver.give(*(after := driver.samples.whole()))
        driver.finish()

        self.assert_runs(driver, [*before, *after])

    def test_child_writes_through_no_descriptor_of_its_parent(self, driver: Driver) -> None:
        """Two processes that share an open file share its position and its locks, and cut each other's records."""
        if not sys.platform.startswith("linux"):
            pytest.skip("open files are listed on Linux alone")
        driver.give(*driver.samples.whole())
        driver.flush()
        before = dict(_positions(driver.base))
        start_child(lambda tell: _go_on(driver, tell)).end()

        after = dict(_positions(driver.base))
        moved = [path for number, (path, at) in before.items() if after.get(number, (path, at)) != (path, at)]
        assert [] == moved, "the child has moved the parent's position in these files"

    def test_parents_work_is_not_done_twice(self, driver: Driver) -> None:
        """What waits in the parent when it forks is the parent's to store, and its child's to forget."""
        records: list[Record] = []
        for _ in range(_FORKED):
            start, end = driver.samples.whole()
            records += [start, driver.samples.event(start, {"a": 1}), end]
        driver.give(*records)
        start_child(lambda tell: _go_on(driver, tell)).end()
        driver.finish()

        self.assert_kept(driver, records)

    def test_kill_loses_nothing_acknowledged(self, base: Path) -> None:
        """Whatever hook has returned before `kill -9` is there for the next process, beside a journal at the latest."""
        ids = self._killed(base)
        reader = self.drive(base, has_journal=True)
        self.catch_up(reader)

        stored = self.kept(reader)
        assert not ids - stored.runs.keys()

    def test_store_of_a_killed_process_is_written_on(self, base: Path) -> None:
        """The next process adds to it, several times over."""
        ids = self._killed(base) | self._killed(base)
        driver = self.drive(base, has_journal=True)
        driver.open()
        driver.give(*(records := driver.samples.whole()))
        driver.finish()

        self.assert_runs(driver, records)
        assert not ids - self.kept(driver).runs.keys()

    def test_full_disk_is_not_kept_secret(self, base: Path) -> None:
        """A record that does not fit is refused with an error, or comes out later; it is never taken and forgotten."""
        if sys.platform == "win32" or not self.is_durable:
            pytest.skip("the disk cannot be made full here")
        self.needs_runs()
        lines = start_child(lambda tell: self._fill(base, tell)).end()
        told = {line[1:].decode() for line in lines if line.startswith(b"+")}
        assert b"full" in lines, "the sink has written nothing, so its disk never was full"

        reader = self.drive(base)
        self.catch_up(reader)
        assert b"refused" in lines or not told - self.kept(reader).runs.keys()

    def _killed(self, base: Path) -> set[str]:
        """Return the ids of the runs that a process has stored, as far as it knew when it was killed."""
        if not self.is_durable:
            pytest.skip("nothing is stored outside of the process")
        self.needs_runs()
        child = start_child(lambda tell: self._record_for_ever(base, tell))
        return {line.decode() for line in (*child.hear(_ACKNOWLEDGED), *child.kill())}

    def _record_for_ever(self, base: Path, tell: Tell) -> None:
        driver = self.drive(base, has_journal=True)
        driver.open()
        while True:
            driver.give(*(records := driver.samples.whole(output_summary="x" * 300)))
            tell(records[0].run_id.encode())

    def _fill(self, base: Path, tell: Tell) -> None:
        """Give records that pass the limit of a file; tell `+id` of those that were taken, `refused` of one fault."""
        driver = self.drive(base)
        driver.open()
        driver.give(*driver.samples.whole())
        driver.flush()
        with _full_disk(base):
            for _ in range(5):
                end: RunRecord = driver.samples.end(output_summary="x" * 4000)
                tell(b"+" + end.run_id.encode() if _is_taken(driver, end) else b"refused")
            if driver.flush(0.5) is False:
                tell(b"refused")
            tell(b"full")
        driver.finish()


def _go_on(driver: Driver, tell: Tell) -> None:
    """Record in the child of a fork, and tell the ids."""
    driver.forked()
    for _ in range(_FORKED):
        driver.give(*(records := driver.samples.whole()))
        tell(records[0].run_id.encode())
    driver.finish()


def _close_in_child(driver: Driver) -> None:
    driver.forked()
    driver.close()


def _positions(base: Path) -> Iterator[tuple[int, tuple[str, int]]]:
    """Yield number, path and position of each regular file below *base* that this process has open."""
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is gone by now
            path = os.readlink(f"/proc/self/fd/{number}")
            if path.startswith(str(base)) and os.path.isfile(path):
                yield number, (path, os.lseek(number, 0, os.SEEK_CUR))


@contextlib.contextmanager
def _full_disk(base: Path) -> Iterator[None]:
    """Let no file grow beyond the largest that is there now: for this process the disk is full."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max((path.stat().st_size for path in base.rglob("*") if path.is_file()), default=0)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 512, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _is_taken(driver: Driver, record: RunRecord) -> bool:
    from ...core.shield import attempt

    _, failure = attempt(driver.give, record)
    return failure is None
