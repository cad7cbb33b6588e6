"""Answer "is it getting worse?": a metric over runs, or over the events of one run, as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import click
from attrs import evolve

from ....plugins.ids import parse_time
from ....plugins.records import RunRecord
from ....plugins.store import RunQuery
from ...figures import number_in
from ...plotting import Point, Scale, columns_of, svg_of
from ..completing import complete_metrics, complete_runs
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..filters import query_of, run_filters
from ..group import DeskCommand
from ..letters import one_line, padded, width_of
from ..listing import is_table, output_options, write_list
from ..nothing import no_number_in_events, no_number_in_runs, no_runs
from ..numbers import Whole
from ..outputs import is_standard_output, need_place_for
from ..screen import Screen
from ..table import Column
from ..words import clock_text, duration_text, number_text, plural

__all__ = ["command"]

_DURATION = "duration_ms"
_COUNTS = ("duration", "items_discovered", "items_succeeded", "items_failed")
_HEIGHT = 10
_UNITS_MS = (1.0, 1000.0, 60_000.0, 3_600_000.0, 86_400_000.0)
_EXAMPLES = (
    ("telemetry plot duration --agent nightly --since 30d", "how long the runs of one agent took"),
    ("telemetry plot cost_usd --out cost.svg", "what runs cost, as a picture for a browser"),
)


@click.command("plot", cls=DeskCommand, examples=_EXAMPLES, apart=(("out", "form"),), reads_store=True)
@click.argument("metric", shell_complete=complete_metrics)
@run_filters
@click.option(
    "--run",
    "run",
    metavar="RUN",
    help="Over the events of this run: METRIC is a name in their payloads.",
    shell_complete=complete_runs,
)
@click.option("--type", "event_type", metavar="NAME", help="With --run: only events of this type.")
@click.option("--limit", "-n", type=Whole(1), default=1000, show_default=True, help="The newest runs only.")
@click.option("--out", type=click.Path(path_type=Path), help="Write an SVG picture to this file; - is standard output.")
@output_options()
@pass_desk
def command(
    desk: Desk,
    /,
    metric: str,
    run: str | None,
    event_type: str | None,
    limit: int,
    out: Path | None,
    form: str | None,
    **filters: Any,
) -> None:
    """
    Draw a metric over runs.

    METRIC is a metric of the runs, `duration`, or a count such as items_failed; with --run it is looked for in the
    payloads of the events of one run.
    """
    if out is not None:
        need_place_for(out)
    name = _DURATION if metric == "duration" and run is None else metric
    points, has_more = _points(desk, name, run, event_type, query_of(desk, filters, limit=limit))
    if out is not None:
        _write_svg(desk.screen, out, name, points)
    elif is_table(desk.screen, form):
        _draw(desk.screen, name, points)
    else:
        write_list(desk.screen, form, _columns(), points)
    if has_more and (out is not None or is_table(desk.screen, form)):
        desk.screen.tell(desk.screen.style(f"the newest {plural(limit, 'run')} only, there are more: --limit N", "dim"))


def _points(
    desk: Desk, name: str, run: str | None, event_type: str | None, query: RunQuery
) -> tuple[list[Point], bool]:
    """
    Return the points, the oldest first, and whether there are older runs than the limit lets in.

    Raises:
        Fault: there is no point.
    """
    if run is not None:
        return _points_of_run(desk, desk.find_run(run), name, event_type), False
    # One more than is shown tells whether there are more.
    runs = iter(desk.store.runs(evolve(query, limit=None if query.limit is None else query.limit + 1)))
    points = list(_points_of_runs(islice(runs, query.limit), name))[::-1]
    if not points:
        raise no_runs(desk, query) or no_number_in_runs(desk, _named(name), _COUNTS) or _none_of_these(name)
    return points, next(runs, None) is not None


def _none_of_these(name: str) -> Fault:
    told = f"none of these runs has a number for {_named(name)!r}"
    return Fault(told, cure="the same with fewer filters, or a larger --limit", code=Exit.NOT_FOUND)


def _named(name: str) -> str:
    return "duration" if name == _DURATION else name


def _points_of_run(desk: Desk, run: RunRecord, name: str, event_type: str | None) -> list[Point]:
    points = list(_points_of_events(desk, run, name, event_type))
    if not points:
        raise no_number_in_events(desk.store.events(run.run_id), name)
    return points


def _points_of_runs(runs: Iterator[RunRecord], name: str) -> Iterator[Point]:
    for run in runs:
        value = number_in(run.metrics.get(name, getattr(run, name, None)))
        at = _seconds(run.start_time)
        if value is not None and at is not None:
            yield Point(at, value, run.run_id, run.status == "failed")


def _points_of_events(desk: Desk, run: RunRecord, name: str, event_type: str | None) -> Iterator[Point]:
    for event in desk.store.events(run.run_id, event_type):
        value = number_in(event.payload.get(name)) if isinstance(event.payload, dict) else None
        at = _seconds(event.timestamp)
        if value is not None and at is not None:
            yield Point(at, value, event.event_type)


def _seconds(text: str) -> float | None:
    try:
        return parse_time(text).timestamp()
    except ValueError:
        return None  # an earlier writer's time has no place on the axis


def _columns() -> list[Column[Point]]:
    return [
        Column(name="at", value=lambda point: datetime.fromtimestamp(point.at, UTC).isoformat()),
        Column(name="value", value=lambda point: point.value),
        Column(name="label", value=lambda point: point.label),
        Column(name="is_failed", value=lambda point: point.is_failed),
    ]


def _write_svg(screen: Screen, out: Path, name: str, points: Sequence[Point]) -> None:
    scale = _scale(name, points, most_ticks=5)
    first, last = _ends(screen, points)
    named = [evolve(point, label=f"{point.label}: {_told(name, point.value)}") for point in points]
    labels = [_told(name, tick) for tick in scale.ticks]
    picture = svg_of(named, scale, title=_title(name, points), labels=labels, x_labels=(first, last))
    if is_standard_output(out):
        screen.out.write(picture)
        return
    out.write_text(picture, "utf-8")
    screen.tell(f"{out}: {plural(len(points), 'point')}")


def _scale(name: str, points: Sequence[Point], *, most_ticks: int) -> Scale:
    values = [point.value for point in points]
    largest = max(values)
    units = [unit for unit in _UNITS_MS if unit <= largest] if name.endswith("_ms") else []
    return Scale.over(values, most_ticks=most_ticks, unit=max(units, default=1.0))


def _told(name: str, value: float) -> str:
    return duration_text(value) if name.endswith("_ms") else number_text(value)


def _title(name: str, points: Sequence[Point]) -> str:
    return f"{one_line(name.removesuffix('_ms'))}, {plural(len(points), 'point')}"


def _ends(screen: Screen, points: Sequence[Point]) -> tuple[str, str]:
    now = screen.now()
    moments = [datetime.fromtimestamp(points[number].at, UTC).isoformat() for number in (0, -1)]
    return clock_text(moments[0], now), clock_text(moments[1], now)


def _draw(screen: Screen, name: str, points: Sequence[Point]) -> None:
    scale = _scale(name, points, most_ticks=_HEIGHT // 2)
    labels = {_row_of(scale, tick): _told(name, tick) for tick in scale.ticks}
    margin = max(map(width_of, labels.values()))
    columns = columns_of(points, screen.width - margin - 3)
    screen.say(screen.style(_title(name, points), "bold"))
    for row in range(_HEIGHT, -1, -1):
        label = screen.style(padded(labels.get(row, ""), margin, is_right=True), "dim")
        screen.say(f"{label}  {''.join(_mark(screen, scale, column, row) for column in columns)}".rstrip())
    first, last = _ends(screen, points)
    gap = len(columns) - width_of(first) - width_of(last)
    told = f"{first}{'':{gap}}{last}" if gap > 0 else f"{first} {screen.symbol('arrow')} {last}"
    screen.say(screen.style(f"{'':{margin}}  {told}", "dim"))


def _row_of(scale: Scale, value: float) -> int:
    return round(scale.share(value) * _HEIGHT)


def _mark(screen: Screen, scale: Scale, column: Sequence[Point], row: int) -> str:
    # A column that stands for several runs shows their mean; a failed one among them colours it.
    if row > _row_of(scale, fmean(point.value for point in column)):
        return " "
    style = "failed" if any(point.is_failed for point in column) else "accent"
    return screen.style(screen.symbol("full") if row else screen.symbol("dash"), style)
