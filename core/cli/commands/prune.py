"""Delete what is old: runs of every store, days of the journal; and gzip the days that are closed."""

from __future__ import annotations

from datetime import timedelta

import click

from ....plugins.care import Thinned
from ...care.retention import Pruned
from ...spans import read_span
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault, warn
from ..group import DeskCommand
from ..listing import output_options, write_one
from ..long_work import long_work
from ..opening import judge_the_dead
from ..screen import Screen
from ..words import plural, size_text

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry prune --older-than 90d --dry-run", "what would go, and what holds it"),
    (
        "telemetry prune --older-than 90d --gzip-after 7d",
        "for a nightly job: three months, all but a week of it packed",
    ),
)
_GO_ON = "the same command; what is pruned stays pruned"
_DAY = timedelta(days=1)


@click.command("prune", cls=DeskCommand, examples=_EXAMPLES)
@click.option(
    "--older-than", required=True, metavar="SPAN", help="Delete what ended longer ago: 90d, 12w; a day at least."
)
@click.option("--gzip-after", metavar="SPAN", help="Gzip days of the journal that passed longer ago.")
@click.option("--force", is_flag=True, help="Delete also what a remote sink has not had yet.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be deleted.")
@output_options("json")
@pass_desk
def command(
    desk: Desk, /, older_than: str, gzip_after: str | None, force: bool, dry_run: bool, form: str | None
) -> None:
    """
    Delete what is old, and gzip days that are closed.

    Runs go that ended longer ago, and the days (UTC) of the journal before that. What a remote sink has still to be
    given stays, and so does a run that goes on. It works in small steps, so agents write on meanwhile; what is pruned
    comes back by no late line.
    """
    age = _span("--older-than", older_than)
    packed = None if gzip_after is None else _span("--gzip-after", gzip_after)
    judge_the_dead(desk.config)
    with long_work(desk.screen, _GO_ON) as progress:
        care = desk.open_care()
        pruned = care.prune(age, gzip_after=packed, is_forced=force, is_dry=dry_run, progress=progress)
    if form == "json":
        write_one(desk.screen, pruned.to_dict())
    else:
        _tell(desk.screen, pruned)
    for name, day in pruned.held_by.items():
        warn(
            desk.screen,
            f"nothing of {day} and later was pruned: {_reason(name)}",
            "telemetry outbox status, or --force",
        )


def _span(option: str, text: str) -> timedelta:
    try:
        span = read_span(text)
    except ValueError as error:
        # A number alone is meant in days: nothing shorter can be pruned.
        cure = f"{option} {text.strip()}d" if text.strip().isdecimal() else ""
        raise Fault(str(error), where=option, cure=cure, code=Exit.USAGE) from error
    if span < _DAY:
        raise Fault(f"{text!r} is less than a day", where=option, cure=f"{option} 1d", code=Exit.USAGE)
    return span


def _reason(name: str) -> str:
    return name if " " in name else f"sink {name} has lines of that day to deliver"


def _tell(screen: Screen, pruned: Pruned) -> None:
    would = "Would delete" if pruned.is_dry else "Deleted"
    screen.say(f"{would} what ended before {pruned.before}:")
    for store in pruned.stores:
        screen.say(f"  {plural(store.runs, 'run')} ({plural(store.events, 'indexed event')}) of {store.path}")
    deleted = sum(day.size_bytes for day in pruned.deleted)
    screen.say(f"  {plural(len(pruned.deleted), 'file')} of the journal, {size_text(deleted)}")
    if pruned.gzipped:
        _tell_gzipped(screen, pruned)
    if kept := max((store.kept for store in pruned.stores), default=0):
        screen.say(f"{plural(kept, 'run')} that began before then and ended later, or not yet, {_stay(kept)}.")
    if not pruned.is_dry and any(map(_has_room, pruned.stores)):
        screen.say(screen.style("The database keeps the room for new runs; telemetry rebuild gives it back.", "dim"))


def _tell_gzipped(screen: Screen, pruned: Pruned) -> None:
    before, after = (sum(pair[side].size_bytes for pair in pruned.gzipped) for side in (0, 1))
    told = size_text(before) if pruned.is_dry else f"{size_text(before)} became {size_text(after)}"
    screen.say(f"{'Would gzip' if pruned.is_dry else 'Gzipped'} {plural(len(pruned.gzipped), 'file')}: {told}.")


def _stay(count: int) -> str:
    return "stays" if count == 1 else "stay"


def _has_room(store: Thinned) -> bool:
    return store.runs > 0
