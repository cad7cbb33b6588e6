"""Answer "what is installed?": each entry point, whose it is, and whether it is loaded."""

from __future__ import annotations

from collections.abc import Iterator

import click
from attrs import frozen

from ....plugins.discovery import (
    DISTRIBUTION,
    PLUGIN_GROUP,
    SINK_GROUP,
    PluginEntry,
    installed_plugins,
    load_plugin,
    load_sink_type,
    refusal,
)
from ...config import TelemetryConfig
from ...shield import attempt
from ..desk import Desk, pass_desk
from ..group import DeskCommand
from ..listing import output_options, write_list
from ..screen import Screen
from ..table import Cell, Column

__all__ = ["PluginRow", "command", "plugin_rows"]

_STYLES = {"loaded": "success", "unused": "dim", "refused": "partial", "shadowed": "partial", "broken": "failed"}
_EXAMPLES = (
    ("telemetry plugins", "what is installed, and what of it the configuration uses"),
    ("telemetry plugins --json", "the same for programs"),
)


@frozen
class PluginRow:
    """
    One entry point.

    `state` is `loaded`, `unused` (no sink of this type is configured), `refused` (the configuration forbids it),
    `shadowed` (another of this name is used) or `broken`; `detail` says why.
    """

    entry: PluginEntry
    kind: str
    state: str
    detail: str = ""


@click.command("plugins", cls=DeskCommand, examples=_EXAMPLES)
@output_options()
@pass_desk
def command(desk: Desk, /, form: str | None) -> None:
    """List what is installed, and what is loaded of it."""
    write_list(desk.screen, form, _columns(desk.screen), plugin_rows(desk.config))


def plugin_rows(config: TelemetryConfig) -> Iterator[PluginRow]:
    """Yield each installed entry point; imports those that an agent with this configuration would import."""
    used = {spec.type for spec in config.sinks}
    seen: set[str] = set()
    for entry in installed_plugins(SINK_GROUP):
        is_shadowed = entry.name in seen
        seen.add(entry.name)
        yield PluginRow(entry, "sink", *_sink_state(config, entry, entry.name in used, is_shadowed))
    for entry in installed_plugins(PLUGIN_GROUP):
        yield PluginRow(entry, "plugin", *_plugin_state(config, entry))


def _sink_state(config: TelemetryConfig, entry: PluginEntry, is_used: bool, is_shadowed: bool) -> tuple[str, str]:
    if is_shadowed:
        return "shadowed", f"another sink is called {entry.name!r} too, and is used"
    reason = refusal(entry, allow=config.load_plugins, block=config.disable_plugins)
    if reason is not None:
        return "refused", reason
    if not is_used:
        return "unused", ""
    _, failure = attempt(load_sink_type, entry.name)
    return ("loaded", "") if failure is None else ("broken", str(failure))


def _plugin_state(config: TelemetryConfig, entry: PluginEntry) -> tuple[str, str]:
    reason = refusal(entry, allow=config.load_plugins, block=config.disable_plugins)
    if reason is not None:
        return "refused", reason
    _, failure = attempt(load_plugin, entry)
    return ("loaded", "") if failure is None else ("broken", str(failure))


def _columns(screen: Screen) -> list[Column[PluginRow]]:
    return [
        Column(name="name", value=lambda row: row.entry.name, style="bold"),
        Column(name="kind", value=lambda row: row.kind),
        Column(name="state", value=lambda row: row.state, cell=lambda row: Cell(row.state, _STYLES[row.state])),
        Column(
            name="distribution",
            title="from",
            value=_distribution,
            rank=1,
        ),
        Column(name="version", value=lambda row: row.entry.version, title="", is_shown=False),
        Column(name="module", value=_module, style="dim", least=20, rank=3),
        Column(
            name="detail",
            title="",
            value=lambda row: row.detail,
            least=20,
            rank=2,
        ),
    ]


def _distribution(row: PluginRow) -> str:
    is_ours = row.entry.distribution == DISTRIBUTION
    return f"{row.entry.distribution} {row.entry.version}" + (" (ours)" if is_ours else "")


def _module(row: PluginRow) -> str:
    return f"{row.entry.module}:{row.entry.attribute}"
