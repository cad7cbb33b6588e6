"""Give a remote sink durable delivery: all that is in the journal arrives, whatever happens to this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from ...plugins.context import SinkContext
from ...plugins.lines import encode_line
from ...plugins.policies import RetryPolicy
from ...plugins.records import Record
from ...plugins.worker import Worker
from ..journal import Journal
from .border import Deliver
from .outbox import Outbox
from .places import Places
from .plan import PATIENT, Plan
from .pump import Pump
from .wants import Wants

__all__ = ["Delivery"]

_LONGEST_CLOSE_S = 2.0


def _everything(record: Record) -> bool:
    return True


class Delivery:
    """
    The delivery of one sink, which composes it and forwards its hooks; `remote_sink` writes the forwarding.

    Records come from the journal by a durable cursor, at least once and in order per run, under idempotency keys
    that stay the same over repetitions. One process per base directory delivers, in a thread of its own; the agent
    only wakes it. What is not delivered when this process ends is delivered by the next one that opens the sink.

    Args:
        deliver: takes a batch of items (record and key) to the other side. It returns None, or a mapping of key to
            error for the items that were not taken; it raises `Retryable` when nothing was taken and that may
            change, `Refused` when the batch will never be taken: then it is split until the culprit stands alone.
        policy: the pauses after failed tries; one without a cap goes on at 300 s.
        kinds: which of `run`, `event`, `metrics`, `commit`, `delivery` are delivered.
        wants: which records of these kinds; must depend on nothing but the record.
        batch: how many items `deliver` gets at once.
        is_backfill: begin with the whole journal. Else a new sink begins with what is written from now on.
        completes: give the end of a run that another process wrote with what its start says. A sink that folds the
            lines of a run by itself leaves it off.
        reports: tell the bus of each run that was taken or refused, which marks it as posted in the other stores.
        on_idle: called in the delivery's thread when nothing was left for some seconds: to let go of a connection.
    """

    def __init__(
        self,
        deliver: Deliver,
        *,
        policy: RetryPolicy = PATIENT,
        kinds: Iterable[str] = ("run",),
        wants: Callable[[Record], bool] = _everything,
        batch: int = 1,
        is_backfill: bool = False,
        completes: bool = True,
        reports: bool = True,
        on_idle: Callable[[], None] | None = None,
    ) -> None:
        wanted = Wants(frozenset(kinds), wants, completes)
        self._plan = Plan(deliver, policy, wanted, batch, is_backfill, reports, on_idle)
        self._pump: Pump | None = None
        self._worker: Worker | None = None
        self._journal: Journal | None = None

    def open(self, context: SinkContext) -> None:
        """
        Note where the journal stands, and deliver what earlier processes left; does nothing in a read-only client.

        Raises:
            OSError: the state directory cannot be written. The pump tries again by itself.
        """
        if context.is_read_only:
            return
        if context.journal_dir is None:
            self._journal = Journal(Places(context.state_dir, context.sink_name).journal)
        self._start(context)
        self.wake()

    def _start(self, context: SinkContext) -> None:
        places = Places(context.state_dir, context.sink_name)
        self._pump = Pump(self._plan, places, context)
        self._worker = Worker(self._pump.step, f"delivery-{context.sink_name}", at_end=self._pump.let_go)
        self._pump.begin()

    def take(self, record: Record) -> None:
        """Hear that *record* is in the journal; keep it first where no other sink keeps a journal."""
        if self._journal is not None:
            self._journal.append(encode_line(record))
        if record in self._plan.wants:
            self.wake()

    def wake(self) -> None:
        """Deliver soon; costs the caller 0.2 us while the delivery pauses, 6 us while it works."""
        # While the API is down the thread sleeps between tries, and waking it for each run would only cost.
        if self._pump is not None and self._worker is not None and self._pump.hear():
            self._worker.wake()

    def flush(self, deadline_s: float) -> bool:
        """
        Deliver what is in the journal now; return whether all of it was within *deadline_s* seconds.

        Cuts our own pauses short, not those that the other side asked for.
        """
        return self._wait(deadline_s, is_hurried=True, is_patient=True)

    def _wait(self, deadline_s: float, *, is_hurried: bool, is_patient: bool) -> bool:
        if self._pump is None or self._worker is None:
            return True
        question = self._pump.progress.ask(is_hurried=is_hurried)
        # No thread starts while the interpreter shuts down; what is left is for the next process.
        return self._worker.wake() and self._pump.progress.wait(question, deadline_s, is_patient=is_patient)

    def health(self) -> dict[str, Any]:
        """Return how it stands, without a look at the disk."""
        if self._pump is None:
            return {}
        pump = self._pump
        return {
            "posted": pump.ledger.delivered,
            "refused": pump.ledger.refused,
            "aside": pump.ledger.aside.count,
            "is_leading": pump.is_leading,
            "fault": pump.fault or self._plan.wants.fault,
            "retry_in_s": round(max(0.0, pump.rests_until - time.monotonic()), 1),
        }

    def forked(self, context: SinkContext) -> None:
        """Start anew in the child of a fork: the parent goes on with what it had begun."""
        if self._pump is None:
            return
        if self._journal is not None:
            self._journal.after_fork()
        self._start(context)

    def close(self, deadline_s: float) -> None:
        """
        Deliver what is pending, within *deadline_s* and 2 seconds, then stop.

        A request that hangs is left to its thread, which dies with the process. What failed a moment ago is not
        tried again: the next process does that.
        """
        if self._pump is None or self._worker is None or self._pump.is_closed:
            return
        end = time.monotonic() + min(deadline_s, _LONGEST_CLOSE_S)
        self._wait(end - time.monotonic(), is_hurried=False, is_patient=False)
        self._pump.is_closed = True
        self._worker.close(max(0.0, end - time.monotonic()))
        if self._journal is not None:
            self._journal.close()

    def open_outbox(self, context: SinkContext) -> Outbox:
        """Return what there is to see and do about this delivery from outside, whether it is open or not."""
        plan = self._plan
        return Outbox(context, plan.wants, plan.reports, plan.is_backfill)
