"""Tell a sink where it lives: directories, identity, and the one door back to the bus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

from .records import DeliveryReport

__all__ = ["SinkContext"]


def _heard_by_nobody(report: DeliveryReport) -> None:
    """Stand in for the bus where a sink is opened without one."""


@frozen(kw_only=True)
class SinkContext:
    """
    What `telemetry_open` hands to a sink.

    All paths are absolute; the directories may not exist yet. `ndjson_dir` and `database_path` are where such a sink
    writes unless its options say otherwise; `journal_dir` is where the journal of this set-up lies, None when no sink
    keeps one. `report` publishes the fate of a delivery to all sinks; it never raises.
    """

    sink_name: str
    base_dir: Path
    ndjson_dir: Path
    journal_dir: Path | None
    database_path: Path
    writer: str
    is_read_only: bool = False
    report: Callable[[DeliveryReport], None] = field(default=_heard_by_nobody, repr=False)

    @property
    def state_dir(self) -> Path:
        """Where locks, cursors and dead letters lie."""
        return self.base_dir / "state"
