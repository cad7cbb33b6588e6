"""Answer "did it arrive?": what remote sinks have still to deliver, what they gave up, and how to try again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import click
from attrs import frozen

from ...care.delivering import Delivering
from ...client import TelemetryClient
from ...wiring import unusable_remote_sinks
from ..completing import complete_remote_sinks
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault, warn
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..long_work import long_work
from ..numbers import Number
from ..table import Cell, Column
from ..words import age_text, clock_text, count_text, plural, short_id

__all__ = ["command"]

_EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "status": (
        ("telemetry outbox status", "what each remote sink has still to deliver"),
        ("telemetry outbox status --json", "the same for programs"),
    ),
    "flush": (
        ("telemetry outbox flush", "deliver now, for up to 30 seconds"),
        ("telemetry outbox flush --timeout 300", "for up to five minutes"),
    ),
    "dead": (
        ("telemetry outbox dead", "what was given up, and why"),
        ("telemetry outbox dead hq --nl", "the dead letters of one sink, with their records"),
        ("telemetry outbox dead --aside", "what failed while others were taken, and is tried again by itself"),
    ),
    "retry": (
        ("telemetry outbox retry hq", "queue the dead letters of one sink again, and what is aside"),
        ("telemetry outbox retry hq --key 3f2a", "one of them, by the beginning of its key"),
    ),
}


@click.group("outbox")
def command() -> None:
    """See what remote sinks have delivered, and try again."""


@command.command("status", cls=DeskCommand, examples=_EXAMPLES["status"])
@output_options()
@pass_desk
def status(desk: Desk, /, form: str | None) -> None:
    """Show what each remote sink has still to deliver."""
    screen = desk.screen
    now = screen.now()
    columns: list[Column[Any]] = [
        Column(name="sink", value=lambda row: row.sink, style="bold"),
        Column(name="pending", value=lambda row: row.pending, is_right=True, is_count=True),
        Column(name="oldest", value=lambda row: row.oldest, cell=lambda row: Cell(age_text(row.oldest, now))),
        Column(name="aside", value=lambda row: row.aside, is_right=True, is_count=True),
        Column(name="dead", value=lambda row: row.dead, is_right=True, is_count=True),
        Column(name="attempts", title="tries", value=_of_trouble("attempts"), is_right=True),
        Column(name="retry_at", title="next try", value=_of_trouble("retry_at"), cell=_next_try(now)),
        Column(name="trouble", value=_of_trouble("reason"), style="failed", least=20),
    ]
    outboxes, unusable = remote_sinks(desk)
    rows = [*(outbox.status() for outbox in outboxes.values()), *(_NoStatus(*each) for each in unusable.items())]
    write_list(screen, form, columns, rows)
    if is_table(screen, form) and not rows:
        screen.tell("No remote sink is configured: there is nothing to deliver.")


@frozen
class _NoStatus:
    """The row of a sink that cannot be used: what it has still to deliver nobody can say."""

    sink: str
    reason: str
    pending: None = None
    oldest: None = None
    aside: None = None
    dead: None = None
    attempts: None = None
    retry_at: None = None

    @property
    def trouble(self) -> _NoStatus:
        """What stands in the columns of a delivery that is held up."""
        return self


def _of_trouble(name: str) -> Callable[[Any], Any]:
    return lambda row: None if row.trouble is None else getattr(row.trouble, name)


def _next_try(now: Any) -> Callable[[Any], Cell]:
    return lambda row: Cell("" if row.trouble is None else clock_text(row.trouble.retry_at, now))


def remote_sinks(desk: Desk) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the outbox of each remote sink, and why those that have none cannot be used, both by name."""
    built = desk.built_untold
    remote = {name: sink for name, sink in built.sinks.items() if hasattr(sink, "open_outbox")}
    unusable = unusable_remote_sinks(desk.config, built.sinks, built.faults)
    for name, faults in built.faults.items():
        (desk.count_as_told if name in unusable else desk.tell_faults)(faults)
    return {name: sink.open_outbox(built.contexts[name]) for name, sink in remote.items()}, unusable


def _outbox(desk: Desk, wanted: str) -> Any:
    """
    Return the outbox of the sink that is *wanted*.

    Raises:
        Fault: there is no such sink, or it cannot be used.
    """
    outboxes, unusable = remote_sinks(desk)
    if wanted in unusable:
        told = f"the sink {wanted!r} cannot be used: {unusable[wanted]}"
        raise Fault(told, cure="telemetry config check", code=Exit.BAD_CONFIG)
    if wanted not in outboxes:
        cure = f"the remote sinks are {', '.join(outboxes)}" if outboxes else "telemetry sinks"
        raise Fault(f"there is no remote sink {wanted!r}", cure=cure, code=Exit.NOT_FOUND)
    return outboxes[wanted]


@command.command("flush", cls=DeskCommand, examples=_EXAMPLES["flush"])
@click.option("--timeout", type=Number(0), default=30.0, show_default=True, help="Seconds at most.")
@pass_desk
def flush(desk: Desk, /, timeout: float) -> None:
    """Deliver what waits, now. What is not delivered in time, or comes meanwhile, stays queued."""
    go_on = "the same command; what is not delivered stays queued, also for the next process that records"
    outboxes, unusable = remote_sinks(desk)
    with long_work(desk.screen, go_on) as progress, TelemetryClient(desk.config) as client:
        delivering = Delivering(client, outboxes, progress, timeout, patience_s=timeout)
        delivering.run()
    left = delivering.left()
    if not left and not unusable:
        desk.screen.say("No remote sink is configured: there is nothing to deliver.")
    for name, count in left.items():
        told = f"{plural(count, 'record')} left" if count else "all delivered"
        found = delivering.outboxes[name].status()
        given_up = f", but for {plural(found.dead, 'dead letter')}: telemetry outbox dead {name}"
        later = f", but for {count_text(found.aside)} that will be tried later: telemetry outbox dead {name} --aside"
        desk.screen.say(f"{name}: {told}{later if found.aside else ''}{given_up if found.dead else ''}")
    for name, reason in unusable.items():
        desk.screen.say(f"{name}: cannot be used: {reason}")
    if unusable or any(left.values()):
        raise Fault("not everything could be delivered", cure="telemetry outbox status tells what holds it up")


@command.command("dead", cls=DeskCommand, examples=_EXAMPLES["dead"])
@click.argument("sink", required=False, shell_complete=complete_remote_sinks)
@click.option("--aside", "is_aside", is_flag=True, help="List instead what is tried again by itself.")
@output_options()
@pass_desk
def dead(desk: Desk, /, sink: str | None, is_aside: bool, form: str | None) -> None:
    """List what was given up, and why."""
    screen = desk.screen
    now = screen.now()
    columns: list[Column[tuple[str, Any]]] = [
        Column(name="sink", value=lambda row: row[0], style="bold"),
        Column(name="when", value=lambda row: row[1].when, cell=lambda row: Cell(clock_text(row[1].when, now))),
        Column(
            name="run", value=lambda row: row[1].record.run_id, cell=lambda row: Cell(short_id(row[1].record.run_id))
        ),
        Column(name="attempts", title="retries", value=lambda row: row[1].attempts, is_right=True),
        *([_again_at(now)] if is_aside else ()),
        Column(name="key", value=lambda row: row[1].key, least=12, rank=1),
        Column(name="reason", value=lambda row: row[1].reason, least=20),
    ]
    listed = ((name, box.aside() if is_aside else box.dead_letters()) for name, box in _asked(desk, sink).items())
    letters = ((name, letter) for name, several in listed for letter in several)
    first = next(letters, None)
    write_list(screen, form, columns, letters if first is None else chain([first], letters), _as_dict)
    if is_table(screen, form) and first is None:
        screen.tell("Nothing is aside." if is_aside else "Nothing was given up.")


def _asked(desk: Desk, sink: str | None) -> dict[str, Any]:
    """Return the outbox of *sink*, or of all; of those that cannot be used it is said here."""
    if sink is not None:
        return {sink: _outbox(desk, sink)}
    outboxes, unusable = remote_sinks(desk)
    for name, reason in unusable.items():
        warn(desk.screen, f"{name} cannot be used: {reason}", "telemetry config check")
    return outboxes


def _again_at(now: Any) -> Column[tuple[str, Any]]:
    return Column(
        name="again_at",
        title="next try",
        value=lambda row: row[1].again_at,
        cell=lambda row: Cell(clock_text(row[1].again_at, now)),
    )


def _as_dict(row: tuple[str, Any]) -> dict[str, Any]:
    sink, letter = row
    names = ("when", "reason", "attempts", "key", *(("again_at",) if letter.again_at else ()))
    return {"sink": sink, **{name: getattr(letter, name) for name in names}, "record": letter.record.to_dict()}


@command.command("retry", cls=DeskCommand, examples=_EXAMPLES["retry"])
@click.argument("sink", shell_complete=complete_remote_sinks)
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only letters whose key begins so.")
@pass_desk
def retry(desk: Desk, /, sink: str, keys: tuple[str, ...]) -> None:
    """Queue dead letters again, and what is aside. The next process that delivers takes them up."""
    outbox = _outbox(desk, sink)
    wanted = _whole_keys(outbox, keys) if keys else None
    count = outbox.retry_dead(wanted)
    desk.screen.say(f"{plural(count, 'record')} of {sink} queued again")


def _whole_keys(outbox: Any, parts: tuple[str, ...]) -> list[str]:
    letters = chain(outbox.dead_letters(), outbox.aside())
    found = [letter.key for letter in letters if letter.key.startswith(parts)]
    if not found:
        told = ", ".join(parts)
        raise Fault(
            f"no dead letter has a key like {told}", cure="telemetry outbox dead [--aside]", code=Exit.NOT_FOUND
        )
    return found
