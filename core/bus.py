"""Carry each record from the client through the processors to every sink, one guarded pluggy gate per sink."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from attrs import define, field, frozen

from ..plugins.commit_link import CommitLink
from ..plugins.complaints import Complaints
from ..plugins.context import SinkContext
from ..plugins.ids import new_writer_id
from ..plugins.records import DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord
from .gates import BackgroundGate, Gate
from .losses import Losses
from .plugs import Plugs, Processor
from .redact import Redactor
from .seal import replaced_by_notice, sealed
from .shield import attempt

__all__ = ["Bus", "Delivery"]

Route = tuple[str, Callable[[Callable[[Any], Any], Any], bool], Callable[[Any], Any]]
_complaints = Complaints(logging.getLogger("telemetry.bus"))
_HOOK_OF = {
    "started": ("telemetry_run_started", "run"),
    "ended": ("telemetry_run_ended", "run"),
    RunEvent: ("telemetry_event_logged", "event"),
    MetricsUpdate: ("telemetry_metrics_set", "update"),
    DeliveryReport: ("telemetry_delivery_reported", "report"),
    CommitLink: ("telemetry_commit_linked", "commit"),
}


@frozen
class Delivery:
    """
    What became of one record: the sinks that did not take it, and whether a processor dropped it.

    A sink with a thread of its own counts as having taken what it queued.
    """

    failed: tuple[str, ...] = ()
    is_dropped: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether every sink took the record."""
        return not self.failed and not self.is_dropped


_COMPLETE = Delivery()
_DROPPED = Delivery(is_dropped=True)


@define(eq=False)
class Bus:
    """
    The way of every record: redact, process, stamp, hand to each sink.

    The bus knows nothing of files, locks, retries or HTTP; a sink that fails stops neither the others nor the agent.

    Args:
        redactor: the first processor; None leaves records as they are.
        revive: attaches the sinks again when a record comes after `close()`.
    """

    redactor: Redactor | None = None
    writer: str = field(factory=new_writer_id)
    _numbers: Any = field(factory=lambda: itertools.count(1))
    _returned: list[int] = field(factory=list)
    _plugs: Plugs = field(factory=Plugs)
    _gates: dict[str, Gate] = field(factory=dict)
    _contexts: dict[str, SinkContext] = field(factory=dict)
    _routes: dict[Any, tuple[Route, ...]] = field(factory=dict)
    _processors: tuple[tuple[str, Processor], ...] = ()
    _journal: str | None = None
    _is_closed: bool = False
    losses: Losses = field(factory=Losses)
    dropped: int = 0
    revive: Callable[[], None] | None = None

    def attach(self, name: str, sink: object, context: SinkContext) -> None:
        """
        Register *sink* under *name* and open it; it gets every record from now on.

        Raises:
            PluginError: the sink has a hook or a hook argument that is not in the contract, or the name is taken.
        """
        self.register(name, sink)
        gate = Gate(name) if getattr(sink, "runs_inline", False) else BackgroundGate(name)
        if self._journal is None and hasattr(sink, "journal_directory"):
            self._journal = name
        self._gates[name] = gate
        self._contexts[name] = context
        # The routes come last: a sink must not see a record before it is open.
        if not gate.guard.call(self._plugs.caller(name, "telemetry_open", "context"), context):
            gate.guard.delivered = 0
        self._build_routes()

    def register(self, name: str, plugin: object) -> None:
        """
        Register a plugin that is no sink: its processors apply from now on.

        Raises:
            PluginError: as for `attach()`.
        """
        self._plugs.add(name, plugin)
        self._build_routes()

    def detach(self, name: str, deadline_s: float = 1.0) -> None:
        """Close the sink of this name and give it no more records."""
        gate = self._gates.pop(name)
        gate.close(deadline_s)
        gate.guard.call(self._plugs.caller(name, "telemetry_close", "deadline_s"), deadline_s)
        self._plugs.remove(name)
        self._build_routes()

    def public_text(self, name: Any) -> str:
        """Return the name of an agent as it may stand in an id: without secrets, whose shape the id would break."""
        if not issubclass(type(name), str):
            return "agent"
        return name if self.redactor is None else self.redactor.text(name)

    def stamp(self) -> tuple[str, int]:
        """Return writer id and the next sequence number, for the record that is published next."""
        # pop() and next() are atomic, so two threads never get one number.
        if self._returned:
            try:
                return self.writer, self._returned.pop()
            except IndexError:
                pass  # another thread was quicker
        return self.writer, next(self._numbers)

    def take_back(self, seq: int) -> None:
        """Give the number *seq* to the next record: a gap in the numbers means a loss, and this is none."""
        self._returned.append(seq)

    def publish(self, record: Record, *, is_clean: bool = False) -> Delivery:
        """
        Process *record* and hand it to every sink that takes its kind; never raises for what a plugin does.

        Args:
            is_clean: it is sealed, and known to hold nothing that the redactor would change.
        """
        if self._is_closed:
            self._reopen()
        processed = self._processed(record if is_clean else self._redacted(sealed(record)))
        if processed is None:
            return self._drop(record)
        delivery = self._dispatch(processed)
        if delivery.failed or self.losses.waiting:
            self._account(processed, delivery)
        return delivery

    def _account(self, record: Record, delivery: Delivery) -> None:
        # Only the journal's refusal is a loss: every other store catches up with it.
        if self._journal is None:
            return
        if self._journal in delivery.failed:
            self.losses.note(record, self._gates[self._journal].guard.last_error)
        elif self.losses.waiting:
            self._dispatch(sealed(self.losses.report(*self.stamp())))

    def report(self, report: DeliveryReport) -> None:
        """Publish the news of a delivery, stamped as a record of this writer; what sinks get as `context.report`."""
        writer, seq = self.stamp()
        self.publish(attrs.evolve(report, writer=writer, seq=seq))

    def _reopen(self) -> None:
        # A record from an atexit handler or a __del__ after close(): it was logged, so it must not be lost.
        self._is_closed = False
        if self.revive is not None:
            self.revive()

    def _dispatch(self, record: Record) -> Delivery:
        kind: Any = type(record)
        if isinstance(record, RunRecord):
            kind = "started" if record.is_running else "ended"
        failed: tuple[str, ...] = ()
        for name, deliver, act in self._routes.get(kind, ()):
            if not deliver(act, record):
                failed = (*failed, name)
        return Delivery(failed) if failed else _COMPLETE

    def _drop(self, record: Record) -> Delivery:
        self.dropped += 1
        if record.seq is not None and record.writer == self.writer:
            self.take_back(record.seq)
        return _DROPPED

    def _redacted(self, record: Record) -> Record:
        if self.redactor is None:
            return record
        return self._one_step("redact", self.redactor, record) or record

    def _processed(self, record: Record) -> Record | None:
        for name, processor in self._processors:
            result = self._one_step(name, processor, record)
            if result is None:
                return None
            record = sealed(result, anew=True)
        return record

    def _one_step(self, name: str, processor: Processor, record: Record) -> Record | None:
        result, failure = attempt(processor, record)
        if failure is None and (result is None or type(result) is type(record)):
            return result
        reason = type(failure).__name__ if failure is not None else f"returned {type(result).__name__}"
        _complaints.say(
            f"{name}:{reason}", "processor %s failed (%s); the record is kept without its content", name, reason
        )
        return replaced_by_notice(record, name, reason)

    def _build_routes(self) -> None:
        self._routes = {
            kind: tuple(
                (name, gate.way, self._plugs.act(name, hook, argument))
                for name, gate in self._gates.items()
                if self._plugs.has(name, hook)
            )
            for kind, (hook, argument) in _HOOK_OF.items()
        }
        self._processors = self._plugs.processors()

    def flush(self, deadline_s: float) -> bool:
        """Ask every sink to bring out what it holds, within *deadline_s* seconds in all; return whether all did."""
        end = time.monotonic() + deadline_s
        is_done = True
        for name, gate in self._gates.items():
            is_done &= gate.drain(_left(end))
            is_done &= self._ask(name, gate, "telemetry_flush", "deadline_s", _left(end)) is not False
        return is_done

    def _ask(self, name: str, gate: Gate, hook: str, argument: str | None, value: Any) -> Any:
        """Call a hook in the caller's thread and return its first result, None when it has none or fails."""
        results: list[Any] = []
        if self._plugs.has(name, hook):
            gate.guard.call(lambda _: results.extend(self._plugs.caller(name, hook, argument)(value)), value)
            gate.guard.delivered -= 1
        return results[0] if results else None

    def health(self) -> dict[str, dict[str, Any]]:
        """Return, for each sink, its counts and what it says of itself."""
        facts = {}
        for name, gate in self._gates.items():
            own = self._ask(name, gate, "telemetry_health", None, None)
            facts[name] = {**gate.facts(), **(own if isinstance(own, dict) else {})}
        return facts

    def close(self, deadline_s: float) -> None:
        """Close every sink, within *deadline_s* seconds in all."""
        end = time.monotonic() + deadline_s
        for name in list(self._gates):
            self.detach(name, _left(end))
        self._is_closed, self._journal = True, None

    def renew_after_fork(self) -> None:
        """Become a writer of its own in the child of a fork, and let every sink start anew."""
        self.writer = new_writer_id()
        self._numbers = itertools.count(1)
        self._returned = []
        self.losses = Losses()
        for name, gate in self._gates.items():
            if isinstance(gate, BackgroundGate):
                gate.renew()
            self._contexts[name] = attrs.evolve(self._contexts[name], writer=self.writer)
            self._ask(name, gate, "telemetry_forked", "context", self._contexts[name])

    @property
    def sink_names(self) -> Iterable[str]:
        """The names of the attached sinks, in the order of their attachment."""
        return tuple(self._gates)


def _left(end: float) -> float:
    return max(0.0, end - time.monotonic())
