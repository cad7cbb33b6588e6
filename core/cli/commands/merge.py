"""Bring the base directories of several machines together, without a server: by rsync, USB stick, or CI artefact."""

from __future__ import annotations

from pathlib import Path

import click

from ...gathering.sources import journal_at
from ..desk import Desk, pass_desk
from ..gathering import bring_in
from ..group import DeskCommand
from ..listing import output_options

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry merge usb/agent-metrics", "take in what another machine recorded"),
    (
        "telemetry --base-dir all merge ci-1 ci-2",
        "gather copies of several machines in the folder all, which must be there",
    ),
)


@click.command("merge", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would come in, and change nothing.")
@output_options()
@pass_desk
def command(desk: Desk, /, folders: tuple[Path, ...], is_dry: bool, form: str | None) -> None:
    """
    Bring base directories of other machines together.

    DIR is a base directory, or the folder of a journal; a copy that is old, partial or torn will do. Each record has
    its writer and its number, by which it comes in once: in whatever order and how often the copies are merged, the
    same records are there in the end.
    """
    sources = list(dict.fromkeys(journal_at(folder.expanduser()) for folder in folders))
    bring_in(desk, sources, is_dry=is_dry, form=form, word="merge")
