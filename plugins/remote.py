"""Make a class that can take a batch to the other side a whole sink: durable delivery is forwarded to an engine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from .context import SinkContext
from .engines import load_engine
from .hookspecs import hookimpl
from .records import MetricsUpdate, RunEvent, RunRecord

__all__ = ["remote_sink"]

T = TypeVar("T", bound=type[Any])


def remote_sink(cls: T) -> T:
    """
    Give *cls* durable delivery: at least once, in order per run, fed from the journal, off the agent's thread.

    Stands under `@define(eq=False)` where there is one. The class has `deliver(batch)`, which takes a sequence of
    `Item` to the other side. It returns None when all were taken, or a mapping of key to error for those that were
    not; it raises `Retryable` when nothing was taken and that may change, `Refused` when the batch will never be
    taken: then it is split until the culprit stands alone, which goes to the dead letters. It is called in one
    thread of one process at a time.

    What else it may have, as an attribute, property or method:

    - `retry_policy`: the pauses after failed tries; 1, 2, 4 s and on to 300 s where it says nothing.
    - `kinds`: which of `run`, `event` and `metrics` it is given; `("run",)`.
    - `wants(record)`: which records of these kinds; all. Must depend on nothing but the record and the options. Where
      it raises, the record is given to `deliver()`, and the health has the fault.
    - `batch_size`: how many items `deliver` gets at once; 1.
    - `backfill`: whether it begins with the whole journal, and not with what is written from now on; False.

    Hooks and `open_outbox` that the class has itself stay. One with a `delivery` of its own is served by that.

    Raises:
        TypeError: the class has slots, so that nothing can be kept in it any more.
    """
    if hasattr(cls, "deliver") and not hasattr(cls, "delivery"):
        _compose(cls)
    for hook in _HOOKS:
        if not hasattr(cls, hook.__name__):
            setattr(cls, hook.__name__, hookimpl(hook))
    if not hasattr(cls, "open_outbox"):
        cls.open_outbox = open_outbox
    return cls


def _compose(cls: Any) -> None:
    if not cls.__dictoffset__:
        raise TypeError(f"{cls.__name__} has slots; write @remote_sink under @define(eq=False), not above it")
    # The hooks below hold nobody up. A class with hooks of its own has to make this promise by itself.
    if not hasattr(cls, "runs_inline") and not any(name.startswith("telemetry_") for name in dir(cls)):
        cls.runs_inline = True
    cls.delivery = functools.cached_property(_new_delivery)
    cls.delivery.__set_name__(cls, "delivery")
    if "event" in getattr(cls, "kinds", ()) and not hasattr(cls, "telemetry_event_logged"):
        cls.telemetry_event_logged = hookimpl(telemetry_event_logged)


def _new_delivery(self: Any) -> Any:
    """Return the delivery of this sink, as its attributes want it."""
    wanted = {argument: getattr(self, name) for name, argument in _WISHES.items() if hasattr(self, name)}
    return load_engine("delivery")(self.deliver, **wanted)


def telemetry_open(self: Any, context: SinkContext) -> None:
    """Begin to deliver."""
    self.delivery.open(context)


def telemetry_run_started(self: Any, run: RunRecord) -> None:
    """Hear of a run that began."""
    self.delivery.take(run)


def telemetry_event_logged(self: Any, event: RunEvent) -> None:
    """Hear of an event."""
    self.delivery.take(event)


def telemetry_metrics_set(self: Any, update: MetricsUpdate) -> None:
    """Hear of metrics that were set."""
    self.delivery.take(update)


def telemetry_run_ended(self: Any, run: RunRecord) -> None:
    """Hear of a run that ended."""
    self.delivery.take(run)


def telemetry_flush(self: Any, deadline_s: float) -> bool:
    """Deliver what waits; return whether nothing is left."""
    return bool(self.delivery.flush(deadline_s))


def telemetry_health(self: Any) -> dict[str, Any]:
    """Say how the delivery stands."""
    return dict(self.delivery.health())


def telemetry_forked(self: Any, context: SinkContext) -> None:
    """Start anew in the child of a fork."""
    self.delivery.forked(context)


def telemetry_close(self: Any, deadline_s: float) -> None:
    """Deliver what can be delivered quickly, and stop."""
    self.delivery.close(deadline_s)


def open_outbox(self: Any, context: SinkContext) -> Any:
    """Return the outbox of this sink, for the command line."""
    return self.delivery.open_outbox(context)


_HOOKS: tuple[Callable[..., Any], ...] = (
    telemetry_open,
    telemetry_run_started,
    telemetry_metrics_set,
    telemetry_run_ended,
    telemetry_flush,
    telemetry_health,
    telemetry_forked,
    telemetry_close,
)
_WISHES = {
    "retry_policy": "policy",
    "kinds": "kinds",
    "wants": "wants",
    "batch_size": "batch",
    "backfill": "is_backfill",
}
