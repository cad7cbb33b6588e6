"""Reach the engines that stand behind the contract, which itself imports none of them."""

from __future__ import annotations

from typing import Any

from .discovery import DISTRIBUTION, installed_plugins, load_plugin
from .entry_points import ENGINE_GROUP
from .errors import PluginError

__all__ = ["load_engine"]


def load_engine(name: str) -> Any:
    """
    Return the engine that local-telemetry itself ships under *name*; a stranger's entry point replaces none.

    Raises:
        PluginError: the metadata of local-telemetry does not name it.
    """
    for entry in installed_plugins(ENGINE_GROUP):
        if entry.name == name and entry.distribution == DISTRIBUTION:
            return load_plugin(entry)
    raise PluginError(
        f"The engine {name!r} is not known, because the metadata of {DISTRIBUTION} is missing or older than its code; "
        f"install it anew with pip, and where it is bundled into one file, copy its metadata along"
    )
