"""Prove that counts and percentiles are exact, in every grouping."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.plugins import DeliveryReport, InputError, RunQuery, RunRecord, RunStore
from telemetry.sinks.reading.groups import fingerprint


def a_run(number: int, **fields: Any) -> RunRecord:
    """Return a run of its own id."""
    told = {"agent_name": "a", "start_time": "2026-11-23T10:00:00.5+00:00", "status": "success", "duration_ms": number}
    told |= {"writer": "w", "seq": number}
    return RunRecord(run_id=f"r{number}", **told | fields)


@pytest.fixture
def store(store_of: Callable[..., RunStore]) -> RunStore:
    """Return a store of four runs."""
    return store_of(
        a_run(100, job_type="crawl"),
        a_run(200, status="failed", error_summary="Timeout: after 30 s\nat 0x7f", job_type="crawl"),
        a_run(300, status="failed", error_summary="Timeout: after 45 s", agent_name="b"),
        a_run(400, status="running", duration_ms=None, start_time="2026-11-24T00:00:00+00:00"),
        DeliveryReport("r100", "2026-11-23T10:00:02+00:00", "hq", writer="w", seq=500),
    )


def told(groups: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Return the values of *names* in each group."""
    return [tuple(group[name] for name in ("key", *names)) for group in groups]


def test_totals_count_every_status(store: RunStore):
    """Also the one that no run has; and the runs that no API has taken."""
    assert {
        "total_runs": 4,
        "status_counts": {"running": 1, "success": 1, "failed": 2, "partial": 0},
        "pending_api_posts": 3,
    } == store.stats()


def test_a_group_tells_everything(store: RunStore):
    """The rate is that of the runs that have ended; percentiles leave out what has no duration."""
    [first, second] = store.summary("agent", RunQuery())

    assert {
        "key": "a",
        "runs": 3,
        "running": 1,
        "success": 1,
        "failed": 1,
        "partial": 0,
        "failure_rate": 0.5,
        "p50_ms": 100,
        "p95_ms": 200,
    } == first
    assert ("b", 1.0, 300, 300) == tuple(second[name] for name in ("key", "failure_rate", "p50_ms", "p95_ms"))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("agent", [("a", 3), ("b", 1)]),
        ("job", [(None, 2), ("crawl", 2)]),
        ("status", [("failed", 2), ("running", 1), ("success", 1)]),
        ("day", [("2026-11-23", 3), ("2026-11-24", 1)]),
        ("error", [("Timeout: after <n> s", 2)]),
    ],
)
def test_groups_by_each_word(store: RunStore, by: str, expected: list[tuple[Any, int]]):
    """The largest group first, days in their order, errors without their numbers."""
    assert expected == told(store.summary(by, RunQuery()), "runs")


def test_a_group_of_running_runs_has_no_figures(store: RunStore):
    """Nothing has ended: no rate but 0, and no percentile."""
    [group] = store.summary("agent", RunQuery(status="running"))

    assert (0.0, None, None) == (group["failure_rate"], group["p50_ms"], group["p95_ms"])


def test_a_query_narrows_a_summary(store: RunStore):
    """Filters and conditions count, and the limit of a listing does not."""
    query = RunQuery(until="2026-11-24", where=["duration_ms>=200"], limit=1)

    assert [("a", 1), ("b", 1)] == told(store.summary("agent", query), "runs")


def test_an_unknown_grouping_is_refused(store: RunStore):
    """The message names those that there are."""
    with pytest.raises(InputError, match=r"'colour'.*agent, job, status, day, error"):
        store.summary("colour", RunQuery())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=200))
def test_percentiles_are_exact(store_of, durations):
    """Nearest rank: the smallest duration that at least this share of the runs does not exceed."""
    runs = [a_run(number, duration_ms=duration) for number, duration in enumerate(durations)]
    store = store_of(*runs)

    [group] = store.summary("agent", RunQuery())

    for share, name in ((0.5, "p50_ms"), (0.95, "p95_ms")):
        is_reached = [value for value in durations if sum(d <= value for d in durations) >= share * len(durations)]
        assert min(is_reached) == group[name]
    assert math.isclose(len(durations), group["runs"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Timeout: after 30 s", "Timeout: after 45 s\nTraceback"),
        ("KeyError: 0x7f01", "KeyError: 0x8f02 "),
        ("run 20261123T100000Z-a-0000abcd is lost", "run 20261124T110000Z-a-1234beef is lost"),
        ("/tmp/a1/x.txt is gone, U+20AC too", "/var/b/y.txt is gone, U+FFFD too"),
        ("no f47ac10b-58cc-4372-a567-0e02b2c3d479", "no 00000000-0000-0000-0000-000000000000"),
    ],
)
def test_errors_that_differ_in_numbers_only_are_one(one: str, other: str):
    """Numbers, ids and addresses do not make another error."""
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint("ValueError")


def test_what_is_no_text_has_no_fingerprint():
    """Another program may have put anything into the column."""
    assert fingerprint(None) is None
    assert fingerprint(b"x") is None
