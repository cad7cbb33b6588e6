"""Copy journal, databases and the state of deliveries into a folder, while agents write."""

from __future__ import annotations

from pathlib import Path

import click

from ..desk import Desk, pass_desk
from ..group import DeskCommand
from ..listing import output_options, write_one
from ..long_work import long_work
from ..words import plural, size_text

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry backup", "a copy of everything, under backups/ in the base directory"),
    ("telemetry backup --to tonight --json", "into a folder of that name, which must not exist yet"),
)
_GO_ON = "the same command begins anew; the half copy is deleted"


@click.command("backup", cls=DeskCommand, examples=_EXAMPLES)
@click.option("--to", "target", type=click.Path(path_type=Path), help="The folder to make; it must not exist yet.")
@output_options("json")
@pass_desk
def command(desk: Desk, /, target: Path | None, form: str | None) -> None:
    """
    Copy everything to a folder, and check the copy.

    Agents may write meanwhile. The copy is a base directory itself, so every command reads it with --base-dir; it
    appears under its name when it is whole.
    """
    with long_work(desk.screen, _GO_ON) as progress:
        made = desk.open_care().backup(target, progress)
    if form == "json":
        write_one(desk.screen, made.to_dict())
        return
    desk.screen.say(f"{plural(made.files, 'file')}, {size_text(made.size_bytes)}, checked: {made.path}")
