"""Give agents their few calls: each returns when its record is safe, none raises, none waits for a store."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..plugins.changing import filled
from ..plugins.ids import generate_run_id, get_iso8601_timestamp
from ..plugins.mend import Complaint
from ..plugins.merge import placeholder
from ..plugins.records import MetricsUpdate, RunEvent, RunRecord
from . import lifecycle, parting
from .intake import Intake, Settings
from .live import LiveRun, LiveRuns
from .machine import host
from .ownership import Ownership
from .quick_look import QuickLook
from .shield import any_run_id, attempt, border, nothing
from .snapshot import snapshot
from .stored import StoredRuns
from .tracking import RunContext, Tracking, parent_of

if TYPE_CHECKING:
    from .config import TelemetryConfig
    from .wiring import Setup

__all__ = ["RunContext", "TelemetryClient"]


class TelemetryClient(StoredRuns):
    """
    Record runs, events and metrics of agents.

    Building it and calling it never raises (strict mode aside): bad input is accepted, annotated and warned of. A
    call that has returned is on disk (journal, `fsync = "always"`). Safe in threads, asyncio, after fork, in signal
    handlers. One client a process is enough; several may share one base directory.

    Args:
        config: the configuration; from environment and file when left out.
        sinks: ready sinks by name, used instead of the configured ones: for tests and embedding.
        overrides: fields of `TelemetryConfig` that win over environment and file.
    """

    def __init__(
        self, config: TelemetryConfig | None = None, *, sinks: Mapping[str, object] | None = None, **overrides: Any
    ) -> None:
        from .wiring import set_up

        parting.make_room()
        self._setup: Setup = set_up(config, sinks, overrides)
        self.config: TelemetryConfig = self._setup.config
        self.is_strict: bool = bool(self.config.strict)
        self._bus = self._setup.bus
        self._intake = Intake(self.is_strict)
        self._look = QuickLook(self._bus.redactor)
        self._runs = LiveRuns()
        self._ownership = Ownership(self._setup.state_dir, self._bus, self._setup.open_store)
        super().__init__(self._setup.open_store, self._ownership.judge, self._setup.delivers)
        self._ownership.look()
        self._belongings = parting.Belongings(self._setup, self._ownership, self._runs, owns_sinks=sinks is None)
        lifecycle.register(self, self._belongings)

    @border(otherwise=any_run_id)
    def start_run(
        self,
        /,
        agent_name: str,
        job_type: str | None = None,
        trigger_type: str = "cli",
        *,
        run_id: str | None = None,
        parent_run_id: str | None = None,
        **fields: Any,
    ) -> str:
        """
        Record that a run begins and return its id.

        Args:
            agent_name: who runs.
            job_type: what kind of work.
            trigger_type: cli, web, scheduler, mcp or manual.
            run_id: an id of your own; made from time and agent when left out.
            parent_run_id: the run that this one is part of; the current one when left out.
            fields: further fields of `RunRecord`; unknown ones are kept in its `attributes`.
        """
        self._ownership.take()
        start_time = get_iso8601_timestamp()
        if run_id is None:
            run_id = generate_run_id(self._bus.public_text(agent_name), start_time)
        run_id = self._intake.text("run_id", run_id)
        self._warn_of_namesake(run_id)
        own = {"agent_name": agent_name, "job_type": job_type, "trigger_type": trigger_type, "run_id": run_id}
        own["parent_run_id"] = parent_of(run_id) if parent_run_id is None else parent_run_id
        run = self._start_record(start_time, {**fields, **own})
        self._runs.add(LiveRun(run, is_told=run.start_time != start_time))
        self._bus.publish(run)
        return run.run_id

    def _start_record(self, start_time: str, given: dict[str, Any]) -> RunRecord:
        said = {"start_time": start_time, "agent_owner": self.config.agent_owner, "host": host(), "status": "running"}
        run = self._intake.run(said, given)
        # Only now, when nothing can refuse it any more: a number that no record has would look like a loss.
        writer, seq = self._bus.stamp()
        return filled(run, {"writer": writer, "seq": seq})

    @border(otherwise=nothing)
    def log_event(self, run_id: str, event_type: str, payload: Any = None) -> None:
        """
        Record that something happened in a run.

        Args:
            run_id: of any run, also one of another process.
            event_type: what happened, in a word.
            payload: any object; what JSON cannot say is converted and the change named in the record.
        """
        is_known = self._look.knows(run_id, event_type) and self._runs.get(run_id) is not None
        sealed: tuple[Any, bytes] | None = attempt(self._look.sealed, payload)[0] if is_known else None
        if sealed is None:
            return self._log_unusual(run_id, event_type, payload)
        event = RunEvent.sealed(run_id, event_type, get_iso8601_timestamp(), *sealed, *self._bus.stamp())
        self._bus.publish(event, is_clean=True)

    def _log_unusual(self, run_id: Any, event_type: Any, payload: Any) -> None:
        run_id = self._intake.text("run_id", run_id)
        event_type = self._intake.text("event_type", event_type)
        if self._runs.get(run_id) is None:
            self._warn_of_stranger(run_id, "event", event_type)
        value, text, coerced = snapshot(payload)
        writer, seq = self._bus.stamp()
        timestamp = get_iso8601_timestamp()
        self._bus.publish(RunEvent(run_id, event_type, timestamp, value, writer, seq, coerced, payload_bytes=text))

    @border(otherwise=nothing)
    def set_metrics(self, run_id: str | None = None, table: Mapping[str, Any] | None = None, /, **metrics: Any) -> None:
        """
        Set metrics of a run, and known fields of its record (`items_*`, `*_summary`, `product`, `git_*`, ...).

        By keyword, or as a *table*, or both. What is set is in the journal when this returns. `metrics_json`, text or
        mapping, is merged into the metrics.
        """
        # By position, so that a metric may have any name; by its own name only where there is no other.
        run_id = self._intake.text("run_id", metrics.pop("run_id", None) if run_id is None else run_id)
        settings = self._intake.metrics(self._intake.together(table, metrics))
        live = self._runs.get(run_id)
        if live is None:
            self._warn_of_stranger(run_id, "metrics", ", ".join((*settings.fields, *settings.metrics)))
        else:
            live.take(settings)
        given = (settings.metrics, settings.fields, *self._bus.stamp(), settings.coerced, settings.attributes)
        self._bus.publish(MetricsUpdate(run_id, get_iso8601_timestamp(), *given))

    @border(otherwise=nothing)
    def increment(self, run_id: str, name: str, by: float = 1) -> None:
        """Add *by* to a metric or to one of the `items_*` counts of a run that this client has started."""
        run_id, name = self._intake.text("run_id", run_id), self._intake.text("metric", name)
        amount, live = self._intake.amount(by), self._runs.get(run_id)
        if live is None or amount is None:
            return self.log_event(run_id, "increment", {"name": name, "by": by})
        with live.lock:
            self.set_metrics(run_id, **{name: live.increment(name, amount)})

    @border(otherwise=nothing)
    def end_run(self, /, run_id: str, status: str = "success", **fields: Any) -> None:
        """
        Record that a run has ended.

        Args:
            run_id: a second end of the same run is kept as an event; the first one wins.
            status: success, failed or partial; other words are translated and kept in `status_detail`.
            fields: as for `set_metrics()`; unknown ones are kept in `attributes`.
        """
        run_id = self._intake.text("run_id", run_id)
        settings = self._intake.ending(fields)
        word = self._intake.status(status, settings)
        live = self._runs.end(run_id)
        if live is None:
            self._end_elsewhere(run_id, word, settings)
            return
        live.take(settings)
        self._bus.publish(live.ended(word, *self._bus.stamp()))

    @border(otherwise=nothing)
    def _end_tracked(self, run_id: str, **ending: Any) -> None:
        # Inside its block a run may have been ended by hand, with a status of its own; that one stands.
        if self._runs.get(run_id) is not None:
            self.end_run(run_id, **ending)

    @border(otherwise=lambda self, *args, **kwargs: Tracking(self, None, None, "cli", {}))
    def track_run(
        self, /, agent_name: str, job_type: str | None = None, trigger_type: str = "cli", **fields: Any
    ) -> Tracking:
        """
        Return a context manager (also `async with`, also a decorator) around a run; it yields a `RunContext`.

        The run ends as success, or as failed with the exception's text when one passes, which is raised on.
        """
        return Tracking(self, agent_name, job_type, trigger_type, fields)

    @border(otherwise=nothing)
    def associate_commit(self, /, run_id: str, commit_hash: str | None = None, **details: Any) -> None:
        """
        Link a git commit with a run.

        Args:
            run_id: the run that made or used the commit.
            commit_hash: read from the git repository in the working directory when left out, details included.
            details: agent_name, repo, branch, commit_date, author, message, files_changed, insertions, deletions.
        """
        from .commits import commit_link

        link = commit_link(self._intake, self._bus.stamp, run_id, commit_hash, details)
        if link is not None:
            self._bus.publish(link)

    @border(otherwise=lambda *args, **kwargs: False)
    def flush(self, timeout_s: float = 5.0) -> bool:
        """Bring everything out that sinks still hold, within *timeout_s* seconds; return whether that was done."""
        return self._bus.flush(timeout_s)

    @border(otherwise=lambda *args, **kwargs: {"sinks": {}, "faults": []})
    def status(self) -> dict[str, Any]:
        """Return how the telemetry itself is: writer, runs under way, configuration faults, each sink's counts."""
        return {
            "writer": self._bus.writer,
            "open_runs": len(self._runs),
            "is_disabled": bool(self.config.disabled),
            "lost": self._bus.losses.total,
            "given_up": self._bus.given_up,
            "dropped_by_processors": self._bus.dropped,
            "faults": list(self._setup.faults),
            "sinks": self._bus.health(),
        }

    @border(otherwise=nothing)
    def close(self, timeout_s: float = 2.0) -> None:
        """Let go of files and threads within *timeout_s* seconds; records that come later open them again."""
        end = time.monotonic() + timeout_s
        if not len(self._runs):
            self._ownership.leave(has_open_runs=False)
        self._ownership.close(timeout_s)
        self._close_store()
        self._setup.close(max(0.0, end - time.monotonic()))

    def __enter__(self) -> TelemetryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forked(self) -> None:
        """Start anew in the child of a fork: the parent's runs stay the parent's."""
        self._forget_store()
        self._belongings.forked()

    def _exiting(self, deadline_s: float) -> None:
        """Bring out what is held back and leave word; not closed, for other exit handlers may still log."""
        self.flush(deadline_s)
        self._bus.give_up()
        self._ownership.leave(has_open_runs=len(self._runs) > 0)

    def _warn_of_namesake(self, run_id: str) -> None:
        if self._runs.get(run_id) is not None:
            self._intake.warn(Complaint("run_id", run_id, "a run of this id is under way; both go into one record"))
        elif self._runs.has_ended(run_id):
            self._intake.warn(Complaint("run_id", run_id, "a run of this id has ended; its first end stands"))

    def _warn_of_stranger(self, run_id: str, what: str, detail: str) -> None:
        if self._ownership.is_inherited(run_id):
            return
        done = f"{what} {detail!r} is kept"
        if self._runs.has_ended(run_id):
            self._intake.warn(Complaint("run_id", run_id, f"this run has ended; {done}"))
        elif run_id != os.environ.get("TELEMETRY_RUN_ID"):
            self._intake.warn(Complaint("run_id", run_id, f"no run of this id was started here; {done}"))

    def _end_elsewhere(self, run_id: str, status: str, settings: Settings) -> None:
        if self._runs.has_ended(run_id):
            self._intake.warn(Complaint("run_id", run_id, "this run has ended; the second end is kept as an event"))
            given = {**settings.attributes, **settings.metrics, **settings.fields, "status": status}
            self.log_event(run_id, "run_ended_again", given)
            return
        if run_id != os.environ.get("TELEMETRY_RUN_ID") and not self._ownership.is_inherited(run_id):
            self._intake.warn(Complaint("run_id", run_id, "no run of this id was started here; its end is kept"))
        live = LiveRun(placeholder(run_id, get_iso8601_timestamp()))
        # The stores know the start and work out the duration; the id tells it to the second only.
        live.fields["duration_ms"] = None
        live.take(settings)
        self._bus.publish(live.ended(status, *self._bus.stamp()))

    @property
    def base_dir(self) -> Path:
        """Where the files of this client lie."""
        return Path(self.config.metrics_dir)
