"""The quick way to read an event gives what the careful way gives, or leaves the line to it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import RunEvent, decode_line, encode_line
from telemetry.plugins.codec import decode
from telemetry.plugins.event_line import plain_event
from telemetry.plugins.lines import record_of

EVENT = RunEvent("r", "step", "2026-11-23T10:00:00.000000+00:00", {"n": 1.0, "t": ["\u20ac", None]}, "w", 1)
LINE = json.loads(encode_line(EVENT))

_odd = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.none()))
_changes = st.dictionaries(
    st.sampled_from(
        ("run_id", "event_type", "timestamp", "payload", "payload_json", "writer", "seq", "_coerced", "id")
    ),
    _odd,
    max_size=3,
)


def test_it_is_the_way_of_our_own_lines():
    """With the payload as it stands in the line, so that no store has to write it anew."""
    event = plain_event(encode_line(EVENT))

    assert EVENT == event
    assert event is not None
    assert '{"n":1.0,"t":["\u20ac",null]}' == event.payload_json
    assert encode_line(EVENT) == encode_line(event)


@given(_changes, st.lists(st.sampled_from(("writer", "seq", "payload", "timestamp"))))
def test_both_ways_agree(changes: dict[str, Any], missing: list[str]):
    """Whatever stands in the line of an event, both see the same, to the type of each value."""
    line = {name: value for name, value in {**LINE, **changes}.items() if name not in missing}
    text = json.dumps(line, separators=(",", ":")).encode()

    assert seen_by(lambda: record_of(decode(text))) == seen_by(lambda: decode_line(text))


def seen_by(read: Callable[[], Any]) -> str:
    """Return what a way sees, with the type of each value, or that it sees no record."""
    try:
        return repr(read())
    except ValueError:
        return "no record"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"record_type":"event"',
        b'{"record_type":"run","run_id":"r"}',
        b'{"record_type":"event","run_id":"r","event_type":"e","timestamp":"t","payload":NaN,"writer":"w","seq":1}',
        b'{"record_type":"event","run_id":"","event_type":"e","timestamp":"t","payload":1,"writer":"w","seq":1}',
        b'{"record_type":"event","run_id":"r","event_type":"e","timestamp":"t","payload":"\xff","writer":"w","seq":1}',
        b'{"record_type":"event","run_id":"r","event_type":"e","timestamp":"t","payload":"\\ud800","writer":"w","seq":1}',
    ],
)
def test_any_other_line_is_left_to_the_careful_way(line: bytes):
    """It raises nothing and guesses nothing."""
    assert plain_event(line) is None
