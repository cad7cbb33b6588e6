"""Contract tests: no value, name or size stops a sink or costs another record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings

from ...plugins.records import Record
from ..strategies import records as any_records
from .contract import Contract
from .driving import Driver

__all__ = ["Hostile"]

_TEXTS = {
    "empty lines": "\n\r\n\u2028\u2029\x85\n",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x9b31m",
    "NUL": "before\x00behind",
    "quotes": "'; DROP TABLE agent_runs; --\"'`\\",
    "json": '{"record_type": "run", "run_id": "forged"}\n{"record_type": "event"}',
    "formula": '=HYPERLINK("http://x.example","click")',
    "emoji and marks": "e\u0301 \U0001f600 \u202eabc\u202c \ufeff \u200b",
    "beyond the BMP": "\U0010ffff\ue000\ufffd\uffff",
    "a mebibyte": "x" * (1 << 20),
}
_NAMES = {
    "up": "../../../outside",
    "root": "/outside",
    "drive": "C:\\outside",
    "dots": "..",
    "device": "NUL",
    "shell": "$(touch outside) `touch outside` | touch outside",
    "long": "n" * 5000,
    "blank": " ",
}
_NUMBERS = {
    "big": 10**30,
    "negative": -(2**63),
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "not exact": 0.1 + 0.2,
}
_TIMES = ("yesterday", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00", "2026-01-01", "\x00")
_BIG_BYTES = 5 << 20


class Hostile(Contract):
    """Texts, names, numbers and times that nobody would write, and records of a size that nobody would send."""

    @pytest.mark.parametrize("kind", _TEXTS)
    def test_any_text_is_survived(self, driver: Driver, kind: str) -> None:
        """In a summary, in a metric and in an attribute; the run is there, and so is the next one."""
        text = _TEXTS[kind]
        changes = {"error_summary": text, "metrics": {"note": text}, "attributes": {"note": text}}
        self._survives(driver, *driver.samples.whole(status="failed", **changes))

    @pytest.mark.parametrize("kind", _TEXTS)
    def test_any_payload_is_survived(self, driver: Driver, kind: str) -> None:
        """As a value and as a key of an event."""
        start, end = driver.samples.whole()
        text = _TEXTS[kind]
        self._survives(driver, start, driver.samples.event(start, {"text": text, text: [text]}), end)

    @pytest.mark.parametrize("kind", _NAMES)
    def test_any_agent_is_survived(
        self, driver: Driver, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name that is a path leads nowhere: nothing appears outside of the base directory."""
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        self._survives(driver, *driver.samples.whole(agent_name=_NAMES[kind], job_type=_NAMES[kind]))

        assert [] == list(elsewhere.iterdir())
        assert {"base", "elsewhere"} == {path.name for path in tmp_path.iterdir()}

    @pytest.mark.parametrize("run_id", ["it's", "a/b", "..", "a b\tc", "\u00e9\U0001f600", "%s{}", "r" * 300])
    def test_any_run_id_is_survived(self, driver: Driver, run_id: str) -> None:
        """An id of somebody's own making is kept as it is."""
        self._survives(driver, *driver.samples.whole(run_id=run_id))

    @pytest.mark.parametrize("kind", _NUMBERS)
    def test_any_number_is_survived(self, driver: Driver, kind: str) -> None:
        """As a metric, where agents put what they have."""
        self._survives(driver, *driver.samples.whole(metrics={"number": _NUMBERS[kind]}))

    @pytest.mark.parametrize("moment", _TIMES)
    def test_any_time_is_survived(self, driver: Driver, moment: str) -> None:
        """Agents may say themselves when a run began and ended."""
        start, end = driver.samples.whole()
        changed = attrs.evolve(start, start_time=moment), attrs.evolve(end, start_time=moment, end_time=moment)
        self._survives(driver, *changed)

    def test_counts_without_limit_are_survived(self, driver: Driver) -> None:
        """The largest that a field holds."""
        most = 2**63 - 1
        self._survives(driver, *driver.samples.whole(items_succeeded=most, items_failed=most, duration_ms=most))

    def test_deep_payload_is_survived(self, driver: Driver) -> None:
        """A hundred lists within each other."""
        payload: list[Any] = []
        for _ in range(100):
            payload = [payload]
        start, end = driver.samples.whole(metrics={"deep": payload})
        self._survives(driver, start, driver.samples.event(start, payload), end)

    def test_big_payload_is_survived(self, driver: Driver) -> None:
        """Five mebibytes in one event."""
        start, end = driver.samples.whole()
        self._survives(driver, start, driver.samples.event(start, {"text": "x" * _BIG_BYTES}), end)

    def test_big_run_is_survived(self, driver: Driver) -> None:
        """Ten thousand metrics in one run."""
        self._survives(driver, *driver.samples.whole(metrics={f"metric{number}": number for number in range(10_000)}))

    def test_no_record_of_any_kind_is_refused(self, driver: Driver) -> None:
        """Whatever hypothesis builds out of valid fields is taken, and a plain run behind it comes back."""

        # Built first and given then: a sink's own thread may draw random numbers, which hypothesis would take for its.
        built: list[Record] = []

        @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(any_records())
        def build(record: Record) -> None:
            built.append(record)

        build()
        driver.give(*built)
        self._survives(driver, *driver.samples.whole(run_id="plain"))

    def _survives(self, driver: Driver, *records: Record) -> None:
        """Give *records* and a plain run behind them: all of the runs have to be there."""
        after = driver.samples.whole()
        driver.give(*records, *after)
        driver.finish()

        self.assert_runs(driver, [*records, *after])
