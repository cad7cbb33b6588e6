"""Answer "where do records go?": each configured sink, where it comes from, and whether it can be built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from attrs import frozen

from ...config import SinkSpec
from ...shield import attempt
from ..desk import Desk, pass_desk
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..opening import BuiltSinks
from ..screen import Screen
from ..table import Cell, Column
from ..words import age_text, count_text

__all__ = ["SinkRow", "command", "sink_rows"]

_EXAMPLES = (
    ("telemetry sinks", "where records go, and what is not delivered yet"),
    ("telemetry sinks --json", "the same for programs"),
)


@frozen
class SinkRow:
    """
    One configured sink, seen from outside.

    `place` is where its records lie or go to; `fault` says why it cannot be used. `pending`, `aside` and `dead` count
    records that a remote sink has still to deliver, tries again apart from the others, or has given up; None for sinks
    that deliver at once.
    """

    name: str
    type: str
    origin: str
    place: str = ""
    fault: str | None = None
    pending: int | None = None
    oldest: str | None = None
    aside: int | None = None
    dead: int | None = None
    trouble: str | None = None

    @property
    def state(self) -> str:
        """One word: `ok`, `broken`, or `behind` when a delivery is held up or has records aside or dead."""
        if self.fault:
            return "broken"
        return "behind" if self.trouble or self.aside or self.dead else "ok"


@click.command("sinks", cls=DeskCommand, examples=_EXAMPLES)
@output_options()
@pass_desk
def command(desk: Desk, /, form: str | None) -> None:
    """List the sinks and how they are."""
    screen = desk.screen
    rows = list(sink_rows(desk))
    write_list(screen, form, _columns(screen), rows)
    if is_table(screen, form) and not rows:
        screen.tell("No sink is configured: nothing is recorded.")


def sink_rows(desk: Desk) -> Iterator[SinkRow]:
    """Yield each sink of the configuration; nothing is opened, created or sent."""
    built = desk.built_untold
    for spec in desk.config.sinks:
        yield _row(spec, built)


def _row(spec: SinkSpec, built: BuiltSinks) -> SinkRow:
    fault = "; ".join(built.faults.get(spec.name, ())) or None
    sink = built.sinks.get(spec.name)
    if sink is None:
        return SinkRow(spec.name, spec.type, spec.origin, fault=fault or "it cannot be built")
    context = built.contexts[spec.name]
    facts: dict[str, Any] = {"place": _place_of(sink, context), "fault": fault}
    if hasattr(sink, "open_outbox"):
        status, failure = attempt(lambda: sink.open_outbox(context).status())
        facts |= {"fault": str(failure)} if failure is not None else _delivery_facts(status)
    return SinkRow(spec.name, spec.type, spec.origin, **facts)


def _delivery_facts(status: Any) -> dict[str, Any]:
    trouble = status.trouble.reason if status.trouble is not None else None
    counts = {"pending": status.pending, "oldest": status.oldest, "aside": status.aside, "dead": status.dead}
    return {**counts, "trouble": trouble}


def _place_of(sink: Any, context: Any) -> str:
    """Return where the records of *sink* lie, as far as it tells: a journal, its own word for it, a URL, a file."""
    if hasattr(sink, "journal_directory"):
        return str(sink.journal_directory(context.ndjson_dir))
    place = getattr(sink, "place", None)
    if isinstance(place, str):
        return place
    options = getattr(sink, "options", None)
    url = getattr(options, "url", None)
    if isinstance(url, str):
        return url.partition("?")[0]  # what stands behind it may be a key
    path = getattr(options, "path", None)
    return str(path or context.database_path) if hasattr(sink, "open_store") else str(path or "")


def _columns(screen: Screen) -> list[Column[SinkRow]]:
    styles = {"ok": "success", "broken": "failed", "behind": "partial"}
    return [
        Column(name="sink", value=lambda row: row.name, style="bold", least=8),
        Column(name="type", value=lambda row: row.type, least=6),
        Column(name="state", value=lambda row: row.state, cell=lambda row: _state(screen, row, styles[row.state])),
        Column(
            name="pending", title="to deliver", value=lambda row: row.pending, cell=_count("pending"), is_right=True
        ),
        Column(
            name="oldest",
            title="since",
            value=lambda row: row.oldest,
            cell=lambda row: Cell(age_text(row.oldest, screen.now())),
            rank=2,
        ),
        Column(name="aside", value=lambda row: row.aside, cell=_count("aside"), is_right=True, rank=1),
        Column(name="dead", value=lambda row: row.dead, cell=_count("dead"), is_right=True),
        Column(
            name="place",
            title="where",
            value=lambda row: row.place,
            least=20,
        ),
        Column(
            name="origin",
            title="from",
            value=lambda row: row.origin,
            style="dim",
            rank=3,
        ),
        Column(
            name="trouble",
            value=lambda row: row.fault or row.trouble,
            style="failed",
            least=20,
        ),
    ]


def _state(screen: Screen, row: SinkRow, style: str) -> Cell:
    return Cell(f"{screen.symbol(style)} {row.state}", style)


def _count(name: str) -> Any:
    def cell(row: SinkRow) -> Cell:
        value = getattr(row, name)
        return Cell("" if value is None else count_text(value))

    return cell
