"""A remote sink is its deliver() and its policy; the hooks are written for it."""

import pluggy
import pytest
from attrs import define, field

from telemetry.plugins import RetryPolicy, RunEvent, hookimpl
from telemetry.plugins.hookspecs import TelemetryHooks
from telemetry.sinks.delivery import Delivery, remote_sink


@define(eq=False)
@remote_sink
class PrintSink:
    """The smallest remote sink there can be."""

    printed: list = field(factory=list)
    delivery: Delivery = field(init=False)

    @delivery.default
    def _new_delivery(self):
        return Delivery(self._deliver, policy=RetryPolicy((0.01,)), kinds=("run", "event", "metrics"), batch=100)

    def _deliver(self, batch):
        self.printed += [type(item.record).__name__ for item in batch]

    @hookimpl
    def telemetry_event_logged(self, event):
        """Hear of events as well."""
        self.delivery.take(event)


@pytest.fixture
def plugins():
    """Return a plugin manager with the contract's hooks."""
    manager = pluggy.PluginManager("telemetry")
    manager.add_hookspecs(TelemetryHooks)
    return manager


def test_a_remote_sink_keeps_the_contract(base, plugins):
    """pluggy finds each hook, with arguments that are in the contract, and the sink works by them alone."""
    sink = PrintSink()
    plugins.register(sink)
    plugins.check_pending()
    hook = plugins.hook

    hook.telemetry_open(context=base.context())
    base.write(start := base.run("r1", status="running", end_time=None), event := RunEvent("r1", "step", "t"))
    hook.telemetry_run_started(run=start)
    hook.telemetry_event_logged(event=event)
    base.write(end := base.run("r1"))
    hook.telemetry_run_ended(run=end)

    assert [True] == hook.telemetry_flush(deadline_s=5)
    assert ["RunRecord", "RunEvent", "RunRecord"] == sink.printed
    assert 3 == hook.telemetry_health()[0]["posted"]
    hook.telemetry_close(deadline_s=1)


def test_all_hooks_reach_the_delivery():
    """Each is forwarded under its own name, so that none is forgotten."""
    calls = []

    class Heard:
        def __getattr__(self, name):
            return lambda *arguments: calls.append((name, *arguments)) or {}

    @remote_sink
    class Sink:
        delivery = Heard()

    sink = Sink()
    sink.telemetry_open("context")
    sink.telemetry_run_started("start")
    sink.telemetry_metrics_set("update")
    sink.telemetry_run_ended("end")
    sink.telemetry_flush(1)
    sink.telemetry_health()
    sink.telemetry_forked("context")
    sink.telemetry_close(2)
    sink.open_outbox("context")

    assert [
        ("open", "context"),
        ("take", "start"),
        ("take", "update"),
        ("take", "end"),
        ("flush", 1),
        ("health",),
        ("forked", "context"),
        ("close", 2),
        ("open_outbox", "context"),
    ] == calls


def test_a_hook_of_the_sinks_own_stays():
    """Who needs more than forwarding writes it."""

    @remote_sink
    class Sink:
        @hookimpl
        def telemetry_health(self):
            """Say something else."""
            return {"own": True}

        def open_outbox(self, context):
            """Give something else."""
            return "own"

    assert ({"own": True}, "own") == (Sink().telemetry_health(), Sink().open_outbox(None))
