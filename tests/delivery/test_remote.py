"""A class with deliver() and its policy is a whole remote sink, and imports nothing but the contract."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import define, field, frozen

from telemetry import TelemetryClient
from telemetry.plugins import (
    PluginError,
    Refused,
    Retryable,
    RetryPolicy,
    RunRecord,
    discovery,
    engines,
    entry_points,
    hookimpl,
    remote_sink,
)
from telemetry.sinks.ndjson import NdjsonSink

_QUICK = RetryPolicy((0.01,))


@remote_sink
class Courier:
    """Carry all that comes, unless the script says otherwise."""

    retry_policy = _QUICK

    def __init__(self):
        """Begin with an empty script."""
        self.carried, self.script = [], []

    def deliver(self, batch):
        """Raise what the script says, or take the batch."""
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        self.carried += [(item.record.agent_name, item.record.status) for item in batch]


@define(eq=False)
@remote_sink
class SlottedCourier:
    """The same with attrs, slots, options, and a batch of events and runs."""

    @frozen(kw_only=True)
    class Options:
        """What can be set."""

        retry: RetryPolicy = _QUICK
        backfill: bool = False

    kinds = ("run", "event")
    batch_size = 100
    options: Options = field(factory=Options)
    carried: list = field(factory=list)

    @property
    def retry_policy(self):
        """The configured one."""
        return self.options.retry

    @property
    def backfill(self):
        """As configured."""
        return self.options.backfill

    def wants(self, record):
        """Take events, and runs that have ended."""
        return not (isinstance(record, RunRecord) and record.is_running)

    def deliver(self, batch):
        """Take it."""
        self.carried.append([type(item.record).__name__ for item in batch])


def recorded(folder: Path, *agents: str, **sinks) -> TelemetryClient:
    """Return a client that has tracked a run with one event for each of *agents*, and delivered."""
    client = TelemetryClient(sinks=sinks, metrics_dir=folder)
    for agent in agents:
        with client.track_run(agent, "nightly") as run:
            run.log_event("step")
    client.flush()
    return client


@pytest.mark.parametrize("beside", [{}, {"raw": NdjsonSink()}], ids=["alone", "with a journal"])
def test_deliver_is_enough(tmp_path: Path, beside):
    """Starts and ends arrive in order, with another sink's journal or one of its own."""
    courier = Courier()

    with recorded(tmp_path, "crawler", **beside, courier=courier) as client:
        health = client.status()["sinks"]["courier"]

    assert [("crawler", "running"), ("crawler", "success")] == courier.carried
    assert (2, {}) == (health["posted"], health["failed"])


def test_fault_costs_nothing(tmp_path: Path):
    """What fails is tried again after the pauses of the sink's own policy, whatever it raised."""
    courier = Courier()
    courier.script = [Retryable("locked"), ZeroDivisionError("a fault in the sink")]

    with recorded(tmp_path, "crawler", courier=courier):
        pass

    assert [("crawler", "running"), ("crawler", "success")] == courier.carried


def test_wants_that_raises_costs_nothing(tmp_path: Path):
    """The record is delivered, and so is what comes after; the health tells the fault."""

    @remote_sink
    class Picky(Courier):
        def wants(self, record):
            """Take runs that cost something."""
            return not record.is_running and record.metrics["cost_usd"] > 0

    courier = Picky()

    with recorded(tmp_path, "first", courier=courier) as client:
        with client.track_run("later", "nightly", cost_usd=1):
            pass
        done, health = client.flush(), client.status()["sinks"]["courier"]

    assert [("first", "success"), ("later", "success")] == courier.carried
    assert (True, "KeyError: 'cost_usd'") == (done, health["fault"].rpartition("raised ")[2])


def test_refused_record_is_a_dead_letter_and_comes_again(tmp_path: Path):
    """What is refused is found by `telemetry outbox`, through the sink, and delivered when it is asked for."""
    courier = Courier()
    courier.script = [Refused("no such agent")]

    with recorded(tmp_path, "crawler", courier=courier) as client:
        outbox = courier.open_outbox(client._setup.contexts["courier"])
        assert ["no such agent"] == [letter.reason for letter in outbox.dead_letters()]
        assert 1 == outbox.retry_dead()
        client.flush()

    assert {("crawler", "success"), ("crawler", "running")} == set(courier.carried)


def test_next_process_goes_on(tmp_path: Path):
    """What one instance could not deliver is delivered by the next, once."""
    first, second = Courier(), Courier()
    first.script = [Retryable("down", retry_after_s=3600)] * 50
    recorded(tmp_path, "crawler", raw=NdjsonSink(), courier=first).close()

    with recorded(tmp_path, raw=NdjsonSink(), courier=second):
        pass

    assert ([], [("crawler", "running"), ("crawler", "success")]) == (first.carried, second.carried)


def test_attributes_say_what_is_wanted(tmp_path: Path):
    """Kinds, records and the size of a batch are the class's; @define with slots is no hindrance."""
    courier = SlottedCourier()

    with recorded(tmp_path, "a", "b", courier=courier):
        pass

    kinds = [kind for batch in courier.carried for kind in batch]
    assert ["RunEvent", "RunRecord", "RunEvent", "RunRecord"] == kinds
    assert not hasattr(courier, "__dict__")


@pytest.mark.parametrize(("backfill", "expected"), [(False, 0), (True, 2)])
def test_history_is_backfilled_when_it_is_wanted(tmp_path: Path, backfill: bool, expected: int):
    """A sink that is new beside a journal begins at its end, or with its first line."""
    recorded(tmp_path, "crawler", raw=NdjsonSink()).close()
    courier = SlottedCourier(SlottedCourier.Options(backfill=backfill))

    with recorded(tmp_path, raw=NdjsonSink(), courier=courier):
        pass

    assert expected == sum(map(len, courier.carried))


def test_class_promises_to_be_quick_only_without_hooks_of_its_own():
    """The hooks that are written for it hold nobody up; those of a stranger may."""

    @remote_sink
    class Own:
        @hookimpl
        def telemetry_commit_linked(self, commit):
            """Do something slow."""

        def deliver(self, batch):
            """Take it."""

    assert (True, False) == (Courier.runs_inline, hasattr(Own, "runs_inline"))


def test_slotted_class_is_told_the_order():
    """A class whose slots are closed is refused where it is written, with the cure."""

    @define(eq=False)
    class Closed:
        def deliver(self, batch):
            """Take it."""

    with pytest.raises(TypeError, match=r"Closed has slots; write @remote_sink under @define"):
        remote_sink(Closed)


def test_engine_is_ours_or_missing(monkeypatch):
    """A stranger's entry point replaces no engine, and without our metadata the message says so."""
    theirs = entry_points.PluginEntry("delivery", entry_points.ENGINE_GROUP, "json", "dumps", "stranger", "1.0")
    monkeypatch.setattr(engines, "installed_plugins", lambda group: (theirs,))

    with pytest.raises(PluginError, match="metadata of local-telemetry is missing"):
        engines.load_engine("delivery")


def test_plugins_import_no_engine():
    """The engine is found by its entry point alone; nothing of the contract names its module."""
    modules = Path(discovery.__file__).parent.glob("*.py")
    named = [
        f"{path.name}: {node.module}"
        for path in modules
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and "sinks" in (node.module or "")
    ]

    assert [] == named


def test_class_costs_no_import(tmp_path: Path):
    """The engine is imported when a sink is opened, not when its class is made."""
    program = (
        "import sys, json; from telemetry.plugins import remote_sink\n"
        "@remote_sink\nclass S:\n    def deliver(self, batch): pass\n"
        "print(json.dumps([m for m in sys.modules if m.startswith('telemetry.sinks')]))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert [] == json.loads(done.stdout)
