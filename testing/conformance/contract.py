"""Say what the author of a sink gives to the kit, and what every contract test builds on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ...plugins.records import STATUSES, Record, RunEvent
from ...plugins.store import RunQuery
from .driving import CLOSE_S, Driver, context_in, hook_of, takes
from .samples import Samples
from .stored import Stored, expected_runs

__all__ = ["Contract"]


class Contract:
    """The part of `SinkConformance` that is no test: what a subclass says, and how the tests use it."""

    is_durable: ClassVar[bool] = True
    """Whether records survive the process: what a hook has returned for, there after `kill -9`, for every process."""

    def make_sink(self, tmp_path: Path) -> Any:
        """
        Return a new sink that is not opened yet; called again for every instance that a test needs.

        Args:
            tmp_path: the base directory. Instances made for one directory share what is stored there.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has to say how the sink is made: def make_sink(self, tmp_path)"
        )

    def read_back(self, sink: Any, tmp_path: Path) -> Iterable[Record | Mapping[str, Any]]:
        """
        Yield what is stored in the base directory *tmp_path*, in its order.

        A record, or a mapping with `run_id` and what else the sink keeps without a change, under the names of
        `RunRecord`; of an event with `event_type` and `payload`. A sink that has `open_store()` is read by that.

        Args:
            sink: the one that was written to; a new one that was never opened when the writer is dead.
        """
        if not hasattr(sink, "open_store"):
            name = type(self).__name__
            raise NotImplementedError(
                f"{name} has to say how records are read: def read_back(self, sink, tmp_path). Without it no test can "
                f"tell whether anything is lost"
            )
        has_journal = any((tmp_path / "raw").glob("events_*"))
        context = context_in(tmp_path, "reader", has_journal=has_journal, is_read_only=True)
        with closing(sink.open_store(context)) as store:
            yield from store.runs(RunQuery(limit=None, oldest_first=True))
            yield from store.events()

    def expects(self, record: Record) -> bool:
        """Return whether the sink keeps *record*, of a kind that it has a hook for; a filter says so here."""
        return True

    def drive(self, tmp_path: Path, **options: Any) -> Driver:
        """Return a driver around a new sink, not opened."""
        return Driver(self.make_sink(tmp_path), tmp_path, samples=self.samples(), **options)

    def samples(self) -> Samples:
        """Return records of a new writer, whose runs end with a status that the sink keeps."""
        statuses = [status for status in STATUSES if status != "running" and self.expects(Samples(status).end())]
        return Samples(statuses[0] if statuses else "success")

    def needs_runs(self) -> None:
        """Skip the test when the sink keeps no run that has ended, however it ended."""
        if not self.expects(self.samples().end()):
            pytest.skip("the sink keeps no runs")

    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        """Return an empty base directory, in a folder in which nothing else must appear."""
        folder = tmp_path / "base"
        folder.mkdir(mode=0o700)
        return folder

    @pytest.fixture
    def driver(self, base: Path) -> Iterator[Driver]:
        """Return a driver around an opened sink; closed after the test, if the test has not done so."""
        driver = self.drive(base)
        driver.open()
        yield driver
        if driver.is_open:
            driver.close(CLOSE_S)

    def catch_up(self, driver: Driver) -> None:
        """Open and close a sink, so that one that is fed from the journal fetches what others had not brought out."""
        driver.open()
        driver.finish()

    def kept(self, driver: Driver) -> Stored:
        """Return what is stored."""
        return Stored.of(self.read_back(driver.sink, driver.base))

    def expected(self, driver: Driver, records: Iterable[Record]) -> list[Record]:
        """Return those of *records* that the sink is to keep."""
        return [record for record in records if takes(driver.sink, hook_of(record)[0]) and self.expects(record)]

    def assert_kept(self, driver: Driver, records: Iterable[Record]) -> None:
        """Fail unless everything of *records* that the sink is to keep came back as it was, events in their order."""
        expected = self.expected(driver, records)
        stored = self.kept(driver)
        runs = expected_runs(expected)
        differences = [text for run in runs.values() for text in stored.differences(run)]
        assert not differences, "\n".join([f"{len(differences)} differences:", *differences[:20]])
        wanted = [(each.run_id, each.event_type, each.payload) for each in expected if isinstance(each, RunEvent)]
        ids = {run_id for run_id, _, _ in wanted}
        assert [event for event in stored.events if event[0] in ids] == wanted, "events are lost or in another order"

    def assert_runs(self, driver: Driver, records: Iterable[Record]) -> None:
        """Fail unless every run and event of *records* is there, runs with their status; no more is compared."""
        stored = self.kept(driver)
        expected = self.expected(driver, records)
        lost = []
        for run in expected_runs(expected).values():
            found = stored.runs.get(run.run_id)
            status = found.get("status", run.status) if isinstance(found, Mapping) else getattr(found, "status", None)
            if status != run.status:
                lost.append(f"{run.run_id[:200]!r}: {'missing' if found is None else status}")
        seen = Counter((run_id, event_type) for run_id, event_type, _ in stored.events)
        missing = Counter((each.run_id, each.event_type) for each in expected if isinstance(each, RunEvent)) - seen
        lost += [f"{run_id[:200]!r}: {count} events {kind!r} are missing" for (run_id, kind), count in missing.items()]
        assert not lost, "\n".join([f"{len(lost)} runs or events are missing or otherwise:", *lost[:20]])
