"""Answer "what is different about this run?": two runs side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import click

from ....plugins.records import RunRecord
from ...comparing import Difference, compared
from ..completing import complete_runs
from ..desk import Desk, pass_desk
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..screen import Screen
from ..table import Cell, Column
from ..words import clock_text, duration_text, figure_text, number_text, plural, short_id

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry diff 1a2b3c4d 5e6f7a8b", "what the second run has otherwise than the first"),
    ("telemetry diff 1a2b3c4d last --all", "all that is known of both, equal or not"),
)


@click.command("diff", cls=DeskCommand, examples=_EXAMPLES, reads_store=True)
@click.argument("left", metavar="RUN", shell_complete=complete_runs)
@click.argument("right", metavar="RUN", shell_complete=complete_runs)
@click.option("--all", "is_all", is_flag=True, help="Show what is equal too.")
@output_options()
@pass_desk
def command(desk: Desk, /, left: str, right: str, is_all: bool, form: str | None) -> None:
    """
    Compare two runs.

    Told are fields, metrics, attributes, and how many events of each type they have.
    """
    screen = desk.screen
    runs = desk.find_run(left), desk.find_run(right)
    found = list(compared(*runs, *(_event_counts(desk, run) for run in runs)))
    shown = [difference for difference in found if is_all or not difference.is_equal]
    write_list(screen, form, _columns(*runs, screen.now()), shown, Difference.to_dict)
    if is_table(screen, form):
        _tell_equal(screen, len(found) - len(shown))


def _event_counts(desk: Desk, run: RunRecord) -> Counter[str]:
    return Counter(event.event_type for event in desk.store.events(run.run_id))


def _tell_equal(screen: Screen, count: int) -> None:
    if count:
        screen.say(screen.style(f"{plural(count, 'value')} equal in both: --all", "dim"))


def _columns(left: RunRecord, right: RunRecord, now: datetime) -> list[Column[Difference]]:
    first, second = short_id(left.run_id), short_id(right.run_id)
    return [
        Column(name="section", title="", value=lambda row: row.section, style="dim", rank=1),
        Column(name="name", title="what", value=lambda row: row.name, least=12),
        Column(
            name="left", title=first, keeps_case=True, value=lambda row: row.left, cell=_side("left", now), least=12
        ),
        Column(
            name="right", title=second, keeps_case=True, value=lambda row: row.right, cell=_side("right", now), least=12
        ),
        Column(name="change", value=lambda row: row.change, cell=_change, is_right=True),
        Column(name="share", title="", value=lambda row: row.share, cell=_share, is_right=True, rank=2),
    ]


def _side(name: str, now: datetime) -> Callable[[Difference], Cell]:
    def cell(row: Difference) -> Cell:
        value = getattr(row, name)
        return Cell(_shown(row.name, value, now), str(value) if row.name == "status" else "")

    return cell


def _shown(name: str, value: object, now: datetime) -> str:
    if value is None:
        return ""
    if name.endswith("_time") and isinstance(value, str):
        return clock_text(value, now)
    if name.endswith("_ms") and isinstance(value, int | float):
        return duration_text(value)
    return figure_text(value)


def _change(row: Difference) -> Cell:
    if not row.change:
        return Cell("")
    sign = "+" if row.change > 0 else "-"
    is_duration = row.name.endswith("_ms")
    return Cell(sign + (duration_text(abs(row.change)) if is_duration else number_text(abs(row.change))))


def _share(row: Difference) -> Cell:
    return Cell(f"{row.share * 100:+,.0f} %" if row.share else "", "dim")
