"""Read the environment variables that are ours."""

from __future__ import annotations

from collections.abc import Mapping

from ...plugins.typed import EnvText
from .layers import Layer
from .places import base_of
from .settings import BASE_DIR_VARIABLES, SETTINGS

__all__ = ["environment_layer"]

_ORIGIN = "the environment"


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Return what *environ* sets; an empty variable counts as not set."""
    layer = Layer()
    for setting in SETTINGS.values():
        text = environ.get(setting.variable, "")
        if text.strip():
            layer.take(setting, EnvText(text, text), setting.variable, setting.variable, _ORIGIN)
    _propose_bases(layer, environ)
    return layer


def _propose_bases(layer: Layer, environ: Mapping[str, str]) -> None:
    if "database_path" in layer.values:
        layer.bases.append((base_of(layer.values["database_path"]), SETTINGS["database_path"].variable))
    for variable in BASE_DIR_VARIABLES:
        text = environ.get(variable, "")
        if text.strip():
            layer.propose(text, variable, variable, _ORIGIN)
