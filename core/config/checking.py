"""Find everything that is wrong with a configuration, down to the options of each sink, without opening anything."""

from __future__ import annotations

from attrs import evolve

from ..shield import attempt
from .model import TelemetryConfig
from .resolving import resolve_sink
from .sinks import SinkSpec

__all__ = ["faults_of"]


def faults_of(config: TelemetryConfig) -> tuple[str, ...]:
    """Return a sentence for each fault of *config*; imports the class of each sink."""
    # The setting hides faults from programs that ask validate(), not from the person who asks here.
    _, faults = evolve(config, skip_validation=False).validate()
    for spec in config.sinks:
        faults += _sink_faults(config, spec)
    return tuple(faults)


def _sink_faults(config: TelemetryConfig, spec: SinkSpec) -> tuple[str, ...]:
    def resolve() -> tuple[str, ...]:
        return resolve_sink(spec, allow=config.load_plugins, block=config.disable_plugins)[1]

    faults, error = attempt(resolve)
    if error is None:
        return tuple(faults)
    # A stranger's module may raise anything while it is imported.
    said = f"{type(error).__name__}: {attempt(str, error)[0]}"
    return (f"sinks.{spec.name}.type is {spec.type!r} (in {spec.origin}); importing it raised {said}",)
