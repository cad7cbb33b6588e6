"""Answer "what is happening?": the latest lines of the journal, and each new one as it comes, from all processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import click
from attrs import define, field

from ....plugins.merge import agent_of
from ....plugins.records import Record, RunEvent, RunRecord
from ..completing import complete_agents, complete_runs
from ..desk import Desk, pass_desk
from ..faults import Fault
from ..group import DeskCommand
from ..listing import is_table, output_options
from ..numbers import Whole
from ..tail_view import TailView

__all__ = ["command"]

_KINDS = frozenset(("run", "event"))
_POLL_S = 0.1
_RUN = "run"
_EXAMPLES = (
    ("telemetry tail -n 50", "the latest 50 lines"),
    ("telemetry tail -f --agent nightly --type tool_ended", "follow one type of event of one agent"),
)


@define
class _Wanted:
    """Which records are asked for."""

    run_id: str | None
    agent: str | None
    types: frozenset[str]
    agents: dict[str, str] = field(factory=dict)

    def __call__(self, record: Record) -> bool:
        """Tell whether *record* is one of them."""
        if not isinstance(record, RunRecord | RunEvent):
            return False
        if self.run_id is not None and record.run_id != self.run_id:
            return False
        kind = _RUN if isinstance(record, RunRecord) else record.event_type
        return (not self.types or kind in self.types) and self.agent in (None, self.agent_name(record))

    def agent_name(self, record: RunRecord | RunEvent) -> str:
        """Return whose run the record belongs to: known from its start, else told by the id of the run."""
        if isinstance(record, RunRecord):
            self.agents[record.run_id] = record.agent_name
        return self.agents.get(record.run_id) or agent_of(record.run_id)


@click.command("tail", cls=DeskCommand, examples=_EXAMPLES)
@click.option("--follow", "-f", is_flag=True, help="Go on with each new line, until ^C.")
@click.option("--lines", "-n", type=Whole(0), default=20, show_default=True, help="How many to begin with.")
@click.option("--run", "run", metavar="RUN", help="Only this run.", shell_complete=complete_runs)
@click.option("--agent", metavar="NAME", help="Only runs of this agent.", shell_complete=complete_agents)
@click.option("--type", "types", multiple=True, metavar="NAME", help="Only this type; `run` for starts and ends.")
@output_options("json", "nl")
@pass_desk
def command(
    desk: Desk,
    /,
    follow: bool,
    lines: int,
    run: str | None,
    agent: str | None,
    types: tuple[str, ...],
    form: str | None,
) -> None:
    """
    Show the latest events, and follow them with -f.

    The starts and ends of runs stand among them. They come straight from the journal, of all processes, across the
    change of the day. With -f each line of --json is an object of its own.
    """
    run_id = desk.find_run(run).run_id if run is not None else None
    wanted = _Wanted(run_id, agent, frozenset(types))
    follower = _follower(desk)
    show = _shower(desk, wanted, "nl" if follow and form == "json" else form)
    latest = follower.latest(lines, wanted)
    show(latest)
    if lines and not latest and not follow and is_table(desk.screen, form):
        desk.tell_nothing("No event is like that.")
    if follow:
        with suppress(KeyboardInterrupt):  # the way to leave it
            for records in _batches(follower, wanted):
                show(records)
        if desk.screen.is_terminal:
            desk.screen.say()  # the terminal shows ^C there


def _follower(desk: Desk) -> Any:
    built = desk.built
    for name, sink in built.sinks.items():
        if hasattr(sink, "open_follower"):
            return sink.open_follower(built.contexts[name], _KINDS)
    raise Fault(
        "no sink keeps a journal that could be followed",
        where=f"sinks: {', '.join(built.sinks) or 'none'}",
        cure="configure a sink of type 'ndjson'",
    )


def _batches(follower: Any, wanted: _Wanted) -> Iterator[list[Any]]:
    while True:
        records = [record for record in follower.added() if wanted(record)]
        if records:
            yield records
        time.sleep(_POLL_S)


def _shower(desk: Desk, wanted: _Wanted, form: str | None) -> Callable[[list[Any]], None]:
    """Return what writes records in the *form* that was asked for, at once."""
    view = TailView(desk.screen, wanted.agent_name)
    writers = {"json": view.write_json, "nl": view.write_json_lines}
    write = writers.get(form or "", view.write_lines)

    def show(records: list[Any]) -> None:
        write(records)
        desk.screen.out.flush()

    return show
