"""Answer "what goes wrong, and how often?": failed runs, grouped by the fault behind them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from ...grouping import FaultGroup, group_faults
from ..desk import Desk, pass_desk
from ..filters import query_of, run_filters
from ..group import DeskCommand
from ..letters import one_line
from ..listing import is_table, output_options, write_list
from ..numbers import Whole
from ..table import Cell, Column
from ..words import age_text, clock_text, count_text, plural, short_id

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry errors --since 7d", "the faults of this week, the most frequent first"),
    ("telemetry errors --agent nightly --json", "the faults of one agent, as JSON"),
)


@click.command("errors", cls=DeskCommand, examples=_EXAMPLES, reads_store=True)
@run_filters
@click.option("--limit", "-n", type=Whole(1), default=20, show_default=True, help="How many faults at most.")
@output_options()
@pass_desk
def command(desk: Desk, /, limit: int, form: str | None, **filters: Any) -> None:
    """
    Group failures that are one and the same fault.

    Two failures are one fault when type and place of the error agree, and its message but for numbers, ids, times
    and paths.
    """
    screen = desk.screen
    query = query_of(desk, {**filters, "status": filters["status"] or "failed"}, limit=None)
    groups = group_faults(desk.store.runs(query))
    write_list(screen, form, _columns(screen.now()), groups[:limit], FaultGroup.to_dict)
    if is_table(screen, form):
        if not groups:
            desk.tell_nothing("No run failed.")
        elif len(groups) > limit:
            screen.tell(screen.style(f"{plural(len(groups) - limit, 'fault')} more: --limit N", "dim"))


def _columns(now: datetime) -> list[Column[FaultGroup]]:
    return [
        Column(name="fingerprint", value=lambda group: group.fingerprint.id, is_shown=False),
        Column(
            name="count",
            value=lambda group: group.count,
            cell=lambda group: Cell(count_text(group.count)),
            is_right=True,
        ),
        Column(name="kind", value=lambda group: group.fingerprint.kind, title="error", style="failed", least=12),
        Column(name="message", value=lambda group: group.fingerprint.message, least=16),
        Column(name="place", value=lambda group: group.fingerprint.place, style="dim", least=12, rank=2),
        Column(name="agents", value=lambda group: dict(group.agents), cell=_agents, least=10, rank=3),
        Column(
            name="first_seen",
            title="first",
            value=lambda group: group.first_seen,
            cell=lambda group: Cell(clock_text(group.first_seen, now), "dim"),
            rank=4,
        ),
        Column(
            name="last_seen",
            title="last",
            value=lambda group: group.last_seen,
            cell=lambda group: Cell(age_text(group.last_seen, now)),
            rank=1,
        ),
        Column(
            name="example",
            value=lambda group: group.example.run_id,
            cell=lambda group: Cell(short_id(group.example.run_id), "bold"),
        ),
    ]


def _agents(group: FaultGroup) -> Cell:
    names = [one_line(name) for name, _ in group.agents.most_common(3)]
    more = len(group.agents) - len(names)
    return Cell(", ".join(names) + (f" +{more}" if more else ""))
