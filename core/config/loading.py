"""Lay the sources over each other: defaults, file, environment, arguments; the later one wins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...plugins.errors import ConfigError
from ...plugins.typed import Unfit, nearest, shown
from .file import Broken, find_file
from .layers import Layer
from .places import base_of, choose_base, is_usable
from .settings import SETTINGS, read_redaction
from .sinks import read_sinks

__all__ = ["ARGUMENTS", "ARGUMENT_ORIGIN", "arguments_layer", "completed", "file_layer", "laid_over", "settled"]

ARGUMENTS = ("metrics_dir", *SETTINGS, "redact", "sinks")
"""Names of the settings as keyword arguments."""

_BASE_NAMES = ("metrics_dir", "base_dir")  # the field, and the word that file and environment use for it
ARGUMENT_ORIGIN = "argument"
_BELOW_BASE = {"database_path": Path("db", "telemetry.sqlite"), "ndjson_dir": Path("raw")}


def file_layer(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Layer:
    """Return what the configuration file sets; nothing but a fault when it cannot be read."""
    try:
        file = find_file(path, environ)
    except Broken as error:
        return Layer(faults=[f"{error}; nothing of it is used"])
    if file is None:
        return Layer()
    from .document import document_layer  # 1 ms with what it brings, and most agents have no file

    return document_layer(file, environ)


def arguments_layer(arguments: Mapping[str, Any]) -> Layer:
    """Return what keyword *arguments* set; None counts as not given."""
    layer = Layer()
    for name, value in arguments.items():
        if name not in ARGUMENTS and name not in _BASE_NAMES:
            layer.fault(f"{name} is no known setting (in an argument){nearest(name, (*ARGUMENTS, *_BASE_NAMES))}")
        elif value is None:
            continue
        elif name in _BASE_NAMES:
            layer.propose(value, name, ARGUMENT_ORIGIN)
        elif name in SETTINGS:
            layer.take(SETTINGS[name], value, name, ARGUMENT_ORIGIN)
        else:
            _take_table(layer, name, value)
    if "database_path" in layer.values:
        layer.bases.append((base_of(layer.values["database_path"]), "database_path"))
    return layer


def settled(layers: Sequence[Layer], within: tuple[Path, str] | None = None) -> dict[str, Any]:
    """
    Return the arguments of `TelemetryConfig` that *layers* come to, the last one winning.

    A directory that cannot be written is left out, and the next best is taken.

    Args:
        within: the base directory of it all and its origin, whatever the layers say of places; it may be read only.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    faults: list[str] = []
    for layer in layers:
        values |= layer.values
        origins = laid_over(origins, layer.origins)
        faults += layer.faults
    if within is not None:
        origins |= dict.fromkeys(("metrics_dir", *_BELOW_BASE), within[1])
        return {**values, **completed({}, within[0]), "origins": origins, "faults": tuple(faults)}
    base, origins["metrics_dir"], refusals = choose_base(
        proposal for layer in reversed(layers) for proposal in layer.bases
    )
    faults += refusals
    for name in _BELOW_BASE:
        if name in values and not is_usable(values[name] if name == "ndjson_dir" else values[name].parent):
            place = f"{name} is {os.fspath(values.pop(name))!r} (in {origins.pop(name)})"
            faults.append(f"{place}; wanted a place that this user can write")
    return {**completed(values, base), "origins": origins, "faults": tuple(faults)}


def laid_over(origins: Mapping[str, str], later: Mapping[str, str]) -> dict[str, str]:
    """Return *origins* with the *later* ones in their place; of a table that is set anew, none of its keys stays."""
    return {name: origin for name, origin in origins.items() if name.partition(".")[0] not in later} | {**later}


def completed(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return *values* with the base directory, and the places in it that nobody set otherwise."""
    places = {name: values.get(name, base / below) for name, below in _BELOW_BASE.items()}
    return {**values, **places, "metrics_dir": base}


def _take_table(layer: Layer, name: str, value: object) -> None:
    try:
        if name == "redact":
            layer.values[name] = read_redaction(value)
        else:
            layer.values[name], faults = read_sinks(value, lambda *_keys: ARGUMENT_ORIGIN)
            layer.faults += faults
        layer.origins[name] = ARGUMENT_ORIGIN
    except ConfigError as error:
        layer.faults += error.faults
    except Unfit as error:
        layer.fault(f"{name} is {shown(name, value)} (in {ARGUMENT_ORIGIN}); {error}")
