"""Keep the plugins in pluggy, and give out one call per plugin and hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

from ..plugins.errors import PluginError
from ..plugins.hookspecs import PROJECT, TelemetryHooks
from ..plugins.records import Record

__all__ = ["Plugs", "Processor"]

Processor = Callable[[Record], Record | None]


class Plugs:
    """The registered plugins of one bus, by name."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(TelemetryHooks)

    def add(self, name: str, plugin: object) -> None:
        """
        Register *plugin* under *name*.

        Raises:
            PluginError: it has a hook or a hook argument that is not in the contract, or the name is taken.
        """
        try:
            self._manager.register(plugin, name=name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._manager.get_plugin(name) is plugin:
                self._manager.unregister(plugin)
            raise PluginError(f"plugin {name!r} ({type(plugin).__name__}) is refused: {error}") from error

    def remove(self, name: str) -> None:
        """Forget the plugin of this name."""
        self._manager.unregister(name=name)

    def holds(self, name: str, plugin: object) -> bool:
        """Whether this very plugin is registered under *name*."""
        return self._manager.get_plugin(name) is plugin

    def has(self, name: str, hook: str) -> bool:
        """Whether the plugin of this name implements *hook*."""
        return any(each.plugin_name == name for each in getattr(self._manager.hook, hook).get_hookimpls())

    def caller(self, name: str, hook: str, argument: str | None) -> Callable[[Any], list[Any]]:
        """Return what calls *hook* of one plugin with one argument, and returns the results that are not None."""
        # One gate per sink: pluggy stops at the first hookimpl that raises, and the rest would get nothing.
        others = [plugin for other, plugin in self._manager.list_name_plugin() if other != name]
        caller = self._manager.subset_hook_caller(hook, remove_plugins=others)
        if argument is None:
            return lambda _: caller()
        return lambda value: caller(**{argument: value})

    def act(self, name: str, hook: str, argument: str) -> Callable[[Any], Any]:
        """Return what hands a record to one plugin; its result means nothing."""
        found = [each for each in getattr(self._manager.hook, hook).get_hookimpls() if each.plugin_name == name]
        if len(found) == 1 and found[0].argnames == (argument,) and not (found[0].wrapper or found[0].hookwrapper):
            # One plain implementation is all that this gate can ever call, and pluggy has checked it; its call
            # machinery, there to join several, would be 1.3 us of a log_event() of 8 us.
            return found[0].function  # type: ignore[no-any-return]
        return self.caller(name, hook, argument)

    def processors(self) -> tuple[tuple[str, Processor], ...]:
        """Return the processors with their names, in the order of registration."""
        names = [name for name, _ in self._manager.list_name_plugin() if self.has(name, "telemetry_process")]
        return tuple((name, _first_result(self.caller(name, "telemetry_process", "record"))) for name in names)


def _first_result(caller: Callable[[Any], list[Any]]) -> Processor:
    # pluggy leaves out None, which here means "drop": an empty list is a drop.
    def process(record: Record) -> Record | None:
        results = caller(record)
        return results[0] if results else None

    return process
