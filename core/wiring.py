"""Build a bus with its sinks from a configuration; whatever is broken is reported and the rest works."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from ..plugins.context import SinkContext
from ..plugins.discovery import PluginEntry, installed_plugins, load_plugin, load_sink_type, refusal
from ..plugins.errors import ConfigError, PluginError
from .bus import Bus
from .config import ResolvedSink, TelemetryConfig, resolve_sink
from .readable import first_store
from .redact import Redactor
from .shield import attempt, text_of

if TYPE_CHECKING:
    from ..plugins.store import RunStore

__all__ = ["Setup", "build_sinks", "context_for", "redactor_of", "set_up", "unusable_remote_sinks"]

_log = logging.getLogger("telemetry.client")


@define(eq=False)
class Setup:
    """
    A configuration come to life.

    Args:
        config: what was configured.
        bus: carries the records.
        sinks: by name, in the order of attachment; journals come first.
        faults: what could not be done, one sentence each.
    """

    config: TelemetryConfig
    bus: Bus
    sinks: dict[str, Any] = field(factory=dict)
    contexts: dict[str, SinkContext] = field(factory=dict)
    faults: list[str] = field(factory=list)

    def attach_all(self) -> None:
        """Attach every sink that is not attached to the bus; one that is refused becomes a fault."""
        for name, sink in list(self.sinks.items()):
            if name in self.bus.sink_names:
                continue
            # The writer is another one in the child of a fork, where a record may open the sinks again.
            self.contexts[name] = evolve(self.contexts[name], writer=self.bus.writer)
            _, failure = attempt(self.bus.attach, name, sink, self.contexts[name])
            if failure is not None:
                del self.sinks[name]
                self.faults.append(text_of(failure))

    @property
    def state_dir(self) -> Path | None:
        """Where claims, cursors and locks lie; None when no sink of this set-up can be read, so keeps no files."""
        readable = any(_is_read_here(sink) for sink in self.sinks.values())
        return self.config.metrics_dir / "state" if readable else None

    @property
    def delivers(self) -> bool:
        """Whether a sink of this set-up delivers runs elsewhere."""
        return any(hasattr(sink, "open_outbox") for sink in self.sinks.values())

    def open_store(self) -> RunStore:
        """
        Return a store of the first sink that can be read; a journal comes last.

        Raises:
            StoreError: no sink of this set-up can be read; the message says why.
        """
        return first_store(self.sinks, self.contexts)

    def close(self, timeout_s: float) -> None:
        """Close the bus and its sinks."""
        self.bus.close(timeout_s)


def _is_read_here(sink: Any) -> bool:
    # A verdict on the dead must not wait for a server: such a sink alone is none to judge by.
    return hasattr(sink, "open_store") and not hasattr(sink, "open_outbox")


def set_up(
    config: TelemetryConfig | None,
    sinks: Mapping[str, object] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Setup:
    """
    Return the set-up for *config* (environment and file when None), with *sinks* in place of the configured ones.

    Raises:
        ConfigError: in strict mode only, with every fault.
    """
    settled, faults = _settled(config, overrides or {})
    bus = Bus(redactor=redactor_of(settled))
    setup = Setup(settled, bus, faults=[*settled.faults, *faults])
    if not settled.disabled:
        _fill(setup, sinks)
        setup.attach_all()
        _add_plugins(setup)
    bus.revive = setup.attach_all
    _report(setup)
    return setup


def _settled(config: TelemetryConfig | None, overrides: Mapping[str, Any]) -> tuple[TelemetryConfig, list[str]]:
    """Return the configuration that was asked for, or else the best one there is, and why it is not the other."""
    settled, failure = attempt(_asked_for, config, overrides)
    if failure is None:
        return settled, []
    if isinstance(failure, ConfigError) and (config is None or getattr(config, "strict", False)):
        raise failure
    faults = list(getattr(failure, "faults", None) or [text_of(failure)])
    return (config if isinstance(config, TelemetryConfig) else TelemetryConfig.load()), faults


def _asked_for(config: TelemetryConfig | None, overrides: Mapping[str, Any]) -> TelemetryConfig:
    if config is None:
        return TelemetryConfig.load(**overrides)
    if not isinstance(config, TelemetryConfig):
        raise ConfigError(f"config is of type {type(config).__name__}; wanted a TelemetryConfig")
    return config.changed(**overrides) if overrides else config


def redactor_of(config: TelemetryConfig) -> Redactor | None:
    """Return what hides secrets in the records of *config*, None when it is not to."""
    redact = config.redact
    return Redactor(redact.keys, redact.patterns) if redact.enabled else None


def _fill(setup: Setup, sinks: Mapping[str, object] | None) -> None:
    built, faults = _built(setup.config) if sinks is None else _ready(sinks)
    setup.faults.extend(faults)
    # The journal goes first: what a later sink cannot keep must be there already.
    names = sorted(built, key=lambda name: not hasattr(built[name], "journal_directory"))
    journal = next((built[name] for name in names if hasattr(built[name], "journal_directory")), None)
    for name in names:
        context, failure = attempt(context_for, setup.config, name, journal, setup.bus)
        if failure is not None:
            setup.faults.append(f"sinks.{name}: the place of the journal cannot be told: {text_of(failure)}")
            context = context_for(setup.config, name, None, setup.bus)
        setup.sinks[name], setup.contexts[name] = built[name], context


def _built(config: TelemetryConfig) -> tuple[dict[str, Any], list[str]]:
    sinks, faults = build_sinks(config)
    return sinks, [fault for found in faults.values() for fault in found]


def _ready(sinks: object) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(sinks, Mapping):
        return {}, [f"sinks is of type {type(sinks).__name__}; wanted a mapping of names to sinks"]
    faults = [f"sinks.{name} is None; wanted a sink" for name, sink in sinks.items() if sink is None]
    return {str(name): sink for name, sink in sinks.items() if sink is not None}, faults


def context_for(config: TelemetryConfig, name: str, journal: Any, bus: Bus | None = None) -> SinkContext:
    """Return the context in which the sink called *name* lives; without a *bus* it is one for reading only."""
    ndjson_dir = config.ndjson_dir
    bound: dict[str, Any] = {"report": bus.report} if bus is not None else {"is_read_only": True}
    return SinkContext(
        sink_name=name,
        base_dir=config.metrics_dir,
        ndjson_dir=ndjson_dir,
        journal_dir=journal.journal_directory(ndjson_dir) if journal is not None else None,
        database_path=config.database_path,
        writer=bus.writer if bus is not None else "reader",
        **bound,
    )


def build_sinks(config: TelemetryConfig) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """
    Return the configured sinks by name, not opened, and by name a sentence for each fault.

    A sink without faults has no place among them; one that could not be built is among them only.
    """
    sinks: dict[str, Any] = {}
    faults: dict[str, list[str]] = {}
    for spec in config.sinks:
        resolved, found = resolve_sink(spec, allow=config.load_plugins, block=config.disable_plugins)
        told = list(found)
        if resolved is not None:
            # Guarded: what a stranger's constructor raises must not cost the other sinks.
            sink, failure = attempt(resolved.build)
            if failure is None:
                sinks[spec.name] = sink
            else:
                told.append(_not_built(resolved, failure))
        if told:
            faults[spec.name] = told
    return sinks, faults


def unusable_remote_sinks(
    config: TelemetryConfig, sinks: Mapping[str, Any], faults: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """
    Return by name why a sink cannot be used, of those that deliver elsewhere or, as far as can be told, may do so.

    Args:
        sinks: those that `build_sinks()` could build of *config*, with its *faults*.
    """
    unusable = {}
    load = partial(load_sink_type, allow=config.load_plugins, block=config.disable_plugins)
    for spec in config.sinks:
        if spec.name not in sinks:
            found, _ = attempt(load, spec.type)
            if found is None or hasattr(found.cls, "open_outbox"):
                unusable[spec.name] = "; ".join(faults[spec.name])
    return unusable


def _not_built(sink: ResolvedSink, failure: BaseException) -> str:
    spec = sink.spec
    if isinstance(failure, ConfigError):
        # Written for whoever set it up: in the words of `config check`, without the class that found it.
        return f"sinks.{spec.name} (in {spec.origin}): {text_of(failure)}"
    told = f"building the sink type {sink.sink_type} raised {_named(failure)}"
    return f"sinks.{spec.name}.type is {spec.type!r} (in {spec.origin_of('type')}); {told}"


def _add_plugins(setup: Setup) -> None:
    """Register processors and other plugins of the group `telemetry`, each guarded."""
    config = setup.config
    for entry in installed_plugins():
        if refusal(entry, allow=config.load_plugins, block=config.disable_plugins) is None:
            _, failure = attempt(_add_plugin, setup.bus, entry)
            if failure is not None:
                setup.faults.append(f"plugin {entry}: {_named(failure)}")


def _named(failure: BaseException) -> str:
    told = text_of(failure)
    return told if isinstance(failure, PluginError) else f"{type(failure).__name__}: {told}"


def _add_plugin(bus: Bus, entry: PluginEntry) -> None:
    plugin = load_plugin(entry)
    bus.register(entry.name, plugin() if isinstance(plugin, type) else plugin)


def _report(setup: Setup) -> None:
    if not setup.faults:
        return
    if setup.config.strict:
        raise ConfigError("; ".join(setup.faults), tuple(setup.faults))
    for fault in setup.faults:
        _log.warning("configuration: %s", fault)
