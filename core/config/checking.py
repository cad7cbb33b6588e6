"""Find everything that is wrong with a configuration, down to the options of each sink, without opening anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import evolve, frozen

from ...plugins.errors import ConfigError
from ..shield import attempt, text_of
from .model import TelemetryConfig
from .resolving import ResolvedSink, resolve_sink

__all__ = ["Checked", "check"]


@frozen
class Checked:
    """
    What was found.

    Attributes:
        faults: a sentence for each thing that cannot work as it stands.
        warnings: a sentence for each that works, and is probably not meant so.
    """

    faults: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def check(config: TelemetryConfig) -> Checked:
    """Return what is wrong with *config*; imports the class of each sink, and what the options need to be checked."""
    # The setting hides faults from programs that ask validate(), not from the person who asks here.
    _, faults = evolve(config, skip_validation=False).validate()
    warnings: list[str] = []
    for spec in config.sinks:
        sink, found = resolve_sink(spec, allow=config.load_plugins, block=config.disable_plugins)
        faults += found
        if sink is not None and hasattr(sink.sink_type.cls, "check_options"):
            asked = _asked(sink)
            faults += asked.faults
            warnings += asked.warnings
    return Checked(tuple(faults), tuple(warnings))


def _asked(sink: ResolvedSink) -> Checked:
    """Return what the sink's own class finds."""
    doubts, failure = attempt(lambda: [str(doubt) for doubt in sink.sink_type.cls.check_options(sink.options)])
    if isinstance(failure, ConfigError):
        return Checked(_placed(sink, failure.faults))
    if failure is not None:
        return Checked(_placed(sink, [f"check_options() raised {type(failure).__name__}: {text_of(failure)}"]))
    return Checked((), _placed(sink, doubts))


def _placed(sink: ResolvedSink, told: Iterable[Any]) -> tuple[str, ...]:
    return tuple(f"sinks.{sink.spec.name} (in {sink.spec.origin}): {text}" for text in told)
