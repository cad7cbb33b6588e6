"""Prove that sums and other orders, made inside a database, are those that the records themselves would give."""

from collections.abc import Callable
from typing import Any

import pytest

from telemetry.core.figures import totals_of
from telemetry.plugins import InputError, RunQuery, RunRecord

Runs = Callable[..., RunRecord]
_METRICS = [{"n": 0.1}] * 10 + [{"n": 7, "m.x": 2}, {"n": "many"}, {"n": True}, {}, {"m.x": 1.5}, {"n\0": 1}]


@pytest.mark.parametrize("by", ["agent", "job", "day", "status"])
def test_sums_are_those_of_the_records(by: str, store: Any, journal: Callable[..., None], a_run: Runs, ended: Runs):
    """In every group; text, flags and what is not there count nothing."""
    runs = [
        ended(a_run(run_id=f"r{n}", agent_name=f"a{n % 3}", job_type=None if n % 5 else "j"), metrics=metrics)
        for n, metrics in enumerate(_METRICS)
    ]
    journal(*runs)

    found = store.sums(by, RunQuery(limit=1), ("n", "m.x"))

    told = totals_of(runs, ("n", "m.x"), by)
    expected = {key: {name: total.sum for name, total in group.items()} for key, group in told.items()}
    assert {key: pytest.approx(group) for key, group in expected.items()} == {
        key: group for key, group in found.items() if group
    }


def test_sums_are_whole_where_the_numbers_are(store: Any, journal: Callable[..., None], a_run: Runs):
    """Ten times 0.1 is 1.0; whole numbers stay whole; errors that differ in numbers only are one group."""
    journal(
        *(a_run(run_id=f"r{n}", metrics={"n": 10**n, "t": 0.1}, error_summary=f"E: {n}") for n in range(10)),
        a_run(run_id="other", metrics={"n": 5}),
    )

    found = store.sums("error", RunQuery(where=("error_summary!=null",)), ("n", "t", "none"))

    assert {"E: <n>": {"n": 1111111111, "t": 1.0}} == found
    assert "1111111111" == repr(found["E: <n>"]["n"])
    with pytest.raises(InputError, match="cannot be grouped"):
        store.sums("colour", RunQuery(), ("n",))


@pytest.mark.parametrize("is_smallest", [False, True])
@pytest.mark.parametrize("sort", ["duration", "agent", "job", "status", "items", "metrics.n", "metrics.a.b"])
def test_the_first_runs_of_any_order_are_those_of_all(
    sort: str, is_smallest: bool, store: Any, journal: Callable[..., None], a_run: Runs, ended: Runs
):
    """As many as are asked for, those without the value left out, of equal ones the newest first."""
    names = {"duration": "duration_ms", "agent": "agent_name", "job": "job_type", "items": "items_discovered"}
    runs = []
    for number, value in enumerate([3, None, 7, 7, 1, "x", 2.5]):
        whole = value if isinstance(value, int) else number
        told = {"agent_name": f"a{whole}", "job_type": value and f"j{value}", "items_discovered": whole}
        run = a_run(run_id=f"r{number}", start_time=f"2026-11-2{number}T10:00:00+00:00", **told)
        metrics = {} if value is None else {"n": value, "a.b": value}
        status = ("success", "failed")[number % 2]
        runs.append(ended(run, duration_ms=whole, status=status, metrics=metrics))
    journal(*runs)

    found = store.top_runs(RunQuery(), sort, 3, is_smallest=is_smallest)

    def key(run: RunRecord) -> Any:
        if not sort.startswith("metrics."):
            return getattr(run, names.get(sort, sort))
        value = run.metrics.get(sort.removeprefix("metrics."))
        return value if isinstance(value, int | float) else None

    known = [run for run in reversed(runs) if key(run) is not None]
    expected = sorted(known, key=key, reverse=not is_smallest)[:3]
    assert [run.run_id for run in expected] == [run.run_id for run in found]


def test_an_unknown_order_is_refused(store: Any):
    """With those that there are."""
    with pytest.raises(InputError, match=r"metrics\.NAME"):
        store.top_runs(RunQuery(), "colour", 3)
