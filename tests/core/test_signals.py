"""Prove that an agent which ends itself by a signal ends, wherever the signal meets it."""

import functools
import signal
import sys

import pytest

from telemetry import TelemetryClient, hookimpl
from telemetry.core.shield import attempt
from telemetry.plugins.signals import is_agents_own
from telemetry.sinks.memory import MemorySink

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of users are POSIX")


class Interrupted:
    """A sink in the middle of which the agent's signal arrives."""

    runs_inline = True

    @hookimpl
    def telemetry_event_logged(self, event):
        """Be interrupted."""
        signal.raise_signal(signal.SIGUSR1)


def plain(number, frame):
    """Do what most agents do at SIGTERM."""
    sys.exit(143)


def after_reset(number, frame):
    """Let a second signal end the process at once."""
    signal.signal(number, signal.SIG_DFL)
    sys.exit(143)


def with_cleanup(agent, number, frame):
    """Be bound to something by functools.partial."""
    plain(number, frame)


class Agent:
    """Handle signals in a method."""

    def stop(self, number, frame):
        """Stop."""
        sys.exit(143)


def any_arguments(*arguments):
    """Take the two arguments as a tuple."""
    sys.exit(143)


@pytest.fixture
def handle():
    """Return a function that installs a handler of SIGUSR1 until the test ends."""
    before = signal.getsignal(signal.SIGUSR1)
    yield functools.partial(signal.signal, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


_HANDLERS = [plain, after_reset, functools.partial(with_cleanup, "agent"), Agent().stop, any_arguments]


@pytest.mark.parametrize("handler", _HANDLERS)
def test_exit_of_a_handler_passes_through_a_sink(handle, handler):
    """The agent's SystemExit reaches the agent and fails its run; the sink is not blamed."""
    handle(handler)
    memory = MemorySink()
    client = TelemetryClient(sinks={"memory": memory, "interrupted": Interrupted()})

    with pytest.raises(SystemExit) as raised, client.track_run("crawler") as run:
        run.log_event("page")

    assert 143 == raised.value.code
    [run] = memory.runs.values()
    assert ("failed", "SystemExit") == (run.status, run.status_detail)
    assert {} == client.status()["sinks"]["interrupted"]["failed"]


def test_timeout_of_a_handler_passes_through_the_client(handle):
    """What an alarm raises is the agent's too, whatever its type."""

    def too_late(number, frame):
        raise TimeoutError("the agent took too long")

    handle(too_late)
    client = TelemetryClient(sinks={"interrupted": Interrupted()})

    with pytest.raises(TimeoutError, match="the agent took too long"):
        client.log_event(client.start_run("crawler"), "page")


def test_exit_of_a_sink_does_not_pass(handle):
    """A sink that calls sys.exit() by itself is stopped at its gate, also where the agent has a handler."""
    handle(plain)

    class Leaving:
        runs_inline = True

        @hookimpl
        def telemetry_event_logged(self, event):
            plain(15, None)

    client = TelemetryClient(sinks={"leaving": Leaving()})

    client.log_event(client.start_run("crawler"), "page")

    assert {"SystemExit": 1} == client.status()["sinks"]["leaving"]["failed"]


def test_callers_frame_as_a_local_is_no_handler():
    """A function that looks at its caller, as logging does, and then fails is not taken for a handler."""

    def curious():
        frame = sys._getframe(1)
        raise ValueError(frame.f_code.co_name)

    _, failure = attempt(curious)

    assert isinstance(failure, ValueError)
    assert not is_agents_own(failure)


class Reopened(MemorySink):
    """A sink that gets a signal while it is opened, and one with the record of the first."""

    @hookimpl
    def telemetry_open(self, context):
        """Be interrupted when it is opened again."""
        if self.runs:
            signal.raise_signal(signal.SIGUSR1)

    @hookimpl
    def telemetry_event_logged(self, event):
        """Keep it; be interrupted by the one that the handler logged."""
        super().telemetry_event_logged(event)
        if event.event_type == "first":
            signal.raise_signal(signal.SIGUSR1)


def test_a_handler_that_closes_while_a_record_opens_the_sinks_again_costs_no_record(handle, build):
    """The record that comes after close() opens them; what a handler closes behind its back opens for it once more."""
    kept = Reopened()
    client = build(kept=kept)
    run_id = client.start_run("crawler")
    client.close()
    signals = []

    def log_first_then_close(number, frame):
        signals.append(number)
        client.log_event(run_id, "first") if len(signals) == 1 else client.close()

    handle(log_first_then_close)
    client.log_event(run_id, "page")

    assert 2 == len(signals)
    assert ["first", "page"] == [event.event_type for event in kept.events]
