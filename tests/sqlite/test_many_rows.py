"""Prove that a run read among many is the run that it is when read alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.sinks.sqlite.many_rows import runs_of
from telemetry.sinks.sqlite.migrate import prepare
from telemetry.sinks.sqlite.rows import run_of
from telemetry.sinks.sqlite.shapes import COLUMNS, EXTRA_COLUMNS, inspect

_NAMES = (*COLUMNS, *EXTRA_COLUMNS)
_WHOLE = {
    "run_id": "r",
    "agent_name": "a",
    "start_time": "2026-11-24T10:00:00+00:00",
    "status": "failed",
    "trigger_type": "cli",
    "items_failed": 3,
    "metrics_json": '{"n":1}',
    "coerced_json": '["n"]',
}
_VALUES = st.sampled_from(
    (None, "", "x", "success", "web", 0, 1, 7, 1.0, 1.5, b"x", '{"a":1}', "[1]", "null", "{broken", "2026-11-24")
)
# Without a start a run gets the present moment, which is never twice the same.
_CHANGED = [name for name in _NAMES if name not in ("coerced_json", "start_time")]
_CHANGES = st.dictionaries(st.sampled_from(_CHANGED), _VALUES, max_size=3)


@pytest.fixture(scope="module")
def shape():
    """Return the shape of a database of our own."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        prepare(connection, Path(":memory:"))
        return inspect(connection)


@given(st.lists(_CHANGES, max_size=8))
def test_any_rows_make_the_runs_that_each_makes_alone(shape, changes):
    """Whatever another program wrote into a row, and whatever rows of the same kind were read before it."""
    rows = [tuple({**_WHOLE, **changed}.get(name) for name in _NAMES) for changed in [{}, *changes, *changes]]

    read = list(runs_of(rows, _NAMES, shape))

    alone = [run_of(dict(zip(_NAMES, row, strict=True)), shape) for row in rows]
    assert [repr(run) for run in alone] == [repr(run) for run in read]


def test_no_two_runs_share_what_a_caller_could_change(shape):
    """The metrics of each row are its own, also where it has none."""
    row = tuple({**_WHOLE, "metrics_json": None}.get(name) for name in _NAMES)

    first, second, third = runs_of([row] * 3, _NAMES, shape)

    assert {} == first.metrics == second.metrics
    assert second.metrics is not third.metrics
    assert second.attributes is not second.metrics
