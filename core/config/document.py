"""Turn the table of a configuration file into a layer, with the line of each value and each fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from attrs import evolve, fields_dict

from ...plugins.options import Place, read_options
from ...plugins.typed import Unfit, nearest, shown
from .file import ConfigFile
from .layers import Layer
from .places import base_of
from .settings import DEFAULT_ORIGIN, SETTINGS, Redaction, pattern_fault
from .sinks import SinkSpec, read_sinks
from .variables import broken_references, expand

__all__ = ["KEYS", "document_layer"]

KEYS = ("base_dir", *SETTINGS, "redact", "sinks")
"""What may stand at the top of a file."""


def document_layer(file: ConfigFile, environ: Mapping[str, str]) -> Layer:
    """Return what *file* sets; a setting at fault is left to the layers below, a sink's option to its default."""
    layer = Layer(folder=file.path.parent)
    for key in file.table:
        if key not in KEYS:
            layer.fault(f"{key} is no known setting (in {file.origin(key)}){nearest(key, KEYS)}")
    table = _resolved(layer, file, environ)
    for key in ("base_dir", *SETTINGS):
        if key in table:
            _take(layer, key, table[key], file.origin(key))
    if "database_path" in layer.values:
        layer.bases.append((base_of(layer.values["database_path"]), layer.origins["database_path"]))
    if "redact" in table:
        _take_redaction(layer, table["redact"], file)
    if "sinks" in table:
        _take_sinks(layer, table["sinks"], file)
    return layer


def _resolved(layer: Layer, file: ConfigFile, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the known part of the table with the variables put in, without the values where one is missing."""
    known = {key: value for key, value in file.table.items() if key in KEYS}
    sinks = known.pop("sinks", None)
    resolved = _sound(layer, file, environ, known)
    if isinstance(sinks, Mapping):
        resolved["sinks"] = {}
        for name, table in sinks.items():
            sound = _sound(layer, file, environ, table, "sinks", name) if isinstance(table, Mapping) else table
            # Without its type nobody knows what the sink is.
            if not isinstance(table, Mapping) or ("type" in table) == ("type" in sound):
                resolved["sinks"][name] = sound
    elif sinks is not None:
        resolved["sinks"] = sinks
    return resolved


def _sound(
    layer: Layer, file: ConfigFile, environ: Mapping[str, str], table: Mapping[str, Any], *inside: str
) -> dict[str, Any]:
    sound = {}
    for key, value in table.items():
        broken = list(broken_references(value, environ, ".".join((*inside, key))))
        for place, text, error in broken:
            layer.fault(f"{place} is {shown('', text)} (in {file.origin(*inside, key)}); {error}")
        if not broken:
            sound[key] = expand(value, environ)
    return sound


def _take(layer: Layer, key: str, value: object, origin: str) -> None:
    if key == "base_dir":
        layer.propose(value, key, origin)
    else:
        layer.take(SETTINGS[key], value, key, origin)


def _take_sinks(layer: Layer, tables: object, file: ConfigFile) -> None:
    try:
        specs, faults = read_sinks(tables, partial(file.origin, "sinks"))
    except Unfit as error:
        layer.fault(f"sinks is {shown('sinks', tables)} (in {file.origin('sinks')}); {error}")
        return
    layer.faults += faults
    if specs:
        layer.values["sinks"] = tuple(
            evolve(
                spec, left_out=_left_out(spec, file), folder=layer.folder, origins=_origins(file, "sinks", spec.name)
            )
            for spec in specs
        )
        layer.origins["sinks"] = file.origin("sinks")


def _left_out(spec: SinkSpec, file: ConfigFile) -> tuple[str, ...]:
    return tuple(key for key in file.table["sinks"][spec.name] if key != "type" and key not in spec.options)


def _origins(file: ConfigFile, *inside: str) -> dict[Place, str]:
    """Return the origin of each key in the table *inside*, by its keys from there."""
    table: Any = file.table
    for key in inside:
        table = table[key]
    return {keys: file.origin(*inside, *keys) for keys in _keys_in(table)}


def _keys_in(table: Mapping[str, Any], *before: str) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*before, key)
        if isinstance(value, Mapping):
            yield from _keys_in(value, *before, key)


def _take_redaction(layer: Layer, value: object, file: ConfigFile) -> None:
    origin = file.origin("redact")
    if not isinstance(value, Mapping):
        layer.fault(f"redact is {shown('redact', value)} (in {origin}); wanted a table")
        return
    # Item by item: one bad pattern must not take the good ones along, secrets would leak.
    table = {
        key: _sound_texts(layer, item, f"redact.{key}", file.origin("redact", key)) if isinstance(item, list) else item
        for key, item in value.items()
    }
    origins = _origins(file, "redact")
    redaction, faults = read_options(Redaction, table, path="redact", origin=origin, origins=origins)
    layer.faults += faults
    layer.values["redact"], layer.origins["redact"] = redaction, origin
    for name in fields_dict(Redaction):
        is_refused = any(fault.startswith(f"redact.{name} ") for fault in faults)
        layer.origins[f"redact.{name}"] = DEFAULT_ORIGIN if is_refused else origins.get((name,), DEFAULT_ORIGIN)


def _sound_texts(layer: Layer, items: list[Any], place: str, origin: str) -> list[Any]:
    sound = []
    for index, item in enumerate(items):
        if not isinstance(item, str):
            layer.fault(f"{place}[{index}] is {shown('', item)} (in {origin}); wanted text")
        elif place.endswith("patterns") and (reason := pattern_fault(item)):
            layer.fault(f"{place}[{index}] is {shown('', item)} (in {origin}); {reason}")
        else:
            sound.append(item)
    return sound
