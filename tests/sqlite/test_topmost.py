"""The first runs of any order are found in the database as they would be found among all records."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from telemetry.plugins import InputError, RunQuery, RunRecord
from telemetry.sinks.sqlite.store import SqliteStore
from telemetry.sinks.sqlite.writes import write_run


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """Return the store of the set-up."""
    store = SqliteStore(path)
    yield store
    store.close()


@pytest.mark.parametrize("is_smallest", [False, True])
@pytest.mark.parametrize("sort", ["duration", "agent", "job", "status", "items", "metrics.n", "metrics.a.b"])
def test_the_first_runs_of_any_order_are_those_of_all(sort, is_smallest, store, database, a_run, ended) -> None:
    """As many as are asked for, those without the value left out, of equal ones the newest first."""
    names = {"duration": "duration_ms", "agent": "agent_name", "job": "job_type", "items": "items_discovered"}
    values = [3, None, 7, 7, 1, "x", 2.5]
    runs = []
    for number, value in enumerate(values):
        metrics = {} if value is None else {"n": value, "a.b": value}
        whole = number if not isinstance(value, int) else value
        run = a_run(run_id=f"r{number}", agent_name=f"a{whole}", job_type=value and f"j{value}", items_discovered=whole,
                    start_time=f"2026-11-2{number}T10:00:00+00:00")  # fmt: skip
        status = ("success", "failed")[number % 2]
        runs.append(ended(run, duration_ms=whole, status=status, metrics=metrics))
    with database.writing(1.0) as opened:
        for run in runs:
            write_run(opened.connection, opened.shape, run)

    found = store.top_runs(RunQuery(), sort, 3, is_smallest=is_smallest)

    def key(run: RunRecord) -> Any:
        if sort.startswith("metrics."):
            value = run.metrics.get(sort.removeprefix("metrics."))
            return value if isinstance(value, int | float) else None
        return getattr(run, names.get(sort, sort))

    known = [run for run in reversed(runs) if key(run) is not None]
    expected = sorted(known, key=key, reverse=not is_smallest)[:3]
    assert [run.run_id for run in expected] == [run.run_id for run in found]


def test_an_unknown_order_is_refused(store) -> None:
    """With those that there are."""
    with pytest.raises(InputError, match=r"metrics\.NAME"):
        store.top_runs(RunQuery(), "colour", 3)
