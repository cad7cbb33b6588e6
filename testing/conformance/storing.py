"""Contract tests: what is given comes back, whole, in order, and once however often it came."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from ...plugins.records import Record, RunEvent
from .contract import Contract
from .driving import Driver, takes

__all__ = ["Storing"]

_MANY = 200


class Storing(Contract):
    """Runs, events, metrics and what belongs to them."""

    def test_run_comes_back(self, driver: Driver) -> None:
        """Start and end are one run with all that was said."""
        start = driver.samples.start(product="shop", host="h1")
        records = (start, driver.samples.end(start, items_succeeded=3, metrics={"cost_usd": 0.25, "tokens_in": 100}))
        driver.give(*records)
        driver.finish()

        self.assert_kept(driver, records)

    def test_failed_run_comes_back(self, driver: Driver) -> None:
        """So does a failure with its reason."""
        records = driver.samples.whole(status="failed", error_summary="ConnectionError: no route", items_failed=1)
        driver.give(*records)
        driver.finish()

        self.assert_kept(driver, records)

    def test_running_run_comes_back(self, driver: Driver) -> None:
        """A run that has not ended is there as soon as the sink was flushed, if the sink takes starts."""
        records = [driver.samples.start()]
        driver.give(*records)
        driver.flush()

        self.assert_kept(driver, records)

    def test_end_without_a_start_comes_back(self, driver: Driver) -> None:
        """The start was in another process, or in a file that is gone."""
        records = [driver.samples.end()]
        driver.give(*records)
        driver.finish()

        self.assert_kept(driver, records)

    def test_none_of_many_is_lost(self, driver: Driver) -> None:
        """Runs with events and metrics between start and end: all are there, with everything."""
        records = _a_busy_day(driver, _MANY)
        driver.give(*records)
        driver.finish()

        self.assert_kept(driver, records)

    def test_order_is_kept(self, driver: Driver) -> None:
        """Runs come back in the order in which they were given, one after the other."""
        ends = [driver.samples.end() for _ in range(50)]
        driver.give(*ends)
        driver.finish()

        ids = [record.run_id for record in self.expected(driver, ends)]
        assert ids == [run_id for run_id in self.kept(driver).order if run_id in set(ids)]

    def test_events_keep_their_order(self, driver: Driver) -> None:
        """Those of two runs at once, with payloads of every kind."""
        if not takes(driver.sink, "telemetry_event_logged"):
            pytest.skip("the sink takes no events")
        one, other = driver.samples.start(), driver.samples.start()
        payloads = [None, {}, [], 0, 1.5, True, "text", {"a": {"b": [1, None, "c"]}}, list(range(20))]
        records: list[Record] = [one, other]
        records += [driver.samples.event(run, payload) for payload in payloads for run in (one, other)]
        driver.give(*records)
        driver.finish()

        self.assert_kept(driver, records)

    def test_metrics_in_mid_run_are_taken(self, driver: Driver) -> None:
        """The end carries them again, so no sink has to keep them, but none may stumble over them."""
        start = driver.samples.start()
        records: list[Record] = [start, driver.samples.update(start, tokens_in=7)]
        records.append(driver.samples.end(start, metrics={"tokens_in": 7}))
        driver.give(*records)
        driver.finish()

        self.assert_runs(driver, records)

    def test_commits_and_reports_are_taken(self, driver: Driver) -> None:
        """What comes beside a run costs it nothing, also when the run is not known."""
        start, end = driver.samples.whole()
        stranger = driver.samples.start()
        beside: list[Record] = [driver.samples.commit(start), driver.samples.report(start)]
        beside.append(driver.samples.commit(stranger))
        driver.give(start, *beside, end, *beside)
        driver.finish()

        self.assert_runs(driver, [start, end])

    def test_records_are_left_as_they_are(self, driver: Driver) -> None:
        """Other sinks get the same objects."""
        start = driver.samples.start(metrics={"list": [1, 2]}, attributes={"deep": {"er": [{}]}})
        event = driver.samples.event(start, {"a": [1, {"b": 2}]})
        records: list[Record] = [start, event, driver.samples.end(start)]
        before = copy.deepcopy(records)
        driver.give(*records)
        driver.finish()

        assert before == records

    def test_same_end_twice_is_one_run(self, driver: Driver) -> None:
        """After a fault everything may come again."""
        start, end = driver.samples.whole(items_succeeded=3)
        driver.give(start, end, end)
        driver.finish()

        self.assert_kept(driver, [start, end])

    def test_everything_twice_changes_nothing(self, driver: Driver) -> None:
        """`telemetry replay` feeds a journal again: each run is as it was."""
        records = _a_busy_day(driver, 20)
        driver.give(*records)
        driver.flush()
        driver.give(*[record for record in records if not isinstance(record, RunEvent)])
        driver.finish()

        runs = [record for record in records if not isinstance(record, RunEvent)]
        self.assert_runs(driver, runs)

    def test_verdict_gives_way_to_the_true_end(self, driver: Driver) -> None:
        """A run that was taken for dead, and then ended after all, has ended as it said itself."""
        start = driver.samples.start()
        verdict = driver.samples.end(start, status="failed", verdict=True, status_detail="process died")
        end = driver.samples.end(start, items_succeeded=5)
        driver.give(start, verdict, end)
        driver.finish()

        self.assert_runs(driver, [start, verdict, end])

    def test_start_that_comes_late_reopens_nothing(self, driver: Driver) -> None:
        """Two processes' records may pass each other."""
        start = driver.samples.start()
        end = driver.samples.end(start)
        driver.give(end, start)
        driver.finish()

        self.assert_runs(driver, [end, start])

    def test_what_is_there_stays(self, base: Path) -> None:
        """A sink that is opened on what an earlier one has stored adds to it."""
        first = self.drive(base)
        first.open()
        before = first.samples.whole()
        first.give(*before)
        first.finish()
        second = first if not self.is_durable else first.beside(self.make_sink(base))

        second.open()
        after = second.samples.whole()
        second.give(*after)
        second.finish()

        self.assert_runs(second, [*before, *after])

    def test_two_sinks_keep_apart(self, tmp_path: Path) -> None:
        """Two of one type, in two base directories: neither has what the other was given."""
        drivers = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            drivers.append(self.drive(tmp_path / name))
            drivers[-1].open()
        given = [driver.samples.whole() for driver in drivers]
        for driver, records in zip(drivers, given, strict=True):
            driver.give(*records)
        for driver in drivers:
            driver.finish()

        for driver, own, others in zip(drivers, given, reversed(given), strict=True):
            self.assert_kept(driver, own)
            assert others[0].run_id not in self.kept(driver).runs


def _a_busy_day(driver: Driver, runs: int) -> list[Record]:
    records: list[Record] = []
    for number in range(runs):
        start = driver.samples.start(agent_name=f"agent{number % 3}")
        records += [start, driver.samples.event(start, {"number": number})]
        records.append(driver.samples.end(start, items_succeeded=number, metrics={"number": number}))
    return records
