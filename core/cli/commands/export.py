"""Write runs and events to a file for other programs: streaming, and whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import click
from attrs import evolve

from ....plugins.care import Progress, counted
from ....plugins.records import RunEvent, RunRecord
from ...exporting import FORMATS, PARQUET, lines_of
from ...spans import stored_text
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..filters import query_of, run_filters
from ..group import DeskCommand
from ..long_work import long_work
from ..outputs import is_regular, is_standard_output, need_place_for, whole_file, write_lines
from ..stores import index_events
from ..words import plural, size_text

__all__ = ["command"]

_EXAMPLES = (
    ("telemetry export --since 7d --out week.ndjson", "this week's runs, as lines of JSON"),
    ("telemetry export --what events --agent nightly --format csv", "one agent's events as CSV, on standard output"),
)
EventsOf: TypeAlias = Callable[[RunRecord], Iterable[RunEvent]]

_GO_ON = "the same command begins anew; no file was written"
_WHAT = ("runs", "events", "all")


@click.command("export", cls=DeskCommand, examples=_EXAMPLES, reads_store=True)
@click.option(
    "--what", type=click.Choice(_WHAT), default="runs", show_default=True, help="Runs, their events, or both."
)
@click.option(
    "--format", "form", type=click.Choice((*FORMATS, PARQUET)), default="ndjson", show_default=True, help="The form."
)
@click.option("--out", type=click.Path(path_type=Path), help="The file; standard output when left out, or -.")
@run_filters
@pass_desk
def command(desk: Desk, /, what: str, form: str, out: Path | None, **filters: Any) -> None:
    """
    Write runs and events to a file.

    The oldest run comes first. A file appears when it is whole: what is interrupted leaves nothing behind.
    """
    out = None if out is None or is_standard_output(out) else out
    if out is not None:
        need_place_for(out)
    _refuse_unless_possible(what, form, out)
    query = query_of(desk, filters, limit=None, oldest_first=True)
    # A bar only where nothing else comes to the terminal: not between us and a pager.
    is_quiet = out is None and not stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    with long_work(desk.screen, _GO_ON, is_silent=is_quiet) as progress:
        events_of = None if what == "runs" else _reader_of_events(desk, progress)
        total = sum(group["runs"] for group in desk.store.summary("status", query))
        runs = _counted(desk.store.runs(query), counted(progress, "exporting", total))
        size = _write(_records(runs, events_of, with_runs=what != "events"), what, form, out)
    if out is not None:
        desk.screen.tell(f"{out}: {plural(total, 'run')}, {size_text(size)}")


def _refuse_unless_possible(what: str, form: str, out: Path | None) -> None:
    if what == "all" and form != "ndjson":
        cure = "--what runs, --what events, or --format ndjson"
        raise Fault("runs and events have different columns", where=f"--format {form}", cure=cure, code=Exit.USAGE)
    if form == PARQUET and (out is None or not is_regular(out)):
        cure = "--out runs.parquet"
        raise Fault("Parquet is written to a file only", where=f"--format {form}", cure=cure, code=Exit.USAGE)


def _write(records: Iterator[RunRecord | RunEvent], what: str, form: str, out: Path | None) -> int:
    kind = RunRecord if what == "runs" else RunEvent
    if form != PARQUET or out is None:
        return write_lines(out, lines_of(records, form, kind))
    from ...parquet import write_parquet

    with whole_file(out) as part:
        return write_parquet(part, records, kind)


def _reader_of_events(desk: Desk, progress: Progress) -> EventsOf:
    began, store = stored_text(datetime.now(UTC)), desk.store
    is_whole = index_events(desk, progress)
    indexed = getattr(store, "indexed_events", store.events) if is_whole else store.events

    def events_of(run: RunRecord) -> Iterable[RunEvent]:
        # To look also for what the journal has had since takes 3 ms a run, and nothing comes to one that was over.
        is_over = run.end_time is not None and run.end_time < began
        return indexed(run.run_id) if is_over else store.events(run.run_id)

    return events_of


def _counted(runs: Iterable[RunRecord], step: Callable[[int], None]) -> Iterator[RunRecord]:
    for run in runs:
        yield run
        step(1)


def _records(
    runs: Iterable[RunRecord], events_of: EventsOf | None, *, with_runs: bool
) -> Iterator[RunRecord | RunEvent]:
    for run in runs:
        if with_runs:
            yield run
        if events_of is not None:
            # An event that came out of the index has no writer and number any more; the journal's are never invented.
            yield from (evolve(event, id=None) for event in events_of(run))
