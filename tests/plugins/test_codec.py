"""The codec says exactly what it was given, or refuses; and reads whatever any writer has left behind."""

import dataclasses
import enum
import json
import math
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins.codec import DEEPEST, decode, encode, encode_exact, name_of_float, safe_text


class Colour(enum.Enum):
    """An enum whose value JSON can say."""

    RED = "red"


@dataclasses.dataclass
class Point:
    """A dataclass, which the encoder takes without a word."""

    x: int = 1


def nested(levels: int) -> list[Any]:
    """Return a list in a list, *levels* deep."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@given(st.data())
def test_plain_values_are_exact(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Their JSON reads back equal with any parser, and the snapshot is equal too."""
    value = data.draw(any_valid.json_values())

    text, snapshot = encode_exact(value) or (b"", None)

    assert value == json.loads(text)
    assert value == snapshot
    assert b"\n" not in text


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        [math.inf],
        {1: "a"},
        {None: "a"},
        (1, 2),
        {1, 2},
        b"bytes",
        Colour.RED,
        Point(),
        Decimal("1.5"),
        datetime(2026, 1, 1),
        "\ud800",
        10**5000,
        object(),
        numpy.array([1, 2]),
        numpy.float64(1.5),
        nested(DEEPEST + 1),
        nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_say_exactly_is_refused(value: Any) -> None:
    """Nothing is guessed: the total slow path converts it and names the change."""
    assert encode_exact(value) is None
    assert encode_exact({"in": value}) is None


def test_the_snapshot_is_its_own() -> None:
    """The owner of a value may go on changing it."""
    value = {"steps": [1, 2]}

    _, snapshot = encode_exact(value) or (b"", None)
    value["steps"].append(3)

    assert {"steps": [1, 2]} == snapshot


@pytest.mark.parametrize("levels", [1, 60, DEEPEST])
def test_nesting_down_to_the_limit_is_exact(levels: int) -> None:
    """A hundred levels can be written, so that a reader deep in its own stack can read them."""
    value = nested(levels)

    assert encode_exact(value) == (encode(value), value)


@pytest.mark.parametrize("text", ["[" * 300, "]" * 300, '"[{' * 200, "\\[" * 200])
def test_brackets_in_texts_are_no_nesting(text: str) -> None:
    """Code and JSON inside a text are as flat as any text."""
    value = [text, {"a": [text]}, *[[1]] * 200]

    assert encode_exact(value) == (encode(value), value)


def test_the_error_of_a_strangers_comparison_passes() -> None:
    """Who calls with strangers' objects guards the call; the codec knows no strangers."""

    class Hostile(dict[str, int]):
        def __eq__(self, other: object) -> bool:
            raise OSError("no comparison")

        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(OSError, match="no comparison"):
        encode_exact(Hostile(a=1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NaN", "NaN"),
        ('{"loss": NaN, "a": [Infinity, -Infinity]}', {"loss": "NaN", "a": ["Infinity", "-Infinity"]}),
        ("[1e999, -1e999, 1.5]", ["Infinity", "-Infinity", 1.5]),
        ('{"\\ud800": "a\\udfff"}', {"\\ud800": "a\\udfff"}),
        ('"\\ud83e\\udd16"', "🤖"),
        (b'{"a": 1}', {"a": 1}),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_what_earlier_writers_left_is_read_as_plain_values(text: str | bytes, expected: Any) -> None:
    """What comes out can be written again: no NaN, no lone surrogate."""
    value = decode(text)

    assert expected == value
    assert expected == decode(encode(value))


@pytest.mark.parametrize("text", ["", "{", "[1,", "nothing", b"\xff", '{"a": 1} {', "[" * 100_000, '{"a":' * 5_000])
def test_what_is_no_json_raises_value_error(text: str | bytes) -> None:
    """No other error leaves the codec, not even for a line that is nested without end."""
    with pytest.raises(ValueError, match=r".+"):
        decode(text)


@given(st.text())
def test_safe_text_can_be_written(text: str) -> None:
    """It is UTF-8 at any rate, and the same text where that was so before."""
    safe = safe_text(text)

    assert safe == safe.encode("utf-8").decode("utf-8")
    assert text == safe or any("\ud800" <= character <= "\udfff" for character in text)


def test_floats_beyond_json_have_names() -> None:
    """The words are those of the older writers."""
    assert ["NaN", "Infinity", "-Infinity"] == [name_of_float(value) for value in (math.nan, math.inf, -math.inf)]
