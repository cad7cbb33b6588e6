"""Feed the journal to a sink again."""

from __future__ import annotations

from typing import Any

import click

from ....plugins.errors import NotFound
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..filters import moment_option
from ..group import DeskCommand
from ..listing import output_options, write_one
from ..long_work import long_work
from ..words import plural

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry replay --into sqlite --since 7d", "read the last week into the database again"),
    ("telemetry replay --into sqlite --json", "the whole journal"),
)


@click.command("replay", cls=DeskCommand, examples=_EXAMPLES)
@click.option(
    "--into", "sink", required=True, metavar="SINK", help="A sink of the configuration; telemetry sinks lists them."
)
@click.option("--since", metavar="WHEN", help="Begin with that day (UTC): 7d, yesterday, 2026-11-23.")
@output_options("json")
@pass_desk
def command(desk: Desk, /, sink: str, since: str | None, form: str | None) -> None:
    """
    Feed the journal to a sink again.

    What the sink has already changes nothing. A remote sink is delivered to in the usual way, under the keys that its
    records had the first time.
    """
    moment = moment_option(desk, "--since", since)
    day = None if moment is None else moment[:10]
    care = desk.open_care(sink)
    with long_work(desk.screen, _go_on(care, sink)) as progress:
        try:
            replayed = care.replay(sink, day, progress)
        except NotFound as error:
            raise Fault(str(error), cure="telemetry sinks", code=Exit.NOT_FOUND) from error
    if form == "json":
        write_one(desk.screen, replayed.to_dict())
    else:
        from_day = "" if day is None else f" since {day}"
        desk.screen.say(f"{sink}: {plural(replayed.records, 'record')} of the journal{from_day} fed again")
    if replayed.left:
        told = f"{plural(replayed.left, 'record')} could not be delivered yet: {replayed.trouble or 'it takes long'}"
        raise Fault(told, cure="telemetry outbox status", code=Exit.FAILURE)


def _go_on(care: Any, sink: str) -> str:
    if hasattr(care.sinks.get(sink), "open_outbox"):
        return "telemetry outbox flush; what is left is also delivered by the next process that records"
    return f"telemetry replay --into {sink}; what the sink has already changes nothing"
