"""Answer "what is installed?": each entry point, whose it is, and whether it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from attrs import frozen

from ....plugins.discovery import (
    CONTRACT,
    DISTRIBUTION,
    PLUGIN_GROUP,
    SINK_GROUP,
    PluginEntry,
    check_sink_type,
    installed_plugins,
    load_plugin,
    needs_newer_contract,
    refusal,
)
from ....plugins.errors import ConfigError, PluginError
from ...config import TelemetryConfig
from ...shield import attempt, text_of
from ..desk import Desk, pass_desk
from ..group import DeskCommand
from ..listing import output_options, write_list
from ..screen import Screen
from ..table import Cell, Column

__all__ = ["FAULTY", "PluginRow", "command", "plugin_rows"]

FAULTY = ("import error", "contract too old", "broken")
_MISSING = "library missing"
_STYLES = {
    "ok": "success",
    **dict.fromkeys(("blocked", "shadowed", _MISSING), "partial"),
    **dict.fromkeys(FAULTY, "failed"),
}
_EXAMPLES = (
    ("telemetry plugins", "what is installed, and whether it can be used"),
    ("telemetry plugins --json", "the same for programs"),
)


@frozen
class PluginRow:
    """
    One entry point.

    `state` is `ok`, `blocked` (the configuration forbids it), `shadowed` (another of this name is used), `library
    missing`, `import error`, `contract too old` (this platform's, for that plugin) or `broken`; `detail` says why.
    `is_used` tells whether an agent with this configuration loads it; `contract` is the version that a sink was
    written for.
    """

    entry: PluginEntry
    kind: str
    is_used: bool
    state: str
    detail: str = ""
    contract: int | None = None


@click.command("plugins", cls=DeskCommand, examples=_EXAMPLES)
@output_options()
@pass_desk
def command(desk: Desk, /, form: str | None) -> None:
    """
    List what is installed, and whether it can be used.

    Imports all that is not blocked.
    """
    write_list(desk.screen, form, _columns(desk.screen), plugin_rows(desk.config))


def plugin_rows(config: TelemetryConfig) -> Iterator[PluginRow]:
    """Yield each installed entry point; imports those that may be loaded, each guarded."""
    used = {spec.type for spec in config.sinks}
    seen: set[str] = set()
    for entry in installed_plugins(SINK_GROUP):
        is_first = entry.name not in seen
        seen.add(entry.name)
        yield _row(config, entry, "sink", is_used=is_first and entry.name in used, is_first=is_first)
    for entry in installed_plugins(PLUGIN_GROUP):
        yield _row(config, entry, "plugin", is_used=True, is_first=True)


def _row(config: TelemetryConfig, entry: PluginEntry, kind: str, *, is_used: bool, is_first: bool) -> PluginRow:
    if not is_first:
        return PluginRow(entry, kind, False, "shadowed", f"another sink is called {entry.name!r} too, and is used")
    reason = refusal(entry, allow=config.load_plugins, block=config.disable_plugins)
    if reason is not None:
        return PluginRow(entry, kind, False, "blocked", reason)
    loaded, failure = attempt(load_plugin, entry)
    if failure is not None:
        return PluginRow(entry, kind, is_used, "import error", _cause_of(failure))
    contract = getattr(loaded, "contract", CONTRACT) if kind == "sink" else None
    return PluginRow(entry, kind, is_used, *_state_of(entry, kind, loaded), contract)


def _state_of(entry: PluginEntry, kind: str, loaded: Any) -> tuple[str, str]:
    _, failure = attempt(check_sink_type, entry, loaded) if kind == "sink" else (None, None)
    if failure is None:
        return _state_of_needs(loaded) if kind == "sink" else ("ok", "")
    return ("contract too old" if needs_newer_contract(loaded) else "broken"), text_of(failure)


def _state_of_needs(cls: Any) -> tuple[str, str]:
    """Ask the sink class, where it can say, whether the libraries are there that it cannot work without."""
    _, failure = attempt(getattr(cls, "check_needs", lambda: None))
    if failure is None:
        return "ok", ""
    if isinstance(failure, ConfigError):
        return _MISSING, text_of(failure)
    return "broken", f"check_needs() raised {type(failure).__name__}: {text_of(failure)}"


def _cause_of(failure: BaseException) -> str:
    """Return what went wrong in the module itself, without the frame that load_plugin() puts around it."""
    cause = failure.__cause__ if isinstance(failure, PluginError) and failure.__cause__ else failure
    return f"{type(cause).__name__}: {text_of(cause)}"


def _columns(screen: Screen) -> list[Column[PluginRow]]:
    return [
        Column(name="name", value=lambda row: row.entry.name, style="bold"),
        Column(name="kind", value=lambda row: row.kind),
        Column(name="state", value=lambda row: row.state, cell=lambda row: Cell(row.state, _STYLES[row.state])),
        Column(
            name="used", value=lambda row: row.is_used, cell=lambda row: Cell("yes" if row.is_used else "no"), rank=1
        ),
        Column(
            name="distribution",
            title="from",
            value=_distribution,
            rank=1,
        ),
        Column(name="version", value=lambda row: row.entry.version, title="", is_shown=False),
        Column(name="contract", value=lambda row: row.contract, is_shown=False),
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
