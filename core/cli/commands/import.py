"""Bring in what earlier versions of this platform recorded, whatever their schema, without loss."""

from __future__ import annotations

from pathlib import Path

import click

from ...gathering.sources import sources_at
from ..desk import Desk, pass_desk
from ..gathering import bring_in
from ..group import DeskCommand
from ..listing import output_options

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry import old-metrics", "everything in an old base directory: its journal and its database"),
    ("telemetry import old.sqlite events.ndjson --dry-run", "say what would come in, and change nothing"),
)


@click.command("import", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would come in, and change nothing.")
@output_options()
@pass_desk
def command(desk: Desk, /, paths: tuple[Path, ...], is_dry: bool, form: str | None) -> None:
    """
    Bring in stores of earlier versions, SQLite and NDJSON.

    PATH is a database of schema v1 to v7, a file of lines (also .gz), a base directory, or a folder of either. All of
    it goes through the journal, so that every sink gets it. What has no column here is kept in the attributes of its
    run. A second import adds nothing, and one that was interrupted goes on where it was.
    """
    sources = list(dict.fromkeys(source for path in paths for source in sources_at(path.expanduser())))
    bring_in(desk, sources, is_dry=is_dry, form=form, word="import")
