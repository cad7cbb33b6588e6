"""Prove that a condition finds what it says, and that no text of a user becomes SQL."""

import operator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.plugins import InputError, RunQuery, RunRecord, RunStore
from telemetry.sinks.reading.conditions import parse_condition

STORIES: list[dict[str, Any]] = [
    {
        "run_id": "r1",
        "status": "failed",
        "duration_ms": 5000,
        "error_summary": "ReadTimeout: 'x' took too long",
        "api_posted": True,
        "product": "100%",
        "metrics": {"tokens": 10, "model": "m-1", "is_cached": True, "gen_ai.usage": 3, "nested": {"deep.er": 7}},
        "attributes": {"version": "3", "none": None},
    },
    {
        "run_id": "r2",
        "duration_ms": 100,
        "product": "it's",
        "metrics": {"tokens": "many", "model": "m-2", "cost_usd": 0.5, "big": 10**18},
        "attributes": {"version": 3, "list": [1, 2]},
    },
    {"run_id": "r3", "verdict": True, "status": "failed", "status_detail": "killed by SIGKILL"},
]


@pytest.fixture(scope="module")
def store(backend: Any) -> RunStore:
    """Return a store of three runs that differ in all that a condition can ask for."""
    backend.empty()
    backend.write(*(a_run(number, **story) for number, story in enumerate(STORIES)))
    return backend.store  # type: ignore[no-any-return]


def a_run(number: int, **told: Any) -> RunRecord:
    """Return a run of its own number."""
    return RunRecord(agent_name="a", start_time="2026-11-23T10:00:00Z", writer="w", seq=number, **told)


def found(store: RunStore, *where: str) -> str:
    """Return the ids of the runs for which each condition in *where* is true."""
    return " ".join(run.run_id for run in store.runs(RunQuery(where=where, limit=None, oldest_first=True)))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("run_id=r1", "r1"),
        ("run_id==r1", "r1"),
        ("run_id != r1", "r2 r3"),
        ("run_id <> r1", "r2 r3"),
        ("run_id>=r2", "r2 r3"),
        ("duration_ms>=5000", "r1"),
        ("duration_ms > 4999.5", "r1"),
        ("duration_ms<5000", "r2"),
        ("duration_ms<=1e2", "r2"),
        ("duration_ms=null", "r3"),
        ("duration_ms!=none", "r1 r2"),
        ("duration_ms!=100", "r1 r3"),
        ("status=failure", "r1 r3"),
        ("api_posted=true", "r1"),
        ("api_posted=0", "r2 r3"),
        ("verdict=1", "r3"),
        ("status_detail~sigkill", "r3"),
        ("error_summary~TIMEOUT", "r1"),
        ("error_summary~%", ""),
        ("error_summary=null", "r2 r3"),
        ("product=it's", "r2"),
        ('product="it\'s"', "r2"),
        ("product='100%'", "r1"),
        ("product=x' OR '1'='1", ""),
        ("product = ", ""),
        ("metrics.tokens>5", "r1"),
        ("metrics.tokens<5", ""),
        ("metrics.tokens=10.0", "r1"),
        ("metrics.tokens>a", "r2"),
        ("metrics.tokens=many", "r2"),
        ("metrics.tokens=null", "r3"),
        ("metrics.tokens!=null", "r1 r2"),
        ("metrics.tokens!=10", "r2 r3"),
        ("metrics.model~M-", "r1 r2"),
        ("metrics.is_cached=true", "r1"),
        ("metrics.is_cached!=true", "r2 r3"),
        ("metrics.cost_usd<=0.5", "r2"),
        ("metrics.big=1000000000000000000", "r2"),
        ("metrics.big<1e30", "r2"),
        ("metrics.big<1" + "0" * 30, "r2"),
        ("metrics.gen_ai.usage=3", "r1"),
        ("metrics.nested.deep.er=7", ""),
        ("metrics.tokens=nan", ""),
        ("metrics.tokens<1" + "0" * 400, "r1"),
        ("attributes.version=3", "r1 r2"),
        ("attributes.version!=3", "r3"),
        ("attributes.none=null", "r1 r2 r3"),
        ("attributes.x'); DROP TABLE agent_runs; --=1", ""),
    ],
)
def test_a_condition_finds_what_it_says(store: RunStore, condition: str, expected: str):
    """Columns, metrics and attributes; texts, numbers, flags and nothing at all."""
    assert expected == found(store, condition)


def test_conditions_hold_together(store: RunStore):
    """Several conditions are all true of what is found."""
    assert "r1" == found(store, "status=failed", "metrics.tokens>1")


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("", ["''", "NAME OPERATOR VALUE"]),
        ("status", ["'status'", "metrics.tokens>1000"]),
        ("duration>5", ["'duration'", "Did you mean 'duration_ms'?", "'metrics.duration'", "items_failed"]),
        ("zzz=5", ["'zzz'", "'attributes.zzz'"]),
        ("metrics>5", ["inside metrics", "metrics.NAME"]),
        ("metrics.=5", ["inside metrics", "metrics.NAME"]),
        ("duration_ms>soon", ["duration_ms, a number", "'soon'"]),
        ("status=succes", ["compares status", "'succes'", "running, success, failed, partial"]),
        ("items_failed=nan", ["items_failed, a number", "'nan'"]),
        ("api_posted=maybe", ["api_posted", "'maybe'", "true or false"]),
        ('metrics.a"b=1', ["double quote"]),
    ],
)
def test_a_wrong_condition_is_told_apart(store: RunStore, condition: str, parts: list[str]):
    """The message quotes the condition, and names what would be right."""
    with pytest.raises(InputError) as raised:
        found(store, condition)

    assert repr(condition) in str(raised.value)
    assert [] == [part for part in parts if part not in str(raised.value)]


def test_a_condition_can_be_read_without_a_store():
    """The command line tells a wrong one before it opens anything."""
    condition = parse_condition(" metrics.a.b <> '1 000' ")

    assert ("metrics", (("a.b",), ("a", "b"))) == (condition.column, condition.path)
    assert ("!=", "1 000") == (condition.operator, condition.value)


OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq}
numbers = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
@given(st.lists(numbers | st.text(max_size=2) | st.none(), max_size=5), st.sampled_from(list(OPERATORS)), numbers)
def test_numbers_compare_as_in_python(store_of, values, sign, number):
    """Whatever the metrics are: a comparison with a number finds the numbers of which it is true."""
    store = store_of(*(a_run(n, run_id=f"r{n}", metrics={"x": value}) for n, value in enumerate(values)))

    ids = found(store, f"metrics.x{sign}{number!r}").split()

    is_number = [isinstance(value, int | float) for value in values]
    expected = [n for n, value in enumerate(values) if is_number[n] and OPERATORS[sign](value, number)]
    assert [f"r{n}" for n in expected] == ids
