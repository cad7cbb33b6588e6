"""Drive one sink as the bus does, but let out whatever it raises."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
from attrs import define, field

from ...core.plugs import Plugs
from ...plugins.commit_link import CommitLink
from ...plugins.context import SinkContext
from ...plugins.lines import encode_line
from ...plugins.records import DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from ...sinks.journal import Journal
from .samples import Samples

__all__ = ["CLOSE_S", "FLUSH_S", "Driver", "context_in", "hook_of", "takes", "timed"]

FLUSH_S = 20.0
CLOSE_S = 10.0
_NAME = "it"
_HOOKS: Mapping[type, tuple[str, str]] = MappingProxyType(
    {
        RunEvent: ("telemetry_event_logged", "event"),
        MetricsUpdate: ("telemetry_metrics_set", "update"),
        DeliveryReport: ("telemetry_delivery_reported", "report"),
        CommitLink: ("telemetry_commit_linked", "commit"),
    }
)


def hook_of(record: Record) -> tuple[str, str]:
    """Return the hook that takes *record*, and the name of its argument."""
    if isinstance(record, RunRecord):
        return ("telemetry_run_started" if record.is_running else "telemetry_run_ended"), "run"
    return _HOOKS[type(record)]


def takes(sink: object, hook: str) -> bool:
    """Whether *sink* implements *hook*."""
    return getattr(getattr(sink, hook, None), "telemetry_impl", None) is not None


def context_in(base: Path, writer: str, *, has_journal: bool = False, is_read_only: bool = False) -> SinkContext:
    """Return the context of a sink in the base directory *base*."""
    return SinkContext(
        sink_name=_NAME,
        base_dir=base,
        ndjson_dir=base / "raw",
        journal_dir=base / "raw" if has_journal else None,
        database_path=base / "db" / "telemetry.sqlite",
        writer=writer,
        is_read_only=is_read_only,
    )


@define(eq=False)
class Driver:
    """
    One sink in one base directory.

    Args:
        sink: not opened yet.
        base: the base directory.
        has_journal: a journal is kept beside the sink, as in every set-up of a user's; its line is written first.
    """

    sink: Any
    base: Path
    has_journal: bool = False
    samples: Samples = field(factory=Samples)
    is_open: bool = field(default=False, init=False)
    _plugs: Plugs = field(factory=Plugs, init=False)
    _journal: Journal | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        """Register the sink; raises PluginError for a hook or an argument that is not in the contract."""
        self._plugs.add(_NAME, self.sink)
        if self.has_journal and not hasattr(self.sink, "journal_directory"):
            self._journal = Journal(self.base / "raw", fsync="never")

    @property
    def context(self) -> SinkContext:
        """What the sink is opened with."""
        return context_in(self.base, self.samples.writer, has_journal=self.has_journal)

    def open(self) -> None:
        """Open the sink."""
        self.is_open = True
        self._call("telemetry_open", "context", self.context)

    def give(self, *records: Record) -> None:
        """Hand *records* to the sink, one after the other; a kind that it has no hook for goes to the journal alone."""
        for record in records:
            if self._journal is not None:
                self._journal.append(encode_line(record))
            hook, argument = hook_of(record)
            if takes(self.sink, hook):
                self._plugs.act(_NAME, hook, argument)(record)

    def flush(self, deadline_s: float = FLUSH_S) -> Any:
        """Flush; return what the sink says, None when it says nothing."""
        return self._call("telemetry_flush", "deadline_s", deadline_s)

    def health(self) -> Any:
        """Return what the sink tells of itself."""
        return self._call("telemetry_health", None, None)

    def forked(self) -> None:
        """Tell the sink that it is in the child of a fork now, where it has another writer."""
        self.samples = self.samples.of_another_writer()
        if self._journal is not None:
            self._journal.after_fork()
        self._call("telemetry_forked", "context", self.context)

    def close(self, deadline_s: float = CLOSE_S) -> None:
        """Close the sink."""
        self.is_open = False
        self._call("telemetry_close", "deadline_s", deadline_s)
        if self._journal is not None:
            self._journal.close()

    def finish(self) -> None:
        """Bring everything out, and close."""
        self.flush()
        self.close()

    def beside(self, sink: Any, base: Path | None = None) -> Driver:
        """Return a driver of another sink, which is opened here or elsewhere."""
        return attrs.evolve(self, sink=sink, base=base or self.base, samples=self.samples.of_another_writer())

    def _call(self, hook: str, argument: str | None, value: Any) -> Any:
        if not takes(self.sink, hook):
            return None
        results = self._plugs.caller(_NAME, hook, argument)(value)
        return results[0] if results else None


def timed(call: Any, *args: Any) -> tuple[Any, float]:
    """Return what *call* returns, and how many seconds it took."""
    began = time.monotonic()
    return call(*args), time.monotonic() - began
