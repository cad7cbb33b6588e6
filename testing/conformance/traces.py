"""Contract tests: a sink leaves nothing behind but its records, and nobody else can read these."""

from __future__ import annotations

import gc
import os
import stat
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from .children import in_child
from .contract import Contract
from .driving import Driver

__all__ = ["Traces"]

_SETTLE_S = 2.0
_INLINE_S = 0.05


class Traces(Contract):
    """Threads, descriptors, output, warnings, modes of files."""

    def test_no_thread_is_left(self, base: Path) -> None:
        """After the close none of the sink's threads runs."""
        in_child(lambda: self._ends_its_threads(base))

    def _ends_its_threads(self, base: Path) -> None:
        before = set(threading.enumerate())
        self._use(base)

        def left() -> list[threading.Thread]:
            return [thread for thread in threading.enumerate() if thread not in before]

        end = time.monotonic() + _SETTLE_S
        while left() and time.monotonic() < end:
            time.sleep(0.01)
        assert not left(), f"still running: {left()}"

    def test_no_descriptor_is_left(self, base: Path) -> None:
        """After the close none of the sink's files and connections is open."""
        if not sys.platform.startswith("linux"):
            pytest.skip("open files are listed on Linux alone")
        self._use(base / "first")  # what is opened once for the process is open now
        in_child(lambda: self._closes_its_files(base))

    def _closes_its_files(self, base: Path) -> None:
        gc.collect()
        before = _open_files()
        for number in range(3):
            self._use(base / str(number))
        gc.collect()
        left = _open_files() - before
        assert not left, f"still open: {sorted(left)}"

    def test_nothing_is_printed(self, base: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """Standard output belongs to the agent, and a log is where faults go."""
        self._use(base)

        assert ("", "") == tuple(capfd.readouterr())

    def test_nothing_is_warned_of(self, base: Path) -> None:
        """No file is left to the garbage collector."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._use(base)
            gc.collect()

        assert [] == [str(warning.message) for warning in caught]

    def test_files_are_private(self, base: Path) -> None:
        """What an agent did is for its user alone: 0600, and 0700 for folders, whatever the umask."""
        if os.name == "nt":
            pytest.skip("Windows has other rights")
        umask = os.umask(0o022)
        try:
            self._use(base)
        finally:
            os.umask(umask)

        modes = {str(path.relative_to(base)): stat.S_IMODE(path.stat().st_mode) for path in base.rglob("*")}
        assert {} == {name: oct(mode) for name, mode in modes.items() if mode & 0o077}

    def test_caller_is_not_held(self, driver: Driver) -> None:
        """A class that says `runs_inline` holds the agent's thread less than 50 ms, as a rule."""
        if not getattr(driver.sink, "runs_inline", False):
            pytest.skip("the sink is called in a thread of its own")
        took_s = []
        for _ in range(20):
            records = driver.samples.whole()
            began = time.perf_counter()
            driver.give(*records)
            took_s.append(time.perf_counter() - began)

        assert sorted(took_s)[len(took_s) // 2] < _INLINE_S

    def test_two_instances_close_apart(self, base: Path) -> None:
        """One that closes takes nothing from another on the same place."""
        one, other = self.drive(base), self.drive(base)
        for driver in (one, other):
            driver.open()
            driver.give(*driver.samples.whole())
        one.finish()
        other.give(*(records := other.samples.whole()))
        other.finish()

        self.assert_runs(other, records)

    def _use(self, base: Path) -> None:
        """Do with a sink all that can be done."""
        base.mkdir(mode=0o700, exist_ok=True)
        driver = self.drive(base)
        driver.open()
        start, end = driver.samples.whole()
        driver.give(start, driver.samples.event(start, {"a": 1}), driver.samples.update(start, tokens_in=1), end)
        driver.flush()
        driver.health()
        driver.close()


def _open_files() -> set[str]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue  # the descriptor of the listing itself is gone by now
    return found
