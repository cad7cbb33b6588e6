"""Find plugins by their entry points, and import only the one that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Collection
from importlib import import_module
from typing import Any

import attrs
from attrs import frozen

from .complaints import Complaints
from .entry_points import PLUGIN_GROUP, SINK_GROUP, PluginEntry, scanned_entries
from .errors import PluginError
from .typed import nearest

__all__ = [
    "CONTRACT",
    "DISTRIBUTION",
    "PLUGIN_GROUP",
    "SINK_GROUP",
    "PluginEntry",
    "SinkType",
    "check_sink_type",
    "installed_plugins",
    "installed_sink_types",
    "load_plugin",
    "load_sink_type",
    "needs_newer_contract",
    "refusal",
    "sink_entry",
]

CONTRACT = 1
"""Version of the contract between the bus and a sink; a sink states the one it was written for as `contract`."""

DISTRIBUTION = "local-telemetry"

_complaints = Complaints(logging.getLogger("telemetry.plugins"))


@frozen
class SinkType:
    """A sink class that was loaded, and where it comes from."""

    name: str
    cls: type[Any]
    distribution: str
    version: str
    module: str

    def __str__(self) -> str:
        return f"{self.name!r} of {self.distribution} {self.version} ({self.module}:{self.cls.__qualname__})"

    @property
    def options(self) -> type[Any] | None:
        """The attrs class of its options, None when it takes none."""
        options: type[Any] | None = getattr(self.cls, "Options", None)
        return options


def load_sink_type(name: str, *, allow: Collection[str] | None = None, block: Collection[str] = ()) -> SinkType:
    """
    Return the sink type that is installed under *name*; imports its module and no other.

    Our own types win over a stranger's of the same name, then the first distribution by name; the clash is
    complained of.

    Args:
        allow: names of plugins that may be loaded, None for all; our own are always allowed.
        block: names of plugins that are never loaded.

    Raises:
        PluginError: there is no such type, it is blocked, cannot be imported, or keeps another contract.
    """
    entry = sink_entry(name)
    reason = refusal(entry, allow=allow, block=block)
    if reason is not None:
        raise PluginError(f"The sink type {entry} is not loaded: {reason}")
    cls = load_plugin(entry)
    check_sink_type(entry, cls)
    return SinkType(name, cls, entry.distribution, entry.version, entry.module)


def installed_sink_types() -> tuple[PluginEntry, ...]:
    """Return the entry points of all sink types, by name; of two with one name the first is the one that is used."""
    return installed_plugins(SINK_GROUP)


def installed_plugins(group: str = PLUGIN_GROUP) -> tuple[PluginEntry, ...]:
    """Return the entry points of *group*, by name, ours first; read once a process and imports none of them."""
    return tuple(sorted((entry for entry in scanned_entries() if entry.group == group), key=_rank))


def load_plugin(entry: PluginEntry) -> Any:
    """
    Import what *entry* names and return it.

    Raises:
        PluginError: the module cannot be imported or lacks the attribute. What else the module raises while it is
            imported passes.
    """
    try:
        loaded: Any = import_module(entry.module)
        for part in entry.attribute.split(".") if entry.attribute else ():
            loaded = getattr(loaded, part)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise PluginError(f"The plugin {entry} cannot be imported: {type(error).__name__}: {error}") from error
    return loaded


def refusal(entry: PluginEntry, *, allow: Collection[str] | None, block: Collection[str]) -> str | None:
    """Return why *entry* must not be loaded, None when it may."""
    if entry.name in block:
        return "TELEMETRY_DISABLE_PLUGINS (disable_plugins) names it"
    # An allow list is there to keep strangers out; without our own sinks nothing would be recorded.
    if allow is not None and entry.name not in allow and entry.distribution != DISTRIBUTION:
        return "TELEMETRY_LOAD_PLUGINS (load_plugins) does not name it"
    return None


def sink_entry(name: str) -> PluginEntry:
    """
    Return the entry point that is used for the sink type *name*; imports nothing.

    Raises:
        PluginError: there is no such type.
    """
    installed = installed_sink_types()
    entries = [entry for entry in installed if entry.name == name]
    if not entries:
        raise PluginError(_unknown(name, installed))
    if len(entries) > 1:
        others = ", ".join(map(str, entries[1:]))
        _complaints.say(f"clash:{name}", "two plugins have one name: %s is used, and not %s", entries[0], others)
    return entries[0]


def _unknown(name: str, installed: Collection[PluginEntry]) -> str:
    if not any(entry.distribution == DISTRIBUTION for entry in installed):
        return (
            f"No sink type {name!r} is known, because the metadata of {DISTRIBUTION} is missing; install it with pip, "
            f"and where it is bundled into one file, copy its metadata along"
        )
    names = sorted({entry.name for entry in installed})
    return f"No sink type {name!r} is installed. Installed: {', '.join(names)}{nearest(name, names)}"


def needs_newer_contract(cls: Any) -> bool:
    """Whether the sink class was written for a contract that this platform is too old for."""
    contract = getattr(cls, "contract", CONTRACT)
    return type(contract) is int and contract > CONTRACT


def check_sink_type(entry: PluginEntry, cls: Any) -> None:
    """
    Refuse what *entry* names as a sink type when it is no class that keeps the contract.

    Raises:
        PluginError: it is no class, states no possible contract, a newer one than this, or has options of no use.
    """
    if not isinstance(cls, type):
        raise PluginError(f"The sink type {entry} is no class but {type(cls).__name__}")
    contract = getattr(cls, "contract", CONTRACT)
    if type(contract) is not int or contract < 1:
        raise PluginError(f"The sink type {entry} states the contract {contract!r}; a contract is 1 or more")
    if needs_newer_contract(cls):
        raise PluginError(
            f"The sink type {entry} needs contract {contract}, and this is contract {CONTRACT}; update {DISTRIBUTION}"
        )
    options = getattr(cls, "Options", None)
    if options is not None and not (isinstance(options, type) and attrs.has(options)):
        raise PluginError(f"The sink type {entry} has Options that are no attrs class")


def _rank(entry: PluginEntry) -> tuple[str, bool, str, str]:
    return entry.name, entry.distribution != DISTRIBUTION, entry.distribution, entry.module
