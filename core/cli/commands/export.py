"""Write runs and events to a file for other programs: streaming, and whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from ....plugins.records import RunEvent, RunRecord
from ....plugins.store import RunQuery
from ...exporting import FORMATS, lines_of
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..filters import query_of, run_filters
from ..group import DeskCommand
from ..progress import Bar, show_progress
from ..words import plural, size_text

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry export --since 7d --out week.ndjson", "this week's runs, as lines of JSON"),
    ("telemetry export --what events --agent nightly --format csv", "one agent's events as CSV, on standard output"),
)
_WHAT = ("runs", "events", "all")


@click.command("export", cls=DeskCommand, examples=_EXAMPLES)
@click.option(
    "--what", type=click.Choice(_WHAT), default="runs", show_default=True, help="Runs, their events, or both."
)
@click.option(
    "--format", "form", type=click.Choice(tuple(FORMATS)), default="ndjson", show_default=True, help="The form."
)
@click.option("--out", type=click.Path(path_type=Path), help="The file; standard output when left out.")
@run_filters
@pass_desk
def command(desk: Desk, /, what: str, form: str, out: Path | None, **filters: Any) -> None:
    """
    Write runs and events to a file.

    The oldest run comes first. A file appears when it is whole: what is interrupted leaves nothing behind.
    """
    if what == "all" and form == "csv":
        cure = "--what runs, --what events, or --format ndjson"
        raise Fault("runs and events have different columns", where="--format csv", cure=cure, code=Exit.USAGE)
    query = query_of(desk, filters, limit=None, oldest_first=True)
    total = sum(group["runs"] for group in desk.store.summary("status", query))
    # A bar only where nothing else comes to the terminal: not between us and a pager.
    is_quiet = out is None and not stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    with show_progress(desk.screen, "exporting", total, is_silent=is_quiet) as bar:
        lines = lines_of(_records(desk, query, what, bar), form)
        size = _write_all(sys.stdout.buffer, lines) if out is None else _write_file(out, lines)
    if out is not None:
        desk.screen.tell(f"{out}: {plural(total, 'run')}, {size_text(size)}")


def _records(desk: Desk, query: RunQuery, what: str, bar: Bar) -> Iterator[RunRecord | RunEvent]:
    for run in desk.store.runs(query):
        if what != "events":
            yield run
        if what != "runs":
            # An event that came out of the index has no writer and number any more; the journal's are never invented.
            yield from (evolve(event, id=None) for event in desk.store.events(run.run_id))
        bar.step(run.run_id)


def _write_file(path: Path, lines: Iterable[bytes]) -> int:
    part = path.with_name(f"{path.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            size = _write_all(file, lines)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return size


def _write_all(file: Any, lines: Iterable[bytes]) -> int:
    size = 0
    for line in lines:
        size += file.write(line)
    file.flush()
    return size
