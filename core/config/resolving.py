"""Bring a configured sink together with its class and its options, without opening it."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, fields, frozen

from ...plugins.discovery import SinkType, load_sink_type, sink_entry
from ...plugins.errors import ConfigError, PluginError
from ...plugins.options import read_options
from ..shield import attempt, text_of
from .places import absolute
from .sinks import SinkSpec

__all__ = ["ResolvedSink", "build_options", "resolve_sink"]


@frozen
class ResolvedSink:
    """A sink that can be built: `options` is an instance of its class's `Options`, None when it has none."""

    spec: SinkSpec
    sink_type: SinkType
    options: Any

    def build(self) -> Any:
        """Return a new sink; what its constructor raises passes."""
        return self.sink_type.cls() if self.options is None else self.sink_type.cls(self.options)


def resolve_sink(
    spec: SinkSpec, *, allow: Collection[str] | None = None, block: Collection[str] = ()
) -> tuple[ResolvedSink | None, tuple[str, ...]]:
    """
    Return the sink that *spec* asks for, None when it cannot be had, and a sentence for each fault.

    A stranger's module may raise anything while it is imported; that is a fault like any other.

    Args:
        allow: names of plugins that may be loaded, None for all.
        block: names of plugins that must not be.
    """
    sink_type, failure = attempt(partial(load_sink_type, spec.type, allow=allow, block=block))
    if failure is not None:
        return None, (_not_loaded(spec, failure),)
    try:
        options, faults = build_options(spec, sink_type.options)
    except PluginError as error:
        return None, (_not_loaded(spec, error),)
    except ConfigError as error:
        return None, error.faults
    return ResolvedSink(spec, sink_type, options), faults


def _not_loaded(spec: SinkSpec, failure: BaseException) -> str:
    told = text_of(failure)
    if not isinstance(failure, PluginError):
        told = f"importing the sink type {sink_entry(spec.type)} raised {type(failure).__name__}: {told}"
    return f"sinks.{spec.name}.type is {spec.type!r} (in {spec.origin_of('type')}); {told}"


def build_options(spec: SinkSpec, cls: type[Any] | None) -> tuple[Any, tuple[str, ...]]:
    """
    Return the options of the sink *spec*, and a sentence for each fault; an option at fault has its default.

    Args:
        cls: the attrs class of the options; None where the sink takes none, and None is returned.

    Raises:
        ConfigError: an option without a default is missing or at fault.
        PluginError: a type in *cls* cannot be read from a file.
    """
    path = f"sinks.{spec.name}"
    if cls is None:
        sentence = "{}.{} is no known option (in {}); sinks of type {!r} take none"
        return None, tuple(sentence.format(path, key, spec.origin_of(key), spec.type) for key in spec.options)
    typed = _typed_options(spec, cls)
    if typed is not None:
        return typed, ()
    options, faults = read_options(cls, spec.options, path=path, origin=spec.origin, origins=spec.origins)
    return _anchored(options, spec), faults


def _typed_options(spec: SinkSpec, cls: type[Any]) -> Any:
    # Without cattrs, which takes 10 to 30 ms to import; the default sinks all come this way.
    try:
        return cls(**spec.options) if spec.is_typed else None
    except (TypeError, ValueError):
        return None  # a URL out of the environment may be refused; read strictly, the fault gets its sentence


def _anchored(options: Any, spec: SinkSpec) -> Any:
    """Return *options* with the paths that were set made absolute, so that they mean the same wherever we start."""
    given = {attribute.alias: getattr(options, attribute.name) for attribute in fields(type(options))}
    paths = {name: absolute(path, spec.folder) for name, path in given.items() if isinstance(path, Path)}
    changed = {name: path for name, path in paths.items() if name in spec.options and path != given[name]}
    return evolve(options, **changed) if changed else options
