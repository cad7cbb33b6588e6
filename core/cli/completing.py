"""Offer agents, jobs and runs out of the store while somebody types; whatever goes wrong, nothing is offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from ...plugins.errors import TelemetryError
from ...plugins.store import RunQuery
from .desk import Desk
from .faults import Fault
from .screen import screen_for
from .words import is_number, short_id

__all__ = ["complete_agents", "complete_jobs", "complete_metrics", "complete_remote_sinks", "complete_runs"]

_MOST = 50

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(names_in: Callable[[Desk, str], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
        root = ctx.find_root().params
        named = {name: root.get(name) for name in ("config_path", "base_dir", "store_place")}
        desk = Desk(screen_for(), **named)
        try:
            # A warning would come out in the middle of the line that is being typed.
            with desk.quiet_library(is_silent=True):
                return [name for name in dict.fromkeys(names_in(desk, begun)) if name.startswith(begun)]
        except (TelemetryError, Fault, OSError):
            return []
        finally:
            desk.close()

    return complete


def _runs(desk: Desk, begun: str) -> Iterable[str]:
    newest = [short_id(run.run_id) for run in desk.store.runs(RunQuery(limit=_MOST))]
    # Whole ids too once somebody types one: of any run, not of the newest only.
    return (*newest, *(desk.store.find_ids(begun, _MOST) if begun else ()))


def _metrics(desk: Desk, begun: str) -> Iterable[str]:
    runs = desk.store.runs(RunQuery(limit=_MOST))
    return ("duration", *(name for run in runs for name, value in run.metrics.items() if is_number(value)))


def _remote_sinks(desk: Desk, begun: str) -> Iterable[str]:
    return (name for name, sink in desk.built.sinks.items() if hasattr(sink, "open_outbox"))


def _names(by: str) -> Callable[[Desk, str], Iterable[str]]:
    return lambda desk, begun: (group["key"] for group in desk.store.summary(by, RunQuery(limit=None)) if group["key"])


complete_runs = _completer(_runs)
complete_agents = _completer(_names("agent"))
complete_jobs = _completer(_names("job"))
complete_metrics = _completer(_metrics)
complete_remote_sinks = _completer(_remote_sinks)
