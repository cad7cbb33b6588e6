"""Contract tests: many threads and many processes give records at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ...core.bus import Bus
from ...plugins.records import Record
from .children import Tell, start_child
from .contract import Contract
from .driving import CLOSE_S, FLUSH_S, Driver, context_in

__all__ = ["Crowds"]

_THREADS = 8
_RUNS = 25
_PROCESSES = 4


class Crowds(Contract):
    """One sink in many threads, and one store under many processes."""

    def test_threads_lose_nothing(self, base: Path) -> None:
        """Behind the platform's bus, as in an agent with a pool of threads."""
        sink, samples = self.make_sink(base), self.samples()
        bus = Bus()
        bus.attach("it", sink, context_in(base, samples.writer))
        given = [[record for _ in range(_RUNS) for record in samples.whole()] for _ in range(_THREADS)]
        threads = [threading.Thread(target=_publish, args=(bus, records)) for records in given]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bus.flush(FLUSH_S)
        failed = bus.health()["it"]["failed"]
        bus.close(CLOSE_S)

        assert set(failed) <= {"slow"}
        self.assert_kept(Driver(sink, base), [record for records in given for record in records])

    def test_processes_lose_nothing(self, base: Path) -> None:
        """Agents share a base directory; each has a sink of its own on it, and a journal beside."""
        if not self.is_durable:
            pytest.skip("nothing is stored outside of the process")
        self.needs_runs()
        children = [start_child(lambda tell: self._record_runs(base, tell)) for _ in range(_PROCESSES)]
        ids = {line.decode() for child in children for line in child.end()}

        reader = self.drive(base, has_journal=True)
        self.catch_up(reader)
        assert _PROCESSES * _RUNS == len(ids)
        assert not ids - self.kept(reader).runs.keys()

    def _record_runs(self, base: Path, tell: Tell) -> None:
        driver = self.drive(base, has_journal=True)
        driver.open()
        for _ in range(_RUNS):
            records = driver.samples.whole()
            driver.give(*records)
            tell(records[0].run_id.encode())
        driver.finish()


def _publish(bus: Bus, records: list[Record]) -> None:
    for record in records:
        bus.publish(record)
