"""Open what a configuration names for reading, and have the dead judged first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...plugins.context import SinkContext
    from ...plugins.store import RunStore
    from ..config import TelemetryConfig

__all__ = ["BuiltSinks", "built_sinks", "judge_the_dead", "opened_store"]


@frozen
class BuiltSinks:
    """
    The sinks of a configuration, built and not opened, with the contexts for reading them.

    `faults` are by the name of the sink, also of one that could not be built.
    """

    sinks: Mapping[str, Any]
    contexts: Mapping[str, SinkContext]
    faults: Mapping[str, Sequence[str]]

    @property
    def all_faults(self) -> list[str]:
        """The faults of all sinks."""
        return [fault for found in self.faults.values() for fault in found]


def built_sinks(config: TelemetryConfig) -> BuiltSinks:
    """Return the sinks of *config*; what cannot be built has a fault."""
    from ..wiring import build_sinks, context_for

    sinks, faults = build_sinks(config)
    journal = next((sink for sink in sinks.values() if hasattr(sink, "journal_directory")), None)
    return BuiltSinks(sinks, {name: context_for(config, name, journal) for name in sinks}, faults)


def opened_store(built: BuiltSinks) -> RunStore:
    """
    Return the store of these sinks, for reading.

    Raises:
        StoreError: none of them can be read.
    """
    from ..readable import first_store

    return first_store(built.sinks, built.contexts, built.all_faults)


def judge_the_dead(config: TelemetryConfig) -> None:
    """Write the verdict on each run whose process has died; costs a look into one folder when none did."""
    from ..liveness import dead_processes

    if any(True for _ in dead_processes(config.metrics_dir / "state" / "live")):
        from ..client import TelemetryClient

        # The API sink has no part in it: a look at the runs must not post anything by itself.
        with TelemetryClient(config.changed(api_enabled=False)) as client:
            client.get_stats()
