"""Calls whose arguments do not fit: none reaches the agent, and what they say is kept."""

from __future__ import annotations

import collections
import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest

from telemetry import RunContext, TelemetryClient, TelemetryError
from telemetry.sinks.memory import MemorySink


@pytest.fixture
def sink() -> MemorySink:
    """What the client writes to."""
    return MemorySink()


@pytest.fixture
def client(sink: MemorySink) -> TelemetryClient:
    """A client whose records are seen in *sink*."""
    return TelemetryClient(sinks={"memory": sink})


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


class _Unreadable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


# metrics as a table


def test_metrics_may_come_as_a_table(client, sink, caplog):
    """As users of other trackers write it, of the run and of the client; what is given by keyword wins."""
    with client.track_run("agent", "job") as run:
        run.set_metrics({"loss": 0.5, "items_failed": 3})
        run.set_metrics({"epoch": 1, "acc": 0.1}, acc=0.9)
        client.set_metrics(run.run_id, {"step": 7})

    ended = sink.runs[run.run_id]
    assert {"loss": 0.5, "epoch": 1, "acc": 0.9, "step": 7} == dict(ended.metrics)
    assert 3 == ended.items_failed
    assert [] == _warnings(caplog)


@pytest.mark.parametrize(
    ("table", "metrics"),
    [
        (collections.OrderedDict(a=1), {"a": 1}),
        ({1: 2}, {"1": 2}),
        ('{"a": 1}', {"a": 1}),
        (5, {"value": 5}),
        ([("a", 1)], {"value": [["a", 1]]}),
    ],
    ids=["mapping", "key", "json", "number", "pairs"],
)
def test_any_table_is_kept(client, sink, table, metrics):
    """What is no mapping becomes a metric, and so does what is given beside it."""
    with client.track_run("agent", "job") as run:
        run.set_metrics(table, more=True)

    assert {**metrics, "more": True} == dict(sink.runs[run.run_id].metrics)


# arguments that the method does not ask for


@pytest.mark.parametrize(
    ("log", "payload"),
    [
        (lambda run: run.log_event("e", url=1), {"url": 1}),
        (lambda run: run.log_event("e", {"ok": True}, url=1), {"ok": True, "url": 1}),
        (lambda run: run.log_event("e", {"url": 0}, url=1), {"url": 0, "url#2": 1}),
        (lambda run: run.log_event("e", 5, url=1), {"payload": 5, "url": 1}),
        (lambda run: run.log_event("e", None, 6, 7), {"args": [6, 7]}),
        (lambda run: run.log_event("e", run_id="x"), {"run_id": "x"}),
        (lambda run: run._client.log_event(run.run_id, "e", url=1), {"url": 1}),
    ],
    ids=["keyword", "beside", "again", "number", "args", "run_id", "client"],
)
def test_what_an_event_is_given_is_in_its_payload(client, sink, caplog, log, payload):
    """One event, with one warning for each argument that was moved."""
    with client.track_run("agent", "job") as run:
        log(run)

    (event,) = sink.events
    assert ("e", payload) == (event.event_type, event.payload)
    (warning,) = _warnings(caplog)
    assert "log_event() has no place for it, and it is kept in 'payload'" in warning


def test_an_increment_that_does_not_fit_is_kept_as_an_event(client, sink):
    """As one by something that is no number: it is not guessed what was meant."""
    with client.track_run("agent", "job") as run:
        run.increment("pages", value=3)

    (event,) = sink.events
    assert ("increment", {"name": "pages", "by": {"value": 3}}) == (event.event_type, event.payload)
    assert {} == dict(sink.runs[run.run_id].metrics)
    assert "success" == sink.runs[run.run_id].status


def test_further_arguments_of_a_run_are_attributes(client, sink, caplog):
    """Of track_run(), of child() and of the start and the end by hand; also one that is given twice."""
    tracking = client.track_run("agent", "job", "web", "fourth", agent_name="again", size=3)
    with tracking as run, run.child("part", "second") as part:
        pass
    by_hand = client.start_run("agent", "job", "web", "fourth")
    client.end_run(by_hand, "success", "third")

    assert {"args": ["fourth"], "agent_name#2": "again", "size": 3} == dict(sink.runs[run.run_id].attributes)
    assert {"args": ["second"]} == dict(sink.runs[part.run_id].attributes)
    assert "args" in sink.runs[by_hand].attributes
    assert not any("size" in warning for warning in _warnings(caplog))


def test_a_call_of_a_model_and_a_tool_keep_what_they_are_given(client, sink):
    """It is in their events."""
    with client.track_run("agent", "job") as run:
        run.log_llm_call("small", 900, 120)
        with run.tool("search", "weather"):
            pass

    call, started, ended = sink.events
    assert ("small", [900, 120]) == (call.payload["model"], call.payload["args"])
    assert {"tool": "search", "args": ["weather"]} == started.payload
    assert ("tool_ended", True) == (ended.event_type, ended.payload["ok"])


# arguments that are missing


@pytest.mark.parametrize(
    ("call", "event_type"),
    [
        (lambda run: run.log_event(), "<None>"),
        (lambda run: run.log_llm_call(), "llm_call"),
        (lambda run: run.log_llm_call(tokens_in=5), "llm_call"),
    ],
    ids=["event", "call", "tokens"],
)
def test_a_call_without_its_argument_is_recorded(client, sink, caplog, call, event_type):
    """The run goes on to its end, and the warning names what is missing."""
    with client.track_run("agent", "job") as run:
        call(run)

    assert [event_type] == [event.event_type for event in sink.events]
    assert "success" == sink.runs[run.run_id].status
    assert "was called without it" in _warnings(caplog)[0]


def test_a_tool_without_a_name_lets_its_block_run(client, sink):
    """What the block raises comes out as ever."""
    with pytest.raises(KeyError), client.track_run("agent", "job") as run, run.tool():
        raise KeyError("own")

    assert ["tool_started", "tool_ended"] == [event.event_type for event in sink.events]
    assert "KeyError: 'own'" == sink.events[1].payload["error"]


def test_a_run_without_an_agent_is_recorded(client, sink):
    """As a block, as a decorator and by hand."""

    @client.track_run()
    def work() -> int:
        return 42

    with client.track_run() as run:
        assert 42 == work()
    by_hand = client.start_run()

    assert {"unknown"} == {stored.agent_name for stored in sink.runs.values()}
    assert 3 == len(sink.runs)
    assert ("success", "running") == (sink.runs[run.run_id].status, sink.runs[by_hand].status)


# every method


def _methods(owner: type) -> list[Callable[..., Any]]:
    found = inspect.getmembers(owner, inspect.isfunction)
    # The reading methods say that they raise: half an answer would be taken for the whole.
    return [method for name, method in found if not name.startswith("_") and name not in ("runs", "events")]


@pytest.mark.parametrize(
    "method", [*_methods(RunContext), *_methods(TelemetryClient)], ids=lambda one: one.__qualname__
)
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), (tuple(range(9)), {}), ((), {"zebra": 1, "payload": _Unreadable()}), ((_Unreadable(), {}, []), {})],
    ids=["nothing", "nine", "names", "odd"],
)
def test_no_call_raises(client, sink, method, args, kwargs):
    """Whatever it is called with; a run around it is a success."""
    with client.track_run("agent", "job") as run:
        method(run if method.__qualname__.startswith("RunContext") else client, *args, **kwargs)

    assert "success" == sink.runs[run.run_id].status


@pytest.mark.parametrize(
    "call",
    [
        lambda run: run.log_event("e", url=1),
        lambda run: run.log_event(),
        lambda run: run.set_metrics(5),
        lambda run: run.tool(),
        lambda run: run.child("a", "b"),
        lambda run: run._client.track_run(),
    ],
    ids=["keyword", "missing", "table", "tool", "child", "track_run"],
)
def test_strict_mode_raises(call):
    """A TelemetryError, so that the tests of users find the slip."""
    client = TelemetryClient(sinks={"memory": MemorySink()}, strict=True)
    with client.track_run("agent", "job") as run, pytest.raises(TelemetryError):
        call(run)


def test_a_fault_inside_is_none_of_the_callers(client, sink, caplog, monkeypatch):
    """A TypeError of our own out of a call that fits is told as such, and the call is not made again."""
    calls = []

    def broken(*args: Any) -> None:
        calls.append(args)
        raise TypeError("of our own")

    monkeypatch.setattr(client, "_log_unusual", broken)
    with client.track_run("agent", "job") as run:
        run.log_event("e", object())

    assert 1 == len(calls)
    (warning,) = _warnings(caplog)
    assert "fault of its own" in warning
