"""State the contract between the bus and every plugin: the hooks, their arguments, and who calls them when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from .context import SinkContext
from .records import CommitLink, DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord

if TYPE_CHECKING:
    import click

__all__ = ["PROJECT", "TelemetryHooks", "hookimpl", "hookspec"]

PROJECT = "telemetry"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class TelemetryHooks:
    """
    All hooks of the platform.

    A hookimpl may leave arguments out. A hook or argument that is not here is refused when the plugin is
    registered. What a hookimpl raises is counted and logged, and reaches neither the agent nor another sink.
    """

    @hookspec
    def telemetry_open(self, context: SinkContext) -> None:
        """Prepare the sink; called once before all else. Building the client waits for it no longer than 50 ms."""

    @hookspec
    def telemetry_run_started(self, run: RunRecord) -> None:
        """Take a run that has begun; `run.status` is `running`."""

    @hookspec
    def telemetry_event_logged(self, event: RunEvent) -> None:
        """Take an event. A sink that cannot keep pace with the agent does not implement this hook."""

    @hookspec
    def telemetry_metrics_set(self, update: MetricsUpdate) -> None:
        """Take metrics and fields that were set in the middle of a run; the end record carries them again."""

    @hookspec
    def telemetry_run_ended(self, run: RunRecord) -> None:
        """Take a run that has ended; it may come without its start, or twice: treat it as an upsert by run id."""

    @hookspec
    def telemetry_delivery_reported(self, report: DeliveryReport) -> None:
        """Take the news that a remote sink delivered a run, or gave it up."""

    @hookspec
    def telemetry_commit_linked(self, commit: CommitLink) -> None:
        """Take a git commit that belongs to a run; the same link may come twice."""

    @hookspec
    def telemetry_flush(self, deadline_s: float) -> bool | None:
        """Bring out what is held back, within *deadline_s* seconds; return False when something is left."""

    @hookspec
    def telemetry_health(self) -> dict[str, Any] | None:
        """Return a few plain facts for `client.status()`: counts, paths, last fault. Never block."""

    @hookspec
    def telemetry_forked(self, context: SinkContext) -> None:
        """
        Start anew in a child process after fork: open own descriptors, make new locks, forget the parent's work.

        Called before anything else happens in the child; *context* has the child's writer id.
        """

    @hookspec
    def telemetry_close(self, deadline_s: float) -> None:
        """Let go of files and threads within *deadline_s* seconds; called at most once."""

    @hookspec
    def telemetry_process(self, record: Record) -> Record | None:
        """
        Return the record as it is to be stored: the same, a changed one, or None to drop it.

        Called before any sink sees the record. If it raises, the payload, metrics and texts of the record are
        replaced by a notice, so that nothing leaks past a broken redactor.
        """

    @hookspec
    def telemetry_register_commands(self, cli: click.Group) -> None:
        """Add commands to the command line."""
