"""Contract tests: flush, close and health keep their time, and say the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .contract import Contract
from .driving import CLOSE_S, Driver, context_in, takes, timed

__all__ = ["Ending"]

# A machine that runs eight test suites at once may be late by this much; a sink that waits for itself is later.
_SLACK_S = 2.0
_HEALTH_S = 1.0


class Ending(Contract):
    """How a sink brings out what it holds, tells how it is, and lets go."""

    def test_flush_brings_everything_out(self, driver: Driver) -> None:
        """What `telemetry_flush` says is done can be read, while the sink stays open."""
        records = [record for _ in range(30) for record in driver.samples.whole()]
        driver.give(*records)

        assert driver.flush() is not False
        self.assert_kept(driver, records)

    def test_flush_answers_yes_or_no(self, driver: Driver) -> None:
        """True, False, or nothing at all."""
        driver.give(*driver.samples.whole())

        assert driver.flush() in (True, False, None)

    @pytest.mark.parametrize("deadline_s", [0.0, 0.3])
    def test_flush_keeps_its_deadline(self, driver: Driver, deadline_s: float) -> None:
        """`client.flush(timeout_s)` is a promise to the agent."""
        driver.give(*[record for _ in range(30) for record in driver.samples.whole()])

        _, took_s = timed(driver.flush, deadline_s)
        assert took_s < deadline_s + _SLACK_S

    def test_flush_of_nothing_is_quick(self, driver: Driver) -> None:
        """Also before the first record, and a second time."""
        _, took_s = timed(lambda: (driver.flush(5.0), driver.flush(5.0)))

        assert took_s < _SLACK_S

    @pytest.mark.parametrize("deadline_s", [0.0, 0.3])
    def test_close_keeps_its_deadline(self, driver: Driver, deadline_s: float) -> None:
        """The agent ends when it wants to."""
        driver.give(*[record for _ in range(30) for record in driver.samples.whole()])

        _, took_s = timed(driver.close, deadline_s)
        assert took_s < deadline_s + _SLACK_S

    def test_close_brings_everything_out(self, driver: Driver) -> None:
        """Nobody is obliged to flush first."""
        records = [record for _ in range(10) for record in driver.samples.whole()]
        driver.give(*records)
        driver.close()

        self.assert_kept(driver, records)

    def test_close_twice_is_no_error(self, driver: Driver) -> None:
        """The second one has nothing to do."""
        driver.give(*driver.samples.whole())
        driver.close()
        driver.close()

    def test_close_before_anything_came_is_no_error(self, driver: Driver) -> None:
        """An agent that records nothing ends as well."""
        driver.close()

    def test_sink_can_be_opened_again(self, driver: Driver) -> None:
        """A record from an exit handler, after the client was closed, opens the sinks once more."""
        driver.give(*(before := driver.samples.whole()))
        driver.close()
        driver.open()
        driver.give(*(after := driver.samples.whole()))
        driver.finish()

        self.assert_runs(driver, [*before, *after])

    def test_health_is_plain(self, driver: Driver) -> None:
        """Before the first record, after some, and after the close: a mapping of names to JSON values, or nothing."""
        healths = [driver.health()]
        driver.give(*driver.samples.whole())
        driver.flush()
        healths.append(driver.health())
        driver.close(CLOSE_S)
        healths.append(driver.health())

        for health in healths:
            assert health is None or isinstance(health, dict)
            assert health is None or json.loads(json.dumps(health)).keys() == health.keys()

    def test_health_is_quick(self, driver: Driver) -> None:
        """`client.status()` asks every sink, in the agent's thread."""
        driver.give(*[record for _ in range(30) for record in driver.samples.whole()])

        _, took_s = timed(driver.health)
        assert took_s < _HEALTH_S

    def test_reader_writes_nothing(self, base: Path) -> None:
        """A sink that is opened in a read-only client creates no file."""
        sink = self.make_sink(base)
        driver = Driver(sink, base)
        if takes(sink, "telemetry_open"):
            sink.telemetry_open(context_in(base, "reader", is_read_only=True))
        driver.close()

        assert [] == [path for path in base.rglob("*") if path.is_file()]
