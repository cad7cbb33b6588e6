"""Forward the hooks of a remote sink to its delivery, so that its author need not write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...plugins.context import SinkContext
from ...plugins.hookspecs import hookimpl
from ...plugins.records import MetricsUpdate, RunRecord
from .outbox import Outbox

__all__ = ["remote_sink"]

T = TypeVar("T", bound=type[Any])


def remote_sink(cls: T) -> T:
    """
    Give *cls* every hook that its attribute `delivery`, a `Delivery`, serves; a hook that it has itself stays.

    Stands under `@define(eq=False)`. A sink that delivers events also has this one:

        @hookimpl
        def telemetry_event_logged(self, event):
            self.delivery.take(event)
    """
    for hook in _HOOKS:
        if hook.__name__ not in cls.__dict__:
            setattr(cls, hook.__name__, hookimpl(hook))
    if "open_outbox" not in cls.__dict__:
        cls.open_outbox = open_outbox
    return cls


def telemetry_open(self: Any, context: SinkContext) -> None:
    """Begin to deliver."""
    self.delivery.open(context)


def telemetry_run_started(self: Any, run: RunRecord) -> None:
    """Hear of a run that began."""
    self.delivery.take(run)


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


def open_outbox(self: Any, context: SinkContext) -> Outbox:
    """Return the outbox of this sink, for the command line."""
    return self.delivery.open_outbox(context)  # type: ignore[no-any-return]


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
