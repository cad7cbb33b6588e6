"""Build the database anew from the journal, beside the one in use."""

from __future__ import annotations

import click

from ....plugins.care import Rebuilt
from ..desk import Desk, pass_desk
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..long_work import long_work
from ..table import Column
from ..words import count_text, plural

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry rebuild", "build the database anew, and give back the space that pruned runs left in it"),
    ("telemetry rebuild --json", "the same for programs: what was found and carried over"),
)


@click.command("rebuild", cls=DeskCommand, examples=_EXAMPLES)
@output_options()
@pass_desk
def command(desk: Desk, /, form: str | None) -> None:
    """
    Build the database anew from the journal.

    It is built beside the one in use, compared with it, and put in place in one transaction; agents may write
    meanwhile. What only the old one has is carried over. Broken off, it goes on where it was.
    """
    with long_work(desk.screen, "telemetry rebuild; until it ends the old database is in use") as progress:
        rebuilt = desk.open_care().rebuild(progress)
    write_list(desk.screen, form, _COLUMNS, rebuilt, Rebuilt.to_dict)
    if is_table(desk.screen, form):
        for one in rebuilt:
            _tell(desk, one)


_COLUMNS: list[Column[Rebuilt]] = [
    Column(name="path", value=lambda one: one.path, style="bold", least=20),
    Column(name="runs", value=lambda one: one.runs, is_right=True, is_count=True),
    Column(name="events", value=lambda one: one.events, is_right=True, is_count=True),
    Column(name="carried", value=lambda one: sum(one.carried.values()), is_right=True, is_count=True),
    Column(name="differing", value=lambda one: one.differing, is_right=True, is_count=True),
]


def _tell(desk: Desk, one: Rebuilt) -> None:
    say = desk.screen.say
    if one.carried:
        told = ", ".join(f"{count_text(number)} {kind}" for kind, number in sorted(one.carried.items()))
        say(f"Carried over, as no journal has them: {told}.")
    if one.differing:
        say(f"Of {plural(one.differing, 'run')} the journal said something else; its word counts now.")
    if one.set_aside:
        say(f"The old database was damaged and lies in {one.set_aside}.")
