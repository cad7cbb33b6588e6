"""Metrics are added up inside the database as they would be outside of it."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.core.figures import totals_of
from telemetry.plugins import InputError, RunQuery, RunRecord
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.store import SqliteStore
from telemetry.sinks.sqlite.sums import ExactSum
from telemetry.sinks.sqlite.writes import write_run

_NUMBERS = st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12)


@pytest.fixture
def store(path: Any) -> Any:
    """Return the store of the set-up."""
    store = SqliteStore(path)
    yield store
    store.close()


@pytest.mark.parametrize("by", ["agent", "job", "day", "status"])
def test_sums_are_those_of_the_records(
    by: str, store: SqliteStore, database: Database, a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord]
) -> None:
    """In every group; text, flags and what is not there count nothing."""
    metrics = [{"n": 0.1}] * 10 + [{"n": 7, "m.x": 2}, {"n": "many"}, {"n": True}, {}, {"m.x": 1.5}]
    runs = [
        ended(a_run(agent_name=f"a{number % 3}", job_type=None if number % 5 else "j"), metrics=each)
        for number, each in enumerate(metrics)
    ]
    with database.writing(1.0) as opened:
        for run in runs:
            write_run(opened.connection, opened.shape, run)

    found = store.sums(by, RunQuery(limit=1), ("n", "m.x"))

    told = {
        key: {name: total.sum for name, total in group.items()}
        for key, group in totals_of(runs, ("n", "m.x"), by).items()
    }
    assert {key: pytest.approx(group) for key, group in told.items()} == {
        key: group for key, group in found.items() if group
    }


def test_filters_count(store: SqliteStore, database: Database, a_run: Callable[..., RunRecord]) -> None:
    """As in every other answer."""
    with database.writing(1.0) as opened:
        for number in range(4):
            run = a_run(agent_name="ab"[number % 2], metrics={"n": 10**number}, error_summary="E: 5")
            write_run(opened.connection, opened.shape, run)

    assert {"a": {"n": 101}} == store.sums("agent", RunQuery(agent="a"), ("n",))
    assert {"E: <n>": {"n": 1100}} == store.sums("error", RunQuery(where=("metrics.n>10",)), ("n",))
    with pytest.raises(InputError, match="cannot be grouped"):
        store.sums("colour", RunQuery(), ("n",))


@given(st.lists(_NUMBERS, min_size=1))
def test_a_sum_loses_nothing(numbers: list[float]) -> None:
    """It is as near to the true sum as a float can be, a few ends of the last digit apart."""
    total = ExactSum()
    for number in (*numbers, None, "x"):
        total.step(number)

    exact = math.fsum(numbers)
    found = total.finalize()
    assert found is not None
    assert math.isclose(exact, found, rel_tol=1e-12, abs_tol=1e-3)


def test_ten_times_a_tenth_is_one() -> None:
    """And nothing at all is no number."""
    total = ExactSum()
    for _ in range(10):
        total.step(0.1)

    assert 1.0 == total.finalize()
    assert ExactSum().finalize() is None
