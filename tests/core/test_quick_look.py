"""The short way ends where the long one does: it refuses what it is not sure of, and changes nothing else."""

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry import RunEvent, TelemetryClient
from telemetry.core.quick_look import QuickLook
from telemetry.core.redact import Redactor
from telemetry.core.seal import sealed
from telemetry.core.secret_texts import may_hold_secret
from telemetry.plugins import encode_line

NOW = "2026-11-23T10:00:00.000000+00:00"
TAIL = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3gH5"
PAYLOAD = {"file": "os.py", "lines": 1234, "ok": True, "ratio": 0.25, "tags": ["a", "b"], "more": {"none": None}}

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(
    [
        *(
            "token",
            "value",
            "name",
            "key",
            "pass",
            "user",
            "file",
            "api_key",
            "--token",
            "X-Api-Key",
            "password=hunter2",
        ),
        *(
            "password=hunter2",
            f"ghp_{TAIL}",
            f"github_pat_11ABC_{TAIL}",
            f"Bearer {TAIL}",
            "https://me:secret@example.org/",
            "basic",
        ),
    ]
)
ODD = st.sampled_from([(1, 2), {1, 2}, b"bytes", 2**70, 10**400, "\ud800", range(3), 1 + 2j, math.nan, -0.0])
PAYLOADS = st.recursive(
    SCALARS | WORDS | ODD,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | WORDS, inner, max_size=4)
        | st.dictionaries(st.integers() | st.none(), inner, max_size=2)
    ),
    max_leaves=12,
)


def by_the_long_way(payload: Any) -> RunEvent:
    """Return the event that the client's long way and the redactor make of *payload*."""
    event = Redactor()(sealed(RunEvent("run", "event", NOW, payload)))
    return sealed(event)  # type: ignore[return-value]  # an event stays one


@pytest.fixture
def look() -> QuickLook:
    """Return one that hides secrets."""
    return QuickLook(Redactor())


LEARNED = QuickLook(Redactor())


@given(PAYLOADS)
@example({"name": "X-Api-Key", "value": "abc"})
@example({"deep": {"user": "me", "pass": "hunter22"}})
@example(["--token", "abc"])
@example({"n": [[["token", "abc"]]]})
@example({"": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}})
def test_both_ways_end_alike(payload: Any) -> None:
    """What takes the short way is stored as the long one would have stored it; it never lets a secret pass."""
    short = LEARNED.sealed(payload)
    if short is None:
        return

    long = by_the_long_way(payload)

    assert ((), long.payload_bytes) == (long.coerced, short[1])
    event = RunEvent.sealed("run", "event", NOW, *short, "w", 1)
    assert encode_line(attrs.evolve(long, writer="w", seq=1)) == encode_line(event)


@pytest.mark.parametrize(
    "payload", [PAYLOAD, None, 5, "text", [], {}, [1, {"a": [None]}], {"text": "a longer line of plain prose"}]
)
def test_plain_payloads_take_the_short_way(look: QuickLook, payload: Any) -> None:
    """Or nothing would be won; the copy says the same."""
    copied, text = look.sealed(payload) or (..., b"")

    assert payload == copied
    assert by_the_long_way(payload).payload_bytes == text


@pytest.mark.parametrize(
    "payload",
    [
        *((1, 2), {"a": (1,)}, {1: "a"}, {"a": b"b"}, {"a": math.nan}, [math.inf], {"a": "\ud800"}, {"a": {"b": {3}}}),
        *({"api_key": "abc"}, {"a": "password=hunter2"}, {"value": 1}, {"a": ["--token", "x"]}, {"x" * 201: 1}),
        {"a": "x" * 1_100_000},
    ],
    ids=lambda payload: repr(payload)[:40],
)
def test_all_others_take_the_long_way(look: QuickLook, payload: Any) -> None:
    """What is no plain JSON, may hold a secret, or is too large or too deep."""
    assert look.sealed(payload) is None


def test_deep_and_endless_payloads_take_the_long_way(look: QuickLook) -> None:
    """Also one that contains itself."""
    endless: list[Any] = []
    endless.append(endless)

    assert look.sealed(endless) is None
    assert look.sealed([[[[[[[[[1]]]]]]]]]) is None


def test_nobody_holds_what_is_sealed(look: QuickLook) -> None:
    """The agent may go on changing its object, at every depth."""
    payload: dict[str, Any] = {"list": [1], "table": {"a": [1]}}
    copied, _ = look.sealed(payload) or ({}, b"")

    payload["list"].append(2)
    payload["table"]["a"].append(2)

    assert {"list": [1], "table": {"a": [1]}} == copied


@pytest.mark.parametrize("redactor", [Redactor(keys=["hunter"]), Redactor(patterns=["hunter[0-9]"])])
def test_own_rules_take_the_long_way(redactor: Redactor) -> None:
    """They may match anything."""
    assert QuickLook(redactor).sealed({"a": 1}) is None


def test_without_redaction_only_the_form_counts() -> None:
    """What looks like a secret is stored when the user wants no redaction."""
    look = QuickLook(None)

    assert look.sealed({"password": "hunter2"}) is not None
    assert look.sealed({"password": b"hunter2"}) is None


@pytest.mark.parametrize(
    ("run_id", "event_type", "is_known"),
    [
        *(("run", "event", True), ("run", "", False), ("", "event", False), (None, "event", False), ("run", 5, False)),
        *(("run", "\u00e9v\u00e9nement", False), ("run", f"ghp_{TAIL}", False), (f"ghp_{TAIL}", "event", False)),
        *(("run", ["event"], False), (["run"], "event", False), ("run", "x" * 201, False)),
    ],
)
def test_only_plain_names_are_known(look: QuickLook, run_id: Any, event_type: Any, is_known: bool) -> None:
    """All others are described, redacted or warned of on the long way."""
    assert [is_known, is_known] == [look.knows(run_id, event_type) for _ in range(2)]


def test_memory_is_bounded(look: QuickLook) -> None:
    """Names and keys may be made up without end."""
    for number in range(12_000):
        look.knows(f"run {number}", "event")
        look.sealed({f"field {number}": 1})

    assert max(len(look._names), len(look._keys)) <= 10_000


@pytest.mark.parametrize(
    "start",
    [
        *("sk-", "sk_live_", "rk_test_", "ghp_", "github_pat_", "glpat-", "xoxb-", "AKIA", "ASIA", "AIza", "ya29."),
        *("hf_", "npm_", "pypi-", "gsk_", "xai-", "pplx-", "hvs.", "SG.", "eyJ", "-----BEGIN PRIVATE KEY", "Bearer "),
        *(
            "Basic ",
            "https://user@",
            "hooks.slack.com",
            "password",
            "api_key",
            "Cookie: ",
            "credential",
            "jwt",
            "otp",
            "passcode",
        ),
    ],
)
def test_each_shape_is_suspicious(start: str) -> None:
    """A search that passes one over would let it pass for good."""
    assert may_hold_secret(f"a text with {start} in it")


def test_a_client_stores_the_same_by_both_ways(
    client: TelemetryClient, sink: Any, build: Callable[..., TelemetryClient], remembering: Callable[[], Any]
) -> None:
    """A known run takes the short way, an unknown one the long way."""
    run_id = client.start_run("a")
    client.log_event(run_id, "step", PAYLOAD)
    other = remembering()
    stranger = build(memory=other)
    stranger.log_event(run_id, "step", PAYLOAD)

    (short,), (long,) = sink.events, other.events
    same = {"timestamp": NOW, "writer": "w", "seq": 1}
    assert encode_line(attrs.evolve(short, **same)) == encode_line(attrs.evolve(long, **same))
    assert (PAYLOAD, ()) == (short.payload, short.coerced)
