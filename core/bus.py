"""Carry each record from the client through the processors to every sink, one guarded pluggy gate per sink."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from attrs import define, field

from ..plugins.complaints import Complaints
from ..plugins.context import SinkContext
from ..plugins.ids import new_writer_id
from ..plugins.records import DeliveryReport, Record, RunEvent
from .attached import Attached
from .background import Task, wait_for
from .losses import Losses
from .outcome import COMPLETE, DROPPED, Delivery
from .plugs import Plugs, Processor
from .redact import Redactor
from .routes import Route, Routes, kind_of, routes_to
from .seal import replaced_by_notice, sealed
from .shield import attempt

__all__ = ["Bus"]

_complaints = Complaints(logging.getLogger("telemetry.bus"))


_JOURNAL_S = 0.2  # the journal's share of close(), also when other sinks have used up the rest


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
    _plugs: Plugs = field(factory=Plugs)
    _attached: Attached = field(default=attrs.Factory(lambda self: Attached(self._plugs), takes_self=True))
    # Without sinks it has no routes, so the first record after close() finds none and opens the sinks again.
    _routes: Routes = field(factory=dict)
    _parting: Routes | None = None
    _reviver: int | None = None
    _closer: int | None = None
    _late: list[Record] = field(factory=list)
    _processors: tuple[tuple[str, Processor], ...] = ()
    _journals: tuple[str, ...] = ()
    # Re-entrant, both: a signal handler may log, or close the client, while close() is under way.
    _turn: Any = field(factory=threading.RLock)
    _closing: Any = field(factory=threading.RLock)
    losses: Losses = field(factory=Losses)
    _drops: Any = field(factory=lambda: itertools.count(1))
    dropped: int = 0
    revive: Callable[[], None] | None = None

    def attach(self, name: str, sink: object, context: SinkContext) -> None:
        """
        Register *sink* under *name* and open it; it gets every record from now on.

        Raises:
            PluginError: the sink has a hook or a hook argument that is not in the contract, or the name is taken.
        """
        self._attached.add(name, sink, context)
        if hasattr(sink, "journal_directory") and name not in self._journals:
            self._journals = (*self._journals, name)
        # The routes come last: a sink must not see a record before it is open, nor go without one that another thread
        # publishes while the sinks are opened again one by one.
        if self._reviver is None:
            self._build_routes()

    def register(self, name: str, plugin: object) -> None:
        """
        Register a plugin that is no sink: its processors apply from now on.

        Raises:
            PluginError: as for `attach()`.
        """
        self._plugs.add(name, plugin)
        self._build_routes()

    def public_text(self, name: Any) -> str:
        """Return the name of an agent as it may stand in an id: without secrets, whose shape the id would break."""
        if not issubclass(type(name), str):
            return "agent"
        return name if self.redactor is None else self.redactor.text(name)

    def stamp(self) -> tuple[str, int | None]:
        """
        Return writer id and the next sequence number, for the record that is published next.

        Where there are processors, one of which may drop the record, the number is None and drawn behind them: a
        number that no record has looks like a loss.
        """
        # next() is atomic, so two threads never get one number.
        return self.writer, None if self._processors else next(self._numbers)

    def publish(self, record: Record, *, is_clean: bool = False) -> Delivery:
        """
        Process *record* and hand it to every sink that takes its kind; never raises for what a plugin does.

        Args:
            is_clean: it is sealed, and known to hold nothing that the redactor would change.
        """
        processed = record if is_clean else self._redacted(sealed(record))
        if self._processors:
            changed = self._processed(processed)
            if changed is None:
                return self._drop()
            processed = self._numbered(changed, record.seq)
        delivery = self._dispatch(processed)
        if delivery.failed or self.losses.waiting:
            self._account(processed, delivery)
        return delivery

    def _account(self, record: Record, delivery: Delivery) -> None:
        # Only the journal's refusal is a loss: every other store catches up with it.
        journal = next(iter(self._journals), None)
        if journal is None:
            return
        if journal in delivery.failed:
            self.losses.note(record, self._attached.last_error(journal))
        elif self.losses.waiting:
            self._write_down(self.losses.report("telemetry_records_lost"))

    def _write_down(self, event: RunEvent | None, routes: tuple[Route, ...] | None = None) -> None:
        if event is not None:
            self._dispatch(sealed(self._numbered(event)), routes)

    def _numbered(self, record: Record, seq: int | None = None) -> Record:
        return attrs.evolve(record, writer=self.writer, seq=next(self._numbers) if seq is None else seq)

    def report(self, report: DeliveryReport) -> None:
        """Publish the news of a delivery, stamped as a record of this writer; what sinks get as `context.report`."""
        writer, seq = self.stamp()
        self.publish(attrs.evolve(report, writer=writer, seq=seq))

    def _dispatch(self, record: Record, routes: tuple[Route, ...] | None = None) -> Delivery:
        failed: tuple[str, ...] = ()
        behind: tuple[Task, ...] = ()
        for name, deliver, act in self._routes_of(record) if routes is None else routes:
            taken = deliver(act, record)
            if taken is True:
                continue
            if taken is False:
                failed = (*failed, name)
            else:
                behind = (*behind, taken)
        if behind:
            wait_for(behind)
        return Delivery(failed) if failed else COMPLETE

    def _routes_of(self, record: Record) -> tuple[Route, ...]:
        routes = self._routes.get(kind_of(record))
        return self._reopened(record) if routes is None else routes

    def _reopened(self, record: Record) -> tuple[Route, ...]:
        # A record from an atexit handler or a __del__ after close(): it was logged, so it must not be lost.
        with self._turn:
            if self._parting is not None:
                # Only a signal handler gets here, which interrupts the very closing: the journal still takes a record.
                return self._parting.get(kind_of(record), ())
            if self._reviver is not None:
                self._late.append(record)  # a handler again; what it interrupted brings the record out at its end
                return ()
            # Looked at once: a signal handler may close everything again before a second look, and the record would
            # find no way. A journal that was closed opens again for it.
            return (self._routes or self._revive()).get(kind_of(record), ())

    def _revive(self) -> Routes:
        self._reviver = threading.get_ident()
        try:
            if self.revive is not None:
                self.revive()
            self._build_routes()
            routes = self._routes
        finally:
            self._reviver = None
        late, self._late = self._late, []
        for record in late:
            self._dispatch(record)
        return routes

    def _drop(self) -> Delivery:
        self.dropped = next(self._drops)
        return DROPPED

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

    def _build_routes(self, leaving: Iterable[str] = ()) -> None:
        gates = {name: gate for name, gate in self._attached.gates.items() if name not in leaving}
        self._routes = routes_to(gates, self._plugs)
        self._processors = self._plugs.processors()

    def flush(self, deadline_s: float) -> bool:
        """Ask every sink to bring out what it holds, within *deadline_s* seconds in all; return whether all did."""
        is_done = self._attached.flush(time.monotonic() + deadline_s)
        self._write_losses_down()
        return is_done

    def health(self) -> dict[str, dict[str, Any]]:
        """Return, for each sink, its counts and what it says of itself; waits for none longer than 50 ms."""
        return self._attached.health()

    @property
    def given_up(self) -> dict[str, int]:
        """How many records each sink was never given or did not answer for, by its name; also of closed ones."""
        return self._attached.given_up()

    def give_up(self) -> None:
        """Write down what sinks still have queued, as the process is about to end."""
        self._attached.give_up()
        self._write_losses_down()

    def _write_losses_down(self) -> None:
        if self._journals:
            # Not to those that may hang: they would not take this either, without end.
            at_once = tuple(route for route in self._routes.get(RunEvent, ()) if self._attached.is_inline(route[0]))
            for event in self._attached.losses():
                self._write_down(event, at_once)

    def close(self, deadline_s: float) -> None:
        """Close every sink, within *deadline_s* seconds in all; the journals last, for what the others report."""
        end, me = time.monotonic() + deadline_s, threading.get_ident()
        if me in (self._closer, self._reviver):
            return  # a signal handler's, in the midst of it
        with self._closing:
            self._closer = me
            try:
                self._close(end)
            finally:
                self._closer = None

    def _close(self, end: float) -> None:
        with self._turn:
            others = [name for name in self.sink_names if name not in self._journals]
            if self._routes:
                self._build_routes(leaving=others)
        self._attached.close(others, end)
        self._write_losses_down()
        self._close_journals(max(end, time.monotonic() + _JOURNAL_S))

    def _close_journals(self, until: float) -> None:
        # From here on other threads that log wait for the end of this, and open the sinks again.
        with self._turn:
            self._parting, self._routes = self._routes, {}
            try:
                self._attached.close(self.sink_names, until)
            finally:
                self._parting, self._routes, self._journals = None, {}, ()

    def renew_after_fork(self) -> None:
        """Become a writer of its own in the child of a fork, and let every sink start anew."""
        self.writer = new_writer_id()
        self._numbers = itertools.count(1)
        self._turn, self._closing, self._parting = threading.RLock(), threading.RLock(), None
        self._reviver = self._closer = None
        self.losses = Losses()
        self._attached.renew_after_fork(self.writer)

    @property
    def sink_names(self) -> tuple[str, ...]:
        """The names of the attached sinks, in the order of their attachment."""
        return tuple(self._attached.gates)
