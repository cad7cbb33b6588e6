"""Answer "what ran?": a list of runs, filtered, sorted, page by page, or live."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import click
from attrs import evolve, frozen

from ....plugins.records import RunRecord
from ....plugins.store import RunQuery
from ..completing import complete_metrics, complete_runs
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..filters import query_of, run_filters
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list
from ..live import show_live
from ..nothing import no_number_in_runs, no_runs
from ..numbers import Number, Whole
from ..run_view import duration_of, run_columns
from ..table import table_lines
from ..words import is_number, plural, short_id

__all__ = ["command"]

_PAGE = 20
_SORTS = ("started", "duration", "agent", "job", "status", "items")
_METRIC = "metrics."
_EXAMPLES = (
    ("telemetry runs --failed --since 2d", "what failed within the last two days"),
    ("telemetry runs --where 'metrics.files>50' --sort duration", "of the runs that met many files, the longest"),
    ("telemetry runs --all --nl", "every run as a line of JSON"),
)


@frozen
class _Request:
    """What is asked for: which runs, in which order, shown with which metrics."""

    query: RunQuery
    sort: str
    is_reversed: bool
    metrics: tuple[str, ...]


@click.command("runs", cls=DeskCommand, examples=_EXAMPLES, apart=(("is_all", "limit"),), reads_store=True)
@run_filters
@click.option(
    "--sort", metavar="WHAT", default="started", help=f"By {', '.join(_SORTS)} or metrics.NAME, largest first."
)
@click.option("--reverse", is_flag=True, help="Turn the order round.")
@click.option("--limit", "-n", type=Whole(1), default=_PAGE, show_default=True, help="How many at most.")
@click.option("--all", "is_all", is_flag=True, help="No limit.")
@click.option(
    "--after",
    metavar="RUN",
    help="Go on behind this run, the last one of the page before.",
    shell_complete=complete_runs,
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Show this metric too; may be repeated.",
    shell_complete=complete_metrics,
)
@click.option("--watch", is_flag=True, help="Keep the list up to date, until ^C.")
@click.option("--interval", type=Number(0.1), default=1.0, show_default=True, help="Seconds, for --watch.")
@output_options()
@pass_desk
def command(desk: Desk, /, form: str | None, watch: bool, interval: float, **options: Any) -> None:
    """List runs, the newest first."""
    request = _request_of(desk, options)
    if watch:
        _refuse_unless_table(desk, form)
        show_live(desk.screen, lambda: _live_lines(desk, request), interval_s=interval)
    elif is_table(desk.screen, form) and request.query.limit is not None:
        _show_page(desk, request, request.query.limit)
    else:
        columns = run_columns(desk.screen, request.metrics)
        write_list(desk.screen, form, columns, _runs(desk, request), RunRecord.to_dict)


def _request_of(desk: Desk, options: dict[str, Any]) -> _Request:
    sort, is_reversed = options["sort"], options["reverse"]
    if sort not in _SORTS and not sort.startswith(_METRIC):
        raise Fault(f"runs cannot be sorted by {sort!r}", where="--sort", cure=_sort_cure(sort), code=Exit.USAGE)
    by_start = sort == "started"
    if options["after"] and not by_start:
        raise Fault("pages follow the start of the runs; --after does not go with --sort", code=Exit.USAGE)
    query = query_of(
        desk,
        options,
        limit=None if options["is_all"] else options["limit"],
        after=_key_of(desk, options["after"]),
        oldest_first=is_reversed and by_start,
    )
    return _Request(query, sort, is_reversed, options["metrics"])


def _sort_cure(sort: str) -> str:
    return f"choose one of {', '.join(_SORTS)}; a metric is written {_METRIC}{sort}"


def _key_of(desk: Desk, part: str | None) -> tuple[str, str] | None:
    if part is None:
        return None
    run = desk.find_run(part)
    return run.start_time, run.run_id


def _refuse_unless_table(desk: Desk, form: str | None) -> None:
    if not is_table(desk.screen, form):
        raise Fault("--watch needs a terminal, and no other form than the table", code=Exit.USAGE)


def _runs(desk: Desk, request: _Request) -> Iterator[RunRecord]:
    """Yield the runs in the order that was asked for; only another order than by start has to see them all first."""
    if request.sort == "started":
        return desk.store.runs(request.query)
    limit, sort = request.query.limit, request.sort
    found = _first(_candidates(desk, request), limit, _sort_key(desk, sort), request.is_reversed)
    if not found and sort.startswith(_METRIC):
        _refuse_unknown(desk, request)
    return iter(found)


def _refuse_unknown(desk: Desk, request: _Request) -> None:
    # No run at all is an empty list, and so are runs without a number that others have: only a slip is a fault.
    fault = no_number_in_runs(desk, request.sort.removeprefix(_METRIC))
    if fault is not None and no_runs(desk, request.query) is None:
        raise fault


def _candidates(desk: Desk, request: _Request) -> Iterable[RunRecord]:
    """Return all runs, or only those that can be among the first where the store can tell them."""
    every = evolve(request.query, limit=None)
    top_runs = getattr(desk.store, "top_runs", None)
    if top_runs is None or request.query.limit is None:
        return desk.store.runs(every)
    found = list(top_runs(every, request.sort, request.query.limit, is_smallest=request.is_reversed))
    if request.sort == "duration" and every.status in (None, "running"):
        # How long they have been going on is known here, not in the store.
        found += desk.store.runs(evolve(every, status="running"))
    return {run.run_id: run for run in found}.values()


def _first(
    runs: Iterable[RunRecord], limit: int | None, key: Callable[[RunRecord], Any], is_reversed: bool
) -> list[RunRecord]:
    known = (run for run in runs if key(run) is not None)
    if limit is None:
        return sorted(known, key=key, reverse=not is_reversed)
    # A heap of the limit's size: a million runs never stand in memory at once.
    return heapq.nsmallest(limit, known, key=key) if is_reversed else heapq.nlargest(limit, known, key=key)


def _sort_key(desk: Desk, sort: str) -> Callable[[RunRecord], Any]:
    if sort.startswith(_METRIC):
        return lambda run: _number(run.metrics.get(sort.removeprefix(_METRIC)))
    if sort == "duration":
        now = desk.screen.now()
        return lambda run: duration_of(run, now)
    names = {"agent": "agent_name", "job": "job_type", "status": "status", "items": "items_discovered"}
    return lambda run: getattr(run, names[sort])


def _number(value: Any) -> float | None:
    return value if is_number(value) else None


def _show_page(desk: Desk, request: _Request, limit: int) -> None:
    # One more than is shown tells whether there is a next page.
    found = list(_runs(desk, evolve(request, query=evolve(request.query, limit=limit + 1))))
    shown = found[:limit]
    write_list(desk.screen, None, run_columns(desk.screen, request.metrics), shown)
    if not shown:
        desk.tell_nothing(_nothing_told(desk, request))
    elif len(found) > limit:
        _tell_more(desk, request, shown)


def _nothing_told(desk: Desk, request: _Request) -> str:
    has_runs = request.sort.startswith(_METRIC) and no_runs(desk, request.query) is None
    return f"None of these runs has a number for {request.sort}." if has_runs else "No run is like that."


def _tell_more(desk: Desk, request: _Request, shown: list[RunRecord]) -> None:
    screen = desk.screen
    told = f"{plural(len(shown), 'run')} shown, there are more: "
    way = f"--after {short_id(shown[-1].run_id)}" if request.sort == "started" else "--limit N, --all"
    screen.say(screen.style(f"{told}{way}", "dim"))


def _live_lines(desk: Desk, request: _Request) -> Iterator[str]:
    screen = desk.screen
    yield screen.style(f"{screen.now():%H:%M:%S}  {desk.place}  ^C ends", "dim")
    yield ""
    yield from table_lines(screen, run_columns(screen, request.metrics), islice(_runs(desk, request), 200))
