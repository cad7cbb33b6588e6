"""Answer "how do I begin a sink of my own?" with a whole distribution whose tests pass."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import click

from ....plugins.discovery import DISTRIBUTION
from ..desk import Desk, pass_desk
from ..faults import Fault
from ..group import DeskCommand

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry new-sink my-store", "a folder telemetry-sink-my-store with pyproject, sink, tests and README"),
    ("telemetry new-sink my-hub --remote", "a sink that posts to a web address, and loses nothing"),
)


@click.command("new-sink", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The folder that gets the new one; the current one unless told otherwise.",
)
@click.option("--remote", "is_remote", is_flag=True, help="A sink that sends elsewhere, with durable delivery.")
@pass_desk
def command(desk: Desk, /, name: str, into: Path, is_remote: bool) -> None:
    """
    Write a distribution with a sink of your own.

    It has a pyproject with the entry point, the sink with its options, tests (the whole contract of a sink among
    them) and a README, and can be installed and tested as it is.
    """
    from ...scaffold.sink import NewSink, write_sink

    new = NewSink(name, "remote" if is_remote else "file")
    try:
        files = write_sink(new, into, metadata.version(DISTRIBUTION))
    except FileExistsError as error:
        raise Fault(f"{error.filename} is there already", cure="move it away, or give the sink another name") from error
    for file in files:
        desk.screen.say(str(file))
    folder = into / new.distribution
    desk.screen.tell(f"Next: pip install -e {folder} 'local-telemetry[testing]' && pytest {folder}")
