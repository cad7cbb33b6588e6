"""What costs time is the work, not the depth: a small payload that refers to itself often is cut, and nothing hangs."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

import pytest

from telemetry.core.snapshot import LARGEST_BYTES, snapshot, snapshot_mapping
from telemetry.plugins.codec import MOST_ITEMS, encode_exact


def _doubled(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value, value]
    return value


def _tables(levels: int, width: int) -> Any:
    value: Any = {"n": 1}
    for _ in range(levels):
        value = {f"k{number}": value for number in range(width)}
    return value


class Sequence(list):  # type: ignore[type-arg]
    """A list that never ends when it is asked for its items."""

    def __iter__(self) -> Any:
        while True:
            yield 1

    def __len__(self) -> int:
        return 0


SHARED = {
    "2^40 references": _doubled(40),
    "1,000 lists of a shared list, 7 deep": [[[[[[[1] * 1000] * 1000] * 1000] * 1000] * 1000] * 1000] * 1000,
    "10^6 tables": _tables(6, 10),
    "a long text 100,000 times": ["x" * 1_000_000] * 100_000,
    "an odd long text 100,000 times": ["\u00e9\ud800" * 500_000] * 100_000,
    "long bytes 100,000 times": [b"x" * 1_000_000] * 100_000,
    "bytes that are no text, 100,000 times": [b"\xff" * 1_000_000] * 100_000,
    "a long number 100,000 times": [10**4000] * 100_000,
    "tuples of a shared tuple": tuple([tuple([tuple([1] * 1000)] * 1000)] * 1000),
    "a shared table under long keys": {"x" * 100_000 + str(number): _tables(3, 10) for number in range(50)},
    "a subclass that never ends": [Sequence([1, 2])] * 3,
    "a shared set": [set(range(5000))] * 5000,
    "ordered tables": OrderedDict(a=[OrderedDict(b=[1] * 1000)] * 1000),
}


@pytest.mark.parametrize("what", SHARED)
def test_a_payload_that_refers_to_itself_often_costs_little(client, sink, what):
    """Logged within a moment, as one valid value that says what is left out."""
    run_id = client.start_run("agent", "job")
    client.log_event(run_id, "known")
    began = time.thread_time()

    client.log_event(run_id, "shared", SHARED[what])

    took_s = time.thread_time() - began
    (event,) = [event for event in sink.events if event.event_type == "shared"]
    assert took_s < 30  # without a bound: for ever
    assert len(event.payload_bytes) <= LARGEST_BYTES
    assert event.coerced or what == "a subclass that never ends"


@pytest.mark.parametrize("what", ["2^40 references", "a long text 100,000 times", "a shared set"])
def test_a_metric_that_refers_to_itself_often_costs_no_other(client, sink, what):
    """Beside it, and behind it, every other one is kept; the run has its names and its end."""
    with client.track_run("agent", "job", shared=SHARED[what], product="shop") as run:
        run.set_metrics(before=1, shared=SHARED[what], behind=2)

    (end,) = [run for run in sink.runs if not run.is_running]
    assert ("agent", "job", "shop", "success") == (end.agent_name, end.job_type, end.product, end.status)
    assert (1, 2) == (end.metrics["before"], end.metrics["behind"])
    assert end.metrics["shared"] is not None


def test_one_large_value_under_many_names_costs_little():
    """A hundred times the same numbers, a megabyte of them: the small ones between them stay."""
    large = list(range(150_000))
    values = {name: value for number in range(100) for name, value in ((f"l{number}", large), (f"s{number}", number))}

    began = time.thread_time()
    plain, notes = snapshot_mapping(values)

    assert time.thread_time() - began < 30
    assert [*range(100)] == [plain[f"s{number}"] for number in range(100)]
    assert notes


def test_a_large_plain_value_is_exact_up_to_the_bound():
    """Half a million numbers in a megabyte are kept as they are; nobody counts on fewer."""
    digits = [7] * 500_000

    assert (digits, ()) == (snapshot(digits).value, snapshot(digits).coerced)
    assert encode_exact([0] * (MOST_ITEMS + 1)) is None


class RaisingKey:
    """A key that has the hash of a name, and raises when it is compared."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __hash__(self) -> int:
        return hash(self._name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")


@pytest.mark.parametrize("nesting", [lambda table: table, lambda table: {"list": [table]}])
def test_a_key_that_raises_when_it_is_compared_costs_no_event(client, sink, warnings_of, nesting):
    """Its hash is that of a name that was seen before, so the two are compared."""
    run_id = client.start_run("agent", "job")
    client.log_event(run_id, "step", {"name": 1})

    client.log_event(run_id, "step", nesting({RaisingKey("name"): 2}))

    assert 2 == len(sink.events)
    assert "2" in str(sink.events[-1].payload)
    assert [] == warnings_of()
