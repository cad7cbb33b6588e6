"""Answer "what happened in this run?": everything that is known of it, on one page."""

from __future__ import annotations

from collections import Counter

import click

from ....plugins.records import RunRecord
from ....plugins.store import RunQuery
from ...timeline import Timeline, timeline_of
from ..completing import complete_runs
from ..desk import Desk, pass_desk
from ..group import DeskCommand
from ..listing import output_options, write_one
from ..run_page import RunPage, page_lines

__all__ = ["command", "page_of"]

_FIRST, _LAST = 5, 10
_MOST_CHILDREN = 50
_ALL = 1_000_000_000
_EXAMPLES = (
    ("telemetry show last", "the newest run"),
    ("telemetry show 1a2b3c4d --events --type tool_ended", "every event of one type, of the run whose id ends so"),
)


@click.command("show", cls=DeskCommand, examples=_EXAMPLES, reads_store=True)
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.option("--events", "all_events", is_flag=True, help="Show every event, not only the first and the last ones.")
@click.option("--type", "event_type", metavar="NAME", help="Only events of this type.")
@output_options("json")
@pass_desk
def command(desk: Desk, run: str, all_events: bool, event_type: str | None, form: str | None) -> None:
    """
    Show one run: figures, error, events, children.

    RUN is its id, the beginning or the end of it, as the lists show it, or `last`.
    """
    page = page_of(desk, desk.find_run(run), all_events=all_events, event_type=event_type)
    if form == "json":
        write_one(desk.screen, page.to_dict())
        return
    for line in page_lines(desk.screen, page):
        desk.screen.say(line)


def page_of(desk: Desk, run: RunRecord, *, all_events: bool = False, event_type: str | None = None) -> RunPage:
    """Return all that is told of *run*."""
    store = desk.store
    children = RunQuery(parent_run_id=run.run_id, limit=_MOST_CHILDREN, oldest_first=True)
    timeline = _timeline(desk, run, all_events, event_type)
    missing = event_type if not timeline.total else None
    return RunPage(
        run,
        events=timeline,
        commits=store.commits(run.run_id),
        parent=store.get_run(run.parent_run_id) if run.parent_run_id else None,
        children=list(store.runs(children)),
        missing_type=missing,
        types=Counter(event.event_type for event in store.events(run.run_id)) if missing is not None else Counter(),
    )


def _timeline(desk: Desk, run: RunRecord, all_events: bool, event_type: str | None) -> Timeline:
    first = _ALL if all_events else _FIRST
    return timeline_of(run.start_time, desk.store.events(run.run_id, event_type), first=first, last=_LAST)
