"""Collect the commands that plugins add, each plugin guarded: a broken one costs its own commands and no other."""

from __future__ import annotations

import logging

import click

from ...plugins.discovery import PluginEntry, installed_plugins, load_plugin, refusal

__all__ = ["plugged_commands"]

_log = logging.getLogger("telemetry.cli")


def plugged_commands() -> dict[str, click.Command]:
    """Return the commands of all plugins that may be loaded, by name; imports a plugin only if there is one."""
    entries = installed_plugins()
    return _commands_of(entries) if entries else {}


def _commands_of(entries: tuple[PluginEntry, ...]) -> dict[str, click.Command]:
    # Nobody without a plugin pays for these: 40 ms, a third of what `telemetry --help` may take.
    from ..config import TelemetryConfig
    from ..shield import attempt

    config, failure = attempt(TelemetryConfig.load)
    if failure is not None:
        return {}  # strict mode and a broken configuration: the command itself will say so
    commands: dict[str, click.Command] = {}
    for entry in entries:
        if refusal(entry, allow=config.load_plugins, block=config.disable_plugins) is None:
            collected, failure = attempt(_registered, entry)
            commands = {**(collected or {}), **commands}
            if failure is not None:
                _log.warning("the commands of plugin %s are missing: %s", entry, failure)
    return commands


def _registered(entry: PluginEntry) -> dict[str, click.Command]:
    plugin = load_plugin(entry)
    register = getattr(plugin, "telemetry_register_commands", None)
    group = click.Group()
    if register is not None:
        register(cli=group)
    return dict(group.commands)
