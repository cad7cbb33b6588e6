"""Show the configuration in force: each setting with its value as text, secrets masked, and its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import fields_dict, frozen

from ...plugins.records import RunEvent
from ...plugins.secret import MASK, Secret, looks_secret, masked
from ...plugins.typed import EnvText
from ..redact import Redactor
from .model import TelemetryConfig
from .settings import SETTINGS, Redaction
from .sinks import SinkSpec

__all__ = ["EffectiveValue", "effective_values"]


@frozen
class EffectiveValue:
    """One setting in force; `value` is text for people, empty where nothing is set."""

    name: str
    value: str
    origin: str


def effective_values(config: TelemetryConfig) -> list[EffectiveValue]:
    """Return every setting of *config*, then every option that is set for a sink, none with a secret in it."""
    values = [EffectiveValue("base_dir", str(config.metrics_dir), config.origins["metrics_dir"])]
    values += [EffectiveValue(name, _text(name, getattr(config, name)), config.origins[name]) for name in SETTINGS]
    for name in fields_dict(Redaction):
        origin = config.origins.get(f"redact.{name}", config.origins["redact"])
        values.append(EffectiveValue(f"redact.{name}", _text("", getattr(config.redact, name)), origin))
    for spec in config.sinks:
        values += _sink_values(spec)
    return values


def _sink_values(spec: SinkSpec) -> Iterator[EffectiveValue]:
    yield EffectiveValue(f"sinks.{spec.name}.type", spec.type, spec.origin_of("type"))
    for keys, value in _leaves(spec.options):
        path = ".".join(keys)
        yield EffectiveValue(f"sinks.{spec.name}.{path}", _text(path, value), spec.origin_of(*keys))


def _leaves(table: Mapping[str, Any], *inside: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, *inside, key)
        else:
            yield (*inside, key), value


def _text(path: str, value: Any) -> str:
    if isinstance(value, EnvText):
        return value.source  # the reference says enough, and what it stands for may be a secret
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Secret) or looks_secret(path):
        return MASK
    if isinstance(value, list | tuple):
        return ", ".join(_text(path, item) for item in value)
    return _without_secrets(str(value))


def _without_secrets(text: str) -> str:
    """Return *text* without what looks like a token, by the rules that hold for records."""
    event = Redactor()(RunEvent("config", "config", "now", text))
    return masked(str(event.payload)) if isinstance(event, RunEvent) else MASK
