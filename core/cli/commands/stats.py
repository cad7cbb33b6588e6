"""Answer "how did it go?": counts, failure rates, durations and sums, in groups."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import click
from attrs import evolve

from ....plugins.store import RunQuery
from ...figures import GROUP_KEYS, LLM_METRICS, totals_of
from ..completing import complete_metrics
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..filters import query_of, run_filters
from ..group import DeskCommand
from ..listing import is_table, output_options, write_list, write_one
from ..stats_view import DAYS, Overview, group_columns, overview_lines

__all__ = ["command", "overview_of"]

_GROUPINGS = ("agent", "job", "day", "status", "error")
_MOST_SPARKLINES = 20
_EXAMPLES = (
    ("telemetry stats --since 7d", "the agents of this week"),
    ("telemetry stats --by day --metric cost_usd", "what each day cost"),
)


@click.command("stats", cls=DeskCommand, examples=_EXAMPLES, reads_store=True)
@click.option("--by", type=click.Choice(_GROUPINGS), default="agent", show_default=True, help="What makes a group.")
@run_filters
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Add this metric up; may be repeated.",
    shell_complete=complete_metrics,
)
@click.option("--llm", is_flag=True, help=f"The same as --metric for {', '.join(LLM_METRICS)}.")
@output_options()
@pass_desk
def command(desk: Desk, /, by: str, metrics: tuple[str, ...], llm: bool, form: str | None, **filters: Any) -> None:
    """Count and measure runs, in groups."""
    names = tuple(dict.fromkeys((*metrics, *(LLM_METRICS if llm else ()))))
    query = query_of(desk, filters, limit=None)
    is_shown = is_table(desk.screen, form)
    overview = overview_of(desk, query, by, names, with_days=is_shown)
    if form == "json":
        write_one(desk.screen, overview.to_dict())
    elif is_shown and overview.total:
        for line in overview_lines(desk.screen, overview):
            desk.screen.say(line)
    elif is_shown:
        desk.tell_nothing("No run is like that.")
    else:
        write_list(desk.screen, form, group_columns(desk.screen, overview), overview.groups, dict)


def overview_of(
    desk: Desk, query: RunQuery, by: str = "agent", metrics: tuple[str, ...] = (), *, with_days: bool = True
) -> Overview:
    """
    Return the runs of *query* in groups.

    Args:
        metrics: names of metrics to add up; every run has to be read for them.
        with_days: whether the counts of the last days are told too.
    """
    groups = [{**group, "metrics": {}} for group in desk.store.summary(by, query)]
    if metrics:
        _add_sums(desk, query, by, metrics, groups)
    days = _days(desk, _of_groups(query, by)) if with_days else ()
    if with_days and by in ("agent", "job") and len(groups) <= _MOST_SPARKLINES:
        for group in groups:
            group["days"] = _days(desk, evolve(query, **{by: group["key"]})) if group["key"] else ()
    return Overview(by, groups, metrics, days, _pending(desk, query))


def _add_sums(desk: Desk, query: RunQuery, by: str, metrics: tuple[str, ...], groups: list[dict[str, Any]]) -> None:
    if (sums := getattr(desk.store, "sums", None)) is not None:
        found = sums(by, query, metrics)
        for group in groups:
            group["metrics"] = found.get(group["key"], {})
        return
    if by not in GROUP_KEYS:
        cure = f"--by {'|'.join(GROUP_KEYS)}"
        raise Fault(f"metrics are not added up by {by}", where="--metric", cure=cure, code=Exit.USAGE)
    totals = totals_of(desk.store.runs(query), metrics, by)
    for group in groups:
        group["metrics"] = {name: total.sum for name, total in totals.get(group["key"], {}).items()}


def _of_groups(query: RunQuery, by: str) -> RunQuery:
    """Return the query for the runs that are in a group: by error those without one are in none."""
    return evolve(query, where=(*query.where, "error_summary!=null")) if by == "error" else query


def _days(desk: Desk, query: RunQuery) -> list[int]:
    """Return how many runs began on each of the last days (UTC), the oldest first."""
    today = desk.screen.now().astimezone(UTC).date()
    names = [str(today - timedelta(days=back)) for back in range(DAYS - 1, -1, -1)]
    since = max(query.since or "", f"{names[0]}T00:00:00+00:00")
    counts = {group["key"]: group["runs"] for group in desk.store.summary("day", evolve(query, since=since))}
    return [counts.get(name, 0) for name in names]


def _pending(desk: Desk, query: RunQuery) -> int:
    # The store counts them for all runs only, and where nothing is posted at all the number would say nothing.
    is_whole = query == RunQuery(limit=None)
    posts = any(spec.type == "api" for spec in desk.config.sinks)
    return int(desk.store.stats()["pending_api_posts"]) if is_whole and posts else 0
