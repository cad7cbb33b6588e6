"""The contract with plugins is complete, documented, and keeps its arguments."""

import inspect

import pluggy
import pytest

from telemetry import hookimpl
from telemetry.plugins.hookspecs import PROJECT, TelemetryHooks

HOOKS = {
    "telemetry_open": ["context"],
    "telemetry_run_started": ["run"],
    "telemetry_event_logged": ["event"],
    "telemetry_metrics_set": ["update"],
    "telemetry_run_ended": ["run"],
    "telemetry_delivery_reported": ["report"],
    "telemetry_commit_linked": ["commit"],
    "telemetry_flush": ["deadline_s"],
    "telemetry_health": [],
    "telemetry_forked": ["context"],
    "telemetry_close": ["deadline_s"],
    "telemetry_process": ["record"],
    "telemetry_register_commands": ["cli"],
}


def hooks_of(holder: type) -> dict[str, list[str]]:
    """Return the arguments of each hook."""
    methods = inspect.getmembers(holder, inspect.isfunction)
    return {name: list(inspect.signature(method).parameters)[1:] for name, method in methods}


def test_the_hooks_and_their_arguments_are_these() -> None:
    """A plugin in the field breaks when one of them goes or changes its name."""
    assert HOOKS == hooks_of(TelemetryHooks)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_says_what_it_is_for(name: str) -> None:
    """It is known to pluggy as a hook, and has a docstring for the author of a sink."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(TelemetryHooks)

    assert hasattr(manager.hook, name)
    assert (getattr(TelemetryHooks, name).__doc__ or "").strip()


def test_an_implementation_may_leave_arguments_out() -> None:
    """A sink that only counts runs needs none of them."""

    class Counting:
        count = 0

        @hookimpl
        def telemetry_run_ended(self) -> None:
            self.count += 1

    manager, sink = pluggy.PluginManager(PROJECT), Counting()
    manager.add_hookspecs(TelemetryHooks)
    manager.register(sink)

    manager.hook.telemetry_run_ended(run=None)

    assert 1 == sink.count
