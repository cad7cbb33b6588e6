"""Any object is a payload: one line of valid JSON, equal to what was given or named as changed; nothing ever raises."""

import collections
import dataclasses
import datetime
import decimal
import enum
import gc
import json
import math
import pathlib
import sys
import threading
import time
import uuid
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import attrs
import msgspec
import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from telemetry import RunEvent, TelemetryClient
from telemetry.core.coerce import LONGEST_TEXT
from telemetry.core.snapshot import LARGEST_BYTES, snapshot, snapshot_mapping
from telemetry.plugins import decode_line, encode_line


class Colour(enum.Enum):
    """An enum of a text."""

    RED = "red"


class Level(enum.IntEnum):
    """An enum of a number, which is a number itself."""

    HIGH = 3


@dataclasses.dataclass
class Point:
    """A dataclass."""

    x: Any = 1


@attrs.define
class Box:
    """An attrs class."""

    content: Any = 1


class Struct(msgspec.Struct):
    """A msgspec class."""

    content: Any = 1


class Pair(NamedTuple):
    """A named tuple."""

    left: Any
    right: int


class Model:
    """What pydantic's models look like from outside."""

    def __init__(self, content: Any = 1) -> None:
        self.content = content

    def model_dump(self) -> dict[str, Any]:
        """Return the fields."""
        return {"content": self.content}


class Raising:
    """An object of which one method raises."""

    def __init__(self, error: BaseException, method: str) -> None:
        self._raising = (error, method)

    def _do(self, method: str, otherwise: Any) -> Any:
        if self._raising[1] == method:
            raise self._raising[0]
        return otherwise

    def __repr__(self) -> str:
        return str(self._do("repr", "<raising>"))

    def __str__(self) -> str:
        return str(self._do("str", "<raising>"))

    def __hash__(self) -> int:
        return int(self._do("hash", 1))

    def __eq__(self, other: object) -> bool:
        return bool(self._do("eq", False))

    def __bool__(self) -> bool:
        return bool(self._do("bool", True))

    def __len__(self) -> int:
        return int(self._do("len", 0))


class RaisingDict(dict[str, Any]):
    """A dict whose comparison raises; the encoder takes it without a word."""

    def __eq__(self, other: object) -> bool:
        raise KeyError("no comparison")

    __hash__ = None  # type: ignore[assignment]


class RaisingItems(collections.abc.Mapping[str, int]):
    """A mapping that breaks while it is walked."""

    def __getitem__(self, key: str) -> int:
        raise OSError("gone")

    def __iter__(self) -> Any:
        yield "a"
        raise OSError("gone")

    def __len__(self) -> int:
        return 2


class RaisingProperty:
    """An object whose every attribute raises."""

    def __getattribute__(self, name: str) -> Any:
        raise OSError(name)


class NamelessType(type):
    """A metaclass whose classes will not say their name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise OSError("no name")


class Nameless(metaclass=NamelessType):
    """An object whose class will not say its name."""


class StrangeText(str):
    """A text whose methods raise."""

    __slots__ = ()

    def isascii(self) -> bool:
        raise OSError("no")

    def __getitem__(self, key: Any) -> str:
        raise OSError("no")

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        raise OSError("no")


class StrangeRepr:
    """An object whose repr is such a text."""

    def __repr__(self) -> str:
        return StrangeText("strange")


class SelfKeyed:
    """A key that holds the table it is a key of."""

    def __init__(self) -> None:
        self.table: Any = None

    def to_dict(self) -> Any:
        """Return the table."""
        return self.table


def self_keyed() -> dict[Any, int]:
    """Return a table whose keys hold it: each leads to all of them again."""
    keys = [SelfKeyed() for _ in range(6)]
    table: dict[Any, int] = dict.fromkeys(keys, 1)
    for key in keys:
        key.table = table
    return table


def cycle() -> list[Any]:
    """Return a list that holds itself."""
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def nested(levels: int, around: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    """Return a value that is nested so deeply."""
    value: Any = 1
    for _ in range(levels):
        value = around(value)
    return value


ODD: dict[str, Callable[[], Any]] = {
    "NaN": lambda: {"loss": math.nan, "best": [math.inf, -math.inf]},
    "big int": lambda: [10**5000, -(10**30)],
    "lone surrogates": lambda: {"a\ud800": "\udfff"},
    "bytes": lambda: [b"text", b"\xff\xfe", bytearray(b"x"), memoryview(b"y")],
    "sets": lambda: {"s": {3, 1, 2}, "f": frozenset("ab"), "mixed": {1, "a", None}},
    "odd keys": lambda: {0: "a", None: "b", True: "c", 2.5: "d", (1, 2): "e", b"f": "g", Colour.RED: "h"},
    "colliding keys": lambda: {1: "a", "1": "b", 1.5: "c", "1.5": "d", "null": 1, None: 2},
    "dataclass": Point,
    "dataclass with odd content": lambda: Point({1, 2}),
    "attrs": Box,
    "msgspec": Struct,
    "named tuple": lambda: Pair(1, 2),
    "model": lambda: Model({"a": {1}}),
    "enum": lambda: [Colour.RED, Level.HIGH],
    "times": lambda: [
        datetime.datetime(2026, 1, 1),
        datetime.date(2026, 1, 1),
        datetime.time(1),
        datetime.timedelta(seconds=1.5),
    ],
    "natural texts": lambda: [uuid.UUID(int=5), decimal.Decimal("1.50"), pathlib.PurePosixPath("/a/b")],
    "numpy": lambda: [numpy.array([[1, 2], [3, 4]]), numpy.float64(1.5), numpy.int32(7), numpy.bool_(True)],
    "numpy NaN": lambda: numpy.array([1.0, math.nan]),
    "big numpy": lambda: numpy.zeros(2_000_000),
    "exception": lambda: ValueError("broken", 5),
    "cycle": cycle,
    "deep list": lambda: nested(100_000),
    "deep dict": lambda: nested(3_000, lambda inner: {"a": inner}),
    "deep dataclass": lambda: nested(500, Point),
    "mock": MagicMock,
    "mock in a list": lambda: [MagicMock(), {"a": MagicMock()}],
    "object": object,
    "class": lambda: [Point, int, Model],
    "function": lambda: [len, lambda: None],
    "module": lambda: sys,
    "lock": threading.Lock,
    "generator": lambda: (n for n in range(3)),
    "iterator": lambda: iter([1, 2]),
    "range": lambda: range(3),
    "deque": lambda: collections.deque([1, 2]),
    "proxy": lambda: MappingProxyType({"a": 1}),
    "ordered": lambda: collections.OrderedDict(a=1),
    "counter": lambda: collections.Counter("aab"),
    "ellipsis": lambda: [..., NotImplemented],
    "namespace": lambda: SimpleNamespace(a=1),
    "complex": lambda: 1 + 2j,
    "dict that will not be compared": lambda: RaisingDict(a=1),
    "dict in a dict that will not be compared": lambda: {"a": [RaisingDict(a=1)]},
    "mapping that breaks": RaisingItems,
    "attributes that raise": RaisingProperty,
    "class without a name": Nameless,
    "text whose methods raise": lambda: StrangeText("strange"),
    "key whose methods raise": lambda: {StrangeText("strange"): 1},
    "repr whose methods raise": StrangeRepr,
    "keys that hold their table": self_keyed,
    **{
        f"{method} raises {type(error).__name__}": lambda error=error, method=method: Raising(error, method)
        for method in ("repr", "str", "hash", "eq", "bool", "len")
        for error in (OSError("no"), KeyError("no"), SystemExit(1), RecursionError())
    },
}


EQUAL = ("ordered", "counter", "key whose methods raise")  # JSON says them without a change


def line_of(payload: Any) -> dict[str, Any]:
    """Return the journal line of an event with this payload, read by Python's own parser, which must find one line."""
    sealed = snapshot(payload)
    event = RunEvent("r", "e", "t", sealed.value, "w", 1, sealed.coerced, payload_bytes=sealed.text)
    text = encode_line(event)
    assert text.endswith(b"\n")
    assert 1 == text.count(b"\n")
    assert event == decode_line(text)
    line: dict[str, Any] = json.loads(text, parse_constant=_refuse)
    return line


def _refuse(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_object_makes_one_valid_line_and_is_named(kind: str) -> None:
    """The line says where something changed, from what and into what."""
    line = line_of(ODD[kind]())

    assert "payload" in line
    if kind not in EQUAL:
        assert line["_coerced"]
        assert all(" -> " in note or note == "... and more" for note in line["_coerced"])


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_object_costs_its_neighbours_nothing(kind: str) -> None:
    """In a table of a list of a table; what stands beside it is as it was given."""
    line = line_of({"before": 1, "odd": [{"x": ODD[kind]()}], "after": "text"})

    assert (1, "text") == (line["payload"]["before"], line["payload"]["after"])


def _leaves() -> st.SearchStrategy[Any]:
    odd = st.sampled_from([kind for kind in ODD if not kind.startswith(("deep", "big numpy", "attributes"))])
    return st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=8)),
        *(st.binary(max_size=8), st.dates(), st.decimals(), st.uuids(), st.complex_numbers(), st.timedeltas()),
        odd.map(lambda kind: ODD[kind]()),
    )


def _keys() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.text(st.characters(), max_size=4),
        st.integers(0, 3),
        st.none(),
        st.booleans(),
        st.floats(),
        st.binary(max_size=2),
        st.tuples(st.integers(0, 2)),
        st.sampled_from(Colour),
    )


ANYTHING = st.recursive(
    _leaves(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(_keys(), inner, max_size=3),
        inner.map(Point),
        inner.map(Box),
        inner.map(Model),
        inner.map(Struct),
        inner.map(lambda value: Pair(value, 1)),
        inner.map(lambda value: MappingProxyType({"a": value})),
    ),
    max_leaves=8,
)


@given(ANYTHING)
@example({1: "a", "1": "b"})
@example(Point(math.nan))
def test_any_payload_is_equal_or_named(payload: Any) -> None:
    """What reads back is what was given, or else the line says that it is not."""
    line = line_of(payload)

    if "_coerced" not in line:
        assert line["payload"] == payload


@given(st.dictionaries(st.text(st.characters(), max_size=4), ANYTHING, max_size=3))
@settings(max_examples=50)
def test_any_mapping_keeps_its_plain_keys(values: dict[str, Any]) -> None:
    """As many values come out as were put in."""
    sealed, _ = snapshot_mapping(values)

    assert len(values) == len(sealed)
    assert {key for key in values if key.isascii()} <= sealed.keys()


def test_what_changed_is_named_with_its_place() -> None:
    """A reader of the line knows what to make of it."""
    line = line_of({"a": [1, math.nan], "b": {2: "x"}, "c": (1,), "d": b"\xff"})

    assert {"a": [1, "NaN"], "b": {"2": "x"}, "c": [1], "d": "base64:/w=="} == line["payload"]
    assert [
        "$.a[1]: float -> text",
        "$.b: int key -> text key '2'",
        "$.c: tuple -> list",
        "$.d: bytes -> plain value",
    ] == line["_coerced"]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Point({1}), {"x": [1]}),
        (Box((1,)), {"content": [1]}),
        (Struct({1}), {"content": [1]}),
        (Model({"a": {1}}), {"content": {"a": [1]}}),
        (Pair(1, 2), {"left": 1, "right": 2}),
        (Colour.RED, "red"),
        ({Level.HIGH: {1}}, {"3": [1]}),
        (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (numpy.float64(1.5), 1.5),
        (numpy.array([1.0, math.nan]), [1.0, "NaN"]),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "2026-01-01T00:00:00+00:00"),
        (datetime.timedelta(seconds=1.5), 1.5),
        (decimal.Decimal("1.50"), "1.50"),
        (pathlib.PurePosixPath("/a"), "/a"),
        (ValueError("broken"), "ValueError: broken"),
        ({3, 1, 2}, [1, 2, 3]),
        (b"text", "text"),
        (-(10**30), -(10**30)),
        ("a\ud800", "a\\ud800"),
        ({1: "a", "1": "b"}, {"1": "a", "1#2": "b"}),
        ({None: 1, True: 2, "null": 3}, {"null": 1, "true": 2, "null#2": 3}),
        (MappingProxyType({"a": 1}), {"a": 1}),
    ],
)
def test_what_becomes_of_common_objects(value: Any, stored: Any) -> None:
    """What a user would expect of each."""
    assert stored == line_of(value)["payload"]


def test_a_cycle_is_cut_where_it_closes() -> None:
    """What comes before it is whole."""
    assert [1, {"again": "<cycle back to list>"}] == line_of(cycle())["payload"]


def test_the_same_object_twice_is_no_cycle() -> None:
    """Only an object inside itself is."""
    shared = {"a": {1}}

    assert [{"a": [1]}, {"a": [1]}] == line_of([shared, shared])["payload"]


def test_nesting_ends_at_a_hundred_levels() -> None:
    """Also where the encoder would take more: a reader must be able to read the line."""
    text = encode_line(RunEvent("r", "e", "t", snapshot(nested(400)).value))

    assert 101 >= text.count(b"[")
    assert b"nested deeper than 100 levels" in text


def test_an_iterator_is_not_used_up() -> None:
    """The agent still needs it."""
    values = iter([1, 2])

    line_of({"values": values})

    assert [1, 2] == list(values)


def test_the_snapshot_is_the_agents_no_more() -> None:
    """What is changed behind the call changes no record."""
    payload = {"a": [1], "b": {2: 3}}
    sealed = snapshot(payload)

    payload["a"].append(2)  # type: ignore[attr-defined]

    assert {"a": [1], "b": {"2": 3}} == sealed.value


@pytest.mark.parametrize("size", [LARGEST_BYTES + 1, 50_000_000])
@pytest.mark.parametrize(
    "make", [lambda size: "x" * size, lambda size: {"a": 1, "log": "x" * size}, lambda size: b"x" * size]
)
def test_a_long_text_is_cut_to_head_length_and_digest(size: int, make: Callable[[int], Any]) -> None:
    """50 MB make a line of a few kB, and what was cut can be recognised."""
    line = line_of(make(size))

    assert len(json.dumps(line)) < 20_000
    assert f"[cut: {size} characters, sha256 " in json.dumps(line)
    assert ["$.log" in note or "$: " in note for note in line["_coerced"]] == [True] * len(line["_coerced"])


def test_a_text_that_fits_is_whole() -> None:
    """Only where all together is too large, texts of more than 64 kB are cut."""
    text = "x" * (LONGEST_TEXT * 4)

    assert text == line_of(text)["payload"]
    assert "_coerced" not in line_of(text)


@pytest.mark.parametrize(
    "make", [lambda: list(range(400_000)), lambda: tuple(range(400_000)), lambda: set(range(400_000))]
)
def test_items_without_end_are_cut(make: Callable[[], Any]) -> None:
    """The line stays below its limit, and says so."""
    line = line_of(make())

    assert len(json.dumps(line["payload"])) <= LARGEST_BYTES * 1.2
    assert line["_coerced"]


def test_what_is_large_in_all_places_is_told_by_its_digest() -> None:
    """Many texts, each too short to be cut alone."""
    line = line_of(["x" * 60_000] * 30)

    assert {"bytes", "sha256", "head"} == set(line["payload"]["_cut"])
    assert "bytes of JSON -> its head, length and digest" in line["_coerced"][-1]


def test_a_large_value_costs_a_mapping_only_itself() -> None:
    """A run with a megabyte of attributes still has its id and its agent."""
    values = {"run_id": "r", "huge": list(range(300_000)), "more": ["y" * 60_000] * 30, "agent_name": "a", "n": 5}

    sealed, notes = snapshot_mapping(values)

    assert ("r", "a", 5) == (sealed["run_id"], sealed["agent_name"], sealed["n"])
    assert values.keys() == sealed.keys()
    assert len(json.dumps(sealed)) < 2 * LARGEST_BYTES
    assert any(note.startswith("$.huge") for note in notes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: {Raising(OSError(), "str"): n for n in range(3)},
        lambda: dict.fromkeys(((float("nan"), n) for n in range(3_000)), 1),
        lambda: {**{f"k#{n}": n for n in range(3_000)}, **{_Same(): n for n in range(3_000)}},
        lambda: {"k" * 1_000_000: [(n,) for n in range(30_000)]},
        self_keyed,
    ],
    ids=["raising", "alike", "numbered", "long path", "self-keyed"],
)
def test_no_table_takes_without_end(make: Callable[[], Any]) -> None:
    """Keys that come out alike, keys that hold their table, a megabyte of key: each took hours once."""
    payload = make()
    began = time.process_time()

    line_of(payload)

    assert time.process_time() - began < 5


class _Same:
    def __repr__(self) -> str:
        return "k"


def test_all_values_under_keys_that_look_alike_are_kept() -> None:
    """They are numbered."""
    line = line_of({_Same(): 1, _Same(): 2, _Same(): 3})

    assert {"k": 1, "k#2": 2, "k#3": 3} == line["payload"]


def test_notes_are_bounded() -> None:
    """A payload with a million odd places names the first twenty, and that there are more."""
    line = line_of([(n,) for n in range(1_000)])

    assert 21 == len(line["_coerced"])
    assert "... and more" == line["_coerced"][-1]


def test_a_payload_that_changes_meanwhile_is_recorded(client: TelemetryClient, sink: Any) -> None:
    """Another thread goes on working on the very table that is logged."""
    shared: dict[Any, Any] = {(n,): n for n in range(50)}
    is_over = threading.Event()

    def change() -> None:
        while not is_over.is_set():
            for n in range(100, 130):
                shared[(n,)] = n
            for n in range(100, 130):
                del shared[(n,)]

    changing = threading.Thread(target=change)
    changing.start()
    run_id = client.start_run("a")
    for _ in range(100):
        client.log_event(run_id, "e", shared)
    is_over.set()
    changing.join()

    assert 100 == len(sink.events)


def test_a_deep_stack_of_the_agent_is_no_obstacle(client: TelemetryClient, sink: Any) -> None:
    """A payload that needs more frames than are left is described, and the agent goes on."""
    run_id = client.start_run("a")

    def descend(levels: int) -> None:
        if levels:
            descend(levels - 1)
        else:
            client.log_event(run_id, "deep", nested(90, lambda inner: (inner,)))

    # What earlier tests left has no room to be finalized in down there, and Python would tell of that.
    gc.collect()
    gc.disable()
    try:
        descend(sys.getrecursionlimit() - len(_frames()) - 250)
    finally:
        gc.enable()

    assert ["deep"] == [event.event_type for event in sink.events]


def _frames() -> list[Any]:
    frames, frame = [], sys._getframe()
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    return frames


@pytest.mark.parametrize("kind", ODD)
def test_odd_objects_pass_through_the_client(client: TelemetryClient, sink: Any, kind: str) -> None:
    """As payload, metric, attribute and text: four records, whatever it is."""
    run_id = client.start_run("a", thing=ODD[kind](), product=ODD[kind]())
    client.log_event(run_id, "e", ODD[kind]())
    client.set_metrics(run_id, thing=ODD[kind](), output_summary=ODD[kind]())
    client.end_run(run_id, thing=ODD[kind](), items_failed=ODD[kind]())

    assert 4 == len(sink.records)
    for record in sink.records:
        assert record == decode_line(encode_line(record))
    assert {run_id} == {record.run_id for record in sink.records}


@pytest.mark.parametrize("kind", ODD)
def test_odd_objects_are_names_too(client: TelemetryClient, sink: Any, kind: str) -> None:
    """As agent, job, run id, event type, status: the run is recorded, from start to end."""
    run_id = client.start_run(ODD[kind](), ODD[kind](), ODD[kind]())
    client.log_event(run_id, ODD[kind]())
    client.end_run(run_id, ODD[kind]())
    client.log_event(ODD[kind](), "e")
    client.set_metrics(ODD[kind](), a=1)
    client.end_run(ODD[kind]())

    assert 6 == len(sink.records)
    assert all(record == decode_line(encode_line(record)) for record in sink.records)


def test_a_number_beyond_all_digits_is_kept_in_hex() -> None:
    """Python refuses to write more than 4,300 decimal digits."""
    assert hex(10**5000) == line_of(10**5000)["payload"]
