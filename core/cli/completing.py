"""Offer agents, jobs and runs out of the store while somebody types; whatever goes wrong, nothing is offered."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from ...plugins.errors import TelemetryError
from ...plugins.store import RunQuery
from .desk import Desk
from .faults import Fault
from .screen import screen_for
from .words import short_id

__all__ = ["complete_agents", "complete_jobs", "complete_runs"]

_MOST = 50

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(names_in: Callable[[Desk], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
        root = ctx.find_root().params
        desk = Desk(screen_for(), config_path=root.get("config_path"), base_dir=root.get("base_dir"))
        try:
            # A warning would come out in the middle of the line that is being typed.
            with desk.quiet_library(is_silent=True):
                return [name for name in dict.fromkeys(names_in(desk)) if name.startswith(begun)]
        except (TelemetryError, Fault, OSError):
            return []
        finally:
            desk.close()

    return complete


def _runs(desk: Desk) -> Iterable[str]:
    return (short_id(run.run_id) for run in desk.store.runs(RunQuery(limit=_MOST)))


def _names(by: str) -> Callable[[Desk], Iterable[str]]:
    return lambda desk: (group["key"] for group in desk.store.summary(by, RunQuery(limit=None)) if group["key"])


complete_runs = _completer(_runs)
complete_agents = _completer(_names("agent"))
complete_jobs = _completer(_names("job"))
