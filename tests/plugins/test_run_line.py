"""Prove that the quick way to read a run says what the longer way says, and leaves to it what it should."""

import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import RunRecord, encode_line
from telemetry.plugins.codec import decode
from telemetry.plugins.lines import record_of
from telemetry.plugins.records import STATUSES, TRIGGER_TYPES
from telemetry.plugins.run_line import plain_run

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
_PLAIN = st.recursive(st.none() | st.booleans() | st.integers(-9, 2**63) | _TEXT, st.lists, max_leaves=4)
_KINDS: dict[str, Any] = {
    "str": st.text("abc-Z09", min_size=1),
    "str | None": st.none() | _TEXT,
    "int": st.integers(-(2**63) + 1, 2**63 - 1),
    "int | None": st.none() | st.integers(0, 2**63 - 1),
    "bool": st.booleans(),
    "Mapping[str, Any]": st.dictionaries(_TEXT, _PLAIN, max_size=3),
}
_WORDS = {"status": st.sampled_from(STATUSES), "trigger_type": st.sampled_from(TRIGGER_TYPES), "coerced": st.just(())}
_FIELDS = {a.name: _WORDS[a.name] if a.name in _WORDS else _KINDS[str(a.type)] for a in attrs.fields(RunRecord)}


@given(st.fixed_dictionaries(_FIELDS))
def test_quick_way_says_the_same(values):
    """Every run that we write, field by field, with types and all."""
    line = encode_line(RunRecord(**values))

    run = plain_run(line)

    assert record_of(decode(line)) == run
    assert run is not None
    assert attrs.asdict(RunRecord(**values)) == attrs.asdict(run)
    assert run == RunRecord(**values)


def test_quick_run_is_as_frozen_as_any():
    """It is a record like others: hashed or copied alike, and not to be changed."""
    run = plain_run(encode_line(RunRecord(run_id="r", agent_name="a", start_time="2026")))

    assert run is not None
    assert "b" == attrs.evolve(run, agent_name="b").agent_name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        run.agent_name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [
        {"status": "timeout"}, {"trigger_type": "cron"}, {"run_id": ""}, {"agent_name": None}, {"items_failed": "many"},
        {"items_failed": 2.5}, {"duration_ms": 2**63}, {"api_posted": 1}, {"metrics": None}, {"metrics_json": "{}"},
        {"_coerced": ["$.a"]}, {"of_a_later_version": 1}, {"host": 5}, {"attributes": []},
    ],
)  # fmt: skip
def test_whatever_is_odd_is_left_to_the_longer_way(change):
    """A wrong type, a word of another writer, a field of a later version: that way knows what to do with it."""
    line = json.loads(encode_line(RunRecord(run_id="r", agent_name="a", start_time="2026")))

    odd = json.dumps({**line, **change}, separators=(",", ":")).encode()

    assert plain_run(odd) is None


@pytest.mark.parametrize("line", [b"", b"{", b'{"record_type":"run"', b'{"record_type":"event"}', b"null"])
def test_what_is_no_run_is_none(line):
    """Torn lines and other kinds."""
    assert plain_run(line) is None


def test_nan_is_left_to_the_longer_way():
    """JSON knows none; earlier writers do."""
    line = encode_line(RunRecord(run_id="r", agent_name="a", start_time="2026", metrics={"a": 1}))

    assert plain_run(line.replace(b'"a":1', b'"a":NaN')) is None
    assert math.isnan(float(record_of(decode(line.replace(b'"a":1', b'"a":NaN'))).metrics["a"]))
