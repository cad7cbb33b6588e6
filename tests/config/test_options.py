"""Prove that options are read strictly, that all faults come at once, and that what fits is kept."""

import datetime
import enum
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import field, frozen, validators
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import ConfigError, PluginError, RetryPolicy
from telemetry.plugins.options import read_options, structure, told
from telemetry.plugins.secret import Secret
from telemetry.plugins.typed import EnvText, nearest, plain, shown


class Color(enum.Enum):
    """Values that are no words, to tell them from the names."""

    RED = "red"
    TWO = 2


@frozen
class Inner:
    """A table inside the options."""

    size: int = 1
    names: tuple[str, ...] = ()


@frozen
class Options:
    """One option of each type that options may have."""

    flag: bool = False
    whole: int = 1
    number: float = 1.0
    text: str = "text"
    path: Path | None = None
    secret: Secret | None = None
    literal: Literal["always", "never", 1] = "always"
    color: Color = Color.RED
    retry: RetryPolicy = field(factory=RetryPolicy)
    inner: Inner = field(factory=Inner)
    maybe: Inner | None = None
    texts: tuple[str, ...] = ()
    numbers: list[float] = field(factory=list)
    pair: tuple[int, str] = (1, "a")
    kinds: frozenset[str] = frozenset()
    sequence: Sequence[int] = ()
    bare: list = field(factory=list)  # type: ignore[type-arg]
    bare_tuple: tuple = ()  # type: ignore[type-arg]
    tables: dict[str, Inner] = field(factory=dict)
    labels: Mapping[str, str] = field(factory=dict)
    anything: Any = None
    table: dict = field(factory=dict)  # type: ignore[type-arg]
    either: int | str | None = None
    day: datetime.date | None = None
    moment: datetime.datetime | None = None
    _private: int = 0
    positive: float = field(default=1.0, validator=validators.gt(0))
    derived: int = field(default=7, init=False)


@frozen
class Required:
    """Options of which one has no default."""

    url: str = field(validator=validators.matches_re("https://.+"))
    size: int = 1


def read(values: Mapping[str, Any]) -> Options:
    """Return the options, as the configuration reads them."""
    return structure(Options, values, path="sinks.hq", origin="f.toml:3")


FITTING = [
    ("flag", True, True),
    ("whole", 5, 5),
    ("number", 5, 5.0),
    ("number", 5.5, 5.5),
    ("text", "ü\n", "ü\n"),
    ("path", "/x/y", Path("/x/y")),
    ("path", Path("/x"), Path("/x")),
    ("secret", "t", Secret("t")),
    ("secret", Secret("t"), Secret("t")),
    ("literal", "never", "never"),
    ("literal", 1, 1),
    ("color", "red", Color.RED),
    ("color", 2, Color.TWO),
    ("color", Color.TWO, Color.TWO),
    ("retry", {"delays_s": [1, 2], "cap_s": 5}, RetryPolicy((1.0, 2.0), 5.0)),
    ("retry", RetryPolicy((3.0,)), RetryPolicy((3.0,))),
    ("inner", {"size": 2, "names": ["a"]}, Inner(2, ("a",))),
    ("maybe", {}, Inner()),
    ("maybe", None, None),
    ("texts", ["a", "b"], ("a", "b")),
    ("numbers", [1, 2.5], [1.0, 2.5]),
    ("pair", [3, "x"], (3, "x")),
    ("kinds", ["a", "a"], frozenset({"a"})),
    ("sequence", [1], [1]),
    ("bare", [1, "a", [EnvText("e", "${E}")]], [1, "a", ["e"]]),
    ("bare_tuple", [1, "a"], (1, "a")),
    ("tables", {"a": {"size": 2}, "b": {}}, {"a": Inner(2), "b": Inner()}),
    ("labels", {"a": "b"}, {"a": "b"}),
    ("anything", [{"a": EnvText("e", "${E}")}], [{"a": "e"}]),
    ("table", {"a": {"b": 1}}, {"a": {"b": 1}}),
    ("either", 1, 1),
    ("either", "1", "1"),
    ("either", None, None),
    ("day", datetime.date(2026, 1, 2), datetime.date(2026, 1, 2)),
    ("moment", datetime.datetime(2026, 1, 2), datetime.datetime(2026, 1, 2)),
    ("private", 3, 3),
    # Text from the environment, which knows no other type.
    ("flag", EnvText("No", "${E}"), False),
    ("whole", EnvText(" 5 ", "${E}"), 5),
    ("number", EnvText("1e3", "${E}"), 1000.0),
    ("text", EnvText("5", "${E}"), "5"),
    ("path", EnvText("/x", "${E}"), Path("/x")),
    ("secret", EnvText("t", "${E}"), Secret("t")),
    ("literal", EnvText("never", "${E}"), "never"),
    ("color", EnvText("red", "${E}"), Color.RED),
    ("either", EnvText("5", "${E}"), 5),
    ("either", EnvText("x", "${E}"), "x"),
    ("retry", {"cap_s": EnvText("5", "${E}")}, RetryPolicy(cap_s=5.0)),
]


@pytest.mark.parametrize(("name", "value", "expected"), FITTING)
def test_what_fits_is_read(name, value, expected):
    """Each option has the declared type afterwards, whatever plain form the file gave it."""
    got = getattr(read({name: value}), "_private" if name == "private" else name)

    assert expected == got
    assert type(expected) is type(got)


UNFIT = [
    ("flag", "no", "is 'no' (in f.toml:3); wanted true or false"),
    ("flag", 1, "is 1 (in f.toml:3); wanted true or false"),
    ("flag", EnvText("maybe", "${E}"), "is '${E}' (in f.toml:3); wanted true or false"),
    ("whole", True, "is true (in f.toml:3); wanted a whole number"),
    ("whole", 1.0, "is 1.0 (in f.toml:3); wanted a whole number"),
    ("whole", "1", "is '1' (in f.toml:3); wanted a whole number"),
    ("whole", EnvText("1.5", "${E}"), "is '${E}' (in f.toml:3); wanted a whole number"),
    ("number", False, "is false (in f.toml:3); wanted a number"),
    ("number", "1.5", "is '1.5' (in f.toml:3); wanted a number"),
    ("number", EnvText("x", "${E}"), "is '${E}' (in f.toml:3); wanted a number"),
    ("text", 5, "is 5 (in f.toml:3); wanted text"),
    ("text", None, "is None (in f.toml:3); wanted text"),
    ("path", 5, "is 5 (in f.toml:3); wanted a path"),
    ("path", "", "is '' (in f.toml:3); wanted a path, neither empty nor with a NUL in it"),
    ("secret", 5, "is *** (in f.toml:3); wanted text"),
    ("literal", "nevr", "is 'nevr' (in f.toml:3); wanted one of 'always', 'never', 1; did you mean 'never'?"),
    ("literal", True, "is true (in f.toml:3); wanted one of 'always', 'never', 1"),
    ("literal", "1", "is '1' (in f.toml:3); wanted one of 'always', 'never', 1"),
    ("color", "RED", "is 'RED' (in f.toml:3); wanted one of 'red', 2; did you mean 'red'?"),
    ("retry", 5, "is 5 (in f.toml:3); wanted a table"),
    ("inner", [], "is a list (in f.toml:3); wanted a table"),
    ("texts", "abc", "is 'abc' (in f.toml:3); wanted a list"),
    ("texts", {"a": 1}, "is a table (in f.toml:3); wanted a list"),
    ("pair", [1], "is a list (in f.toml:3); wanted a list of 2"),
    ("tables", [1], "is a list (in f.toml:3); wanted a table"),
    ("table", "x", "is 'x' (in f.toml:3); wanted a table"),
    ("either", 1.5, "is 1.5 (in f.toml:3); wanted a whole number or text"),
    ("day", datetime.datetime(2026, 1, 2), "is of type datetime (in f.toml:3); wanted a date"),
    ("moment", "2026-01-02", "is '2026-01-02' (in f.toml:3); wanted a datetime"),
    ("positive", -1, "is -1 (in f.toml:3); 'positive' must be > 0: -1.0"),
    ("text", object(), "is of type object (in f.toml:3); wanted text"),
    ("number", 10**400, f"is {str(10**400)[:77]}... (in f.toml:3); wanted a number"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), UNFIT)
def test_what_does_not_fit_is_refused(name, value, sentence):
    """The sentence has place, value, origin, and what is wanted."""
    with pytest.raises(ConfigError) as raised:
        read({name: value})

    assert (f"sinks.hq.{name} {sentence}",) == raised.value.faults
    assert raised.value.faults[0] == str(raised.value)


@given(st.sets(st.sampled_from(range(len(UNFIT)))), st.sets(st.sampled_from(range(len(FITTING)))))
def test_all_faults_at_once_and_the_rest_is_kept(wrong, right):
    """Whatever is wrong together: one sentence for each fault, and every option without one is as it was set."""
    unfit = {UNFIT[index][0]: UNFIT[index] for index in sorted(wrong)}
    fitting = {FITTING[index][0]: FITTING[index] for index in sorted(right) if FITTING[index][0] not in unfit}
    values = {name: entry[1] for name, entry in (unfit | fitting).items()}

    options, faults = read_options(Options, values, path="sinks.hq", origin="f.toml:3")

    assert sorted(f"sinks.hq.{name} {sentence}" for name, _, sentence in unfit.values()) == sorted(faults)
    expected = {name: entry[2] for name, entry in fitting.items()}
    assert Options(**expected) == options


def test_faults_inside_tables_and_lists_have_their_place():
    """A place goes down into nested tables, lists, and tables by name."""
    with pytest.raises(ConfigError) as raised:
        read(
            {
                "retry": {"delays_s": [1, "2", True], "caps": 1},
                "inner": {"size": "x", "names": ["a", 1]},
                "tables": {"a": {"siz": 1}, "b": 5, "c": {"names": [None]}},
                "labels": {"x": 1},
                "maybe": {"size": 1.5},
            }
        )

    known = "known are size, names"
    assert {
        "sinks.hq.retry.delays_s[1] is '2' (in f.toml:3); wanted a number",
        "sinks.hq.retry.delays_s[2] is true (in f.toml:3); wanted a number",
        "sinks.hq.retry.caps is no known option (in f.toml:3); did you mean 'cap_s'? Known are delays_s, cap_s",
        "sinks.hq.inner.size is 'x' (in f.toml:3); wanted a whole number",
        "sinks.hq.inner.names[1] is 1 (in f.toml:3); wanted text",
        f"sinks.hq.tables.a.siz is no known option (in f.toml:3); did you mean 'size'? {known.capitalize()}",
        "sinks.hq.tables.b is 5 (in f.toml:3); wanted a table",
        "sinks.hq.tables.c.names[0] is None (in f.toml:3); wanted text",
        "sinks.hq.labels.x is 1 (in f.toml:3); wanted text",
        "sinks.hq.maybe.size is 1.5 (in f.toml:3); wanted a whole number",
    } == set(raised.value.faults)


def test_value_that_the_class_refuses():
    """The word of a validator is the fault: what is wanted is known to the class alone."""
    with pytest.raises(ConfigError, match=r"^sinks.hq.retry is a table \(in f.toml:3\); RetryPolicy.delays_s is "):
        read({"retry": {"delays_s": [-1]}})


def test_options_that_do_not_go_together():
    """What the class refuses as a whole is a fault of the table, and the defaults are taken."""

    @frozen
    class Range:
        first: int = 0
        last: int = 10

        def __attrs_post_init__(self) -> None:
            if self.first > self.last:
                raise ValueError("first is after last")

    options, faults = read_options(Range, {"first": 5, "last": 2}, path="sinks.r", origin="f")

    assert ("sinks.r is a table (in f); first is after last",) == faults
    assert Range() == options


def test_option_without_a_default():
    """It is named when it is missing or wrong, with all other faults; there are no options then."""
    for values in ({}, {"size": 2}, {"size": "2"}, {"url": "http:"}, {"sise": 1}):
        with pytest.raises(ConfigError) as raised:
            read_options(Required, values, path="sinks.r", origin="f")
        is_wrong = "url" in values
        expected = "sinks.r.url is 'http:' (in f); 'url' must" if is_wrong else "sinks.r.url is missing (in f)"
        assert 1 == sum(fault.startswith(expected) for fault in raised.value.faults)
        assert len(raised.value.faults) == 1 + ("2" in values.values() or "sise" in values)

    assert Required("https://x", 2) == structure(Required, {"url": "https://x", "size": 2}, path="s", origin="f")


def test_unknown_key_without_a_near_name():
    """All known names are listed; a field that nobody may set is none of them."""

    @frozen
    class Empty:
        pass

    with pytest.raises(ConfigError) as raised:
        structure(Empty, {"colour": 1}, path="sinks.e", origin="f")

    assert "sinks.e.colour is no known option (in f); known are none" == str(raised.value)
    with pytest.raises(ConfigError, match=r"sinks.hq.derived is no known option"):
        read({"derived": 1})


def test_object_that_only_a_program_can_pass():
    """An option may hold any object; a file cannot set it."""

    class Opaque:
        pass

    @frozen
    class Strange:
        thing: Opaque | None = None

    thing = Opaque()

    assert Strange(thing) == structure(Strange, {"thing": thing}, path="s", origin="f")
    with pytest.raises(ConfigError, match=r"^s.thing is 5 \(in f\); wanted an object of type Opaque, which only a"):
        structure(Strange, {"thing": 5}, path="s", origin="f")


def test_types_that_cannot_be_read():
    """A class whose types are unknown or misspelt is the plugin's fault, not the user's."""

    @frozen
    class Strange:
        clock: Callable[[], float] | None = None

    with pytest.raises(PluginError, match=r"Strange.clock of .*test_options has a type that no file can hold: .*Call"):
        structure(Strange, {"clock": 5}, path="s", origin="f")

    namespace: dict[str, Any] = {"__name__": "stranger"}
    exec("from attrs import frozen\n@frozen\nclass Lost:\n    thing: 'NoSuchName' = 1\n", namespace)
    with pytest.raises(PluginError, match=r"The types of Lost in stranger cannot be read: name 'NoSuchName'"):
        structure(namespace["Lost"], {"thing": 5}, path="s", origin="f")


def test_simple_options_need_no_converter():
    """For right values of simple types cattrs, 10 to 30 ms and 0.9 MB, is not imported; for others it is."""
    program = """
        import sys
        from telemetry.plugins import RetryPolicy
        from telemetry.plugins.options import structure
        from telemetry.sinks.ndjson import NdjsonSink
        structure(RetryPolicy, {}, path="s", origin="f")
        print("cattrs" in sys.modules)
        options = structure(NdjsonSink.Options, {"fsync": "never", "interval_s": 2}, path="s", origin="f")
        assert ("never", 2.0) == (options.fsync, options.interval_s)
        print("cattrs" in sys.modules)
        structure(RetryPolicy, {"delays_s": [1]}, path="s", origin="f")
        print("cattrs" in sys.modules)
    """

    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)

    assert ["False", "False", "True"] == done.stdout.split()


def test_list_of_faults():
    """One fault is its own message; several are a list with their number."""
    assert "one" == told(["one"])
    assert "2 settings are wrong:\n- one\n- two" == told(["one", "two"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_keeps_what_is_plain(value):
    """Only text from the environment is changed, at any depth."""
    assert value == plain(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 100, "'" + "x" * 76 + "..."),
        (math.inf, "inf"),
        ({}, "a table"),
        ([], "a list"),
        ((), "of type tuple"),
        (Path("/x"), "'/x'"),
        (None, "None"),
    ],
)
def test_values_are_shown_bounded(value, expected):
    """A fault is one readable line."""
    assert expected == shown("option", value)


def test_near_names():
    """The nearest name is offered in its own spelling, and none when nothing is near."""
    assert "; did you mean 'Timeout_S'?" == nearest("TIMEOUT", ["size", "Timeout_S"])
    assert "" == nearest("xyz", ["size"])
    assert "" == nearest("xyz", [])
