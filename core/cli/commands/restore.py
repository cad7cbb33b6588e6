"""Bring back what a backup has and is missing here."""

from __future__ import annotations

from pathlib import Path

import click

from ....plugins.errors import NotFound
from ...care.restoring import Restored
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault, warn
from ..group import DeskCommand
from ..listing import output_options, write_one
from ..long_work import long_work
from ..screen import Screen
from ..words import clock_text, count_text, plural

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry restore", "bring back what is missing out of the newest backup in backups/"),
    ("telemetry restore monday --json", "out of the backup in that folder"),
)


@click.command("restore", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("backup", type=click.Path(path_type=Path), required=False)
@output_options("json")
@pass_desk
def command(desk: Desk, /, backup: Path | None, form: str | None) -> None:
    """
    Bring back what a backup has and is missing here.

    Nothing that is here is overwritten or lost, and agents may write meanwhile. What was pruned here stays pruned; to
    look at it again, restore into another directory with --base-dir.
    """
    with long_work(desk.screen, "the same command; what is back is not brought again") as progress:
        try:
            restored = desk.open_care().restore(backup, progress)
        except NotFound as error:
            cure = "telemetry backup makes one" if backup is None else "telemetry restore alone takes the newest here"
            raise Fault(str(error), cure=cure, code=Exit.NOT_FOUND) from error
    if form == "json":
        write_one(desk.screen, restored.to_dict())
    else:
        _tell(desk.screen, restored)
    for name in restored.changed:
        warn(desk.screen, f"{name} is not as it was written into the backup; what can be read of it was taken")


def _tell(screen: Screen, restored: Restored) -> None:
    screen.say(f"Restored from {restored.backup}, made {clock_text(restored.made_at, screen.now())}:")
    if restored.days or restored.lines:
        lines = f", {plural(restored.lines, 'line')} in other days" if restored.lines else ""
        screen.say(f"  {plural(len(restored.days), 'day')} of the journal{lines}")
    else:
        screen.say("  nothing that the journal here has not")
    for store in restored.stores:
        told = ", ".join(f"{count_text(number)} {kind}" for kind, number in sorted(store.carried.items()))
        screen.say(f"  {store.path}: {plural(store.runs, 'run')} now{f'; {told} that no journal has' if told else ''}")
    if restored.state:
        screen.say(f"  {', '.join(restored.state)}")
    if restored.pruned:
        screen.say(f"{plural(len(restored.pruned), 'day')} of it were pruned here, and stay so.")
