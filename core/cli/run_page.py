"""Lay one run out as a page: what it was, how it ended, its figures, its error, its story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from ...plugins.records import RunRecord
from ..timeline import Timeline
from .event_view import timeline_columns
from .letters import one_line, padded, printable, width_of, wrapped
from .run_view import duration_of, run_columns
from .screen import Screen
from .table import Cell, Column, table_lines
from .words import age_text, clock_text, count_text, duration_text, figure_text, is_number, plural, value_text

__all__ = ["RunPage", "page_lines"]

_LABEL = 10
_INDENT = 2
_MARGIN = " " * _INDENT
_WIDEST_NAME = 30
_MOST_VALUES = 40
_TEXTS = (
    *("input_summary", "output_summary", "insight_id", "product", "platform", "product_family", "subdomain"),
    *("git_repo", "git_branch", "git_run_tag"),
)


@frozen
class RunPage:
    """
    All that is told of one run.

    `events` is None when they were not asked for; `parent` and `children` are the runs around it. Where events of one
    type were asked for and there are none, `missing_type` names it and `types` counts those that there are.
    """

    run: RunRecord
    events: Timeline | None = None
    commits: list[dict[str, Any]] = field(factory=list)
    parent: RunRecord | None = None
    children: list[RunRecord] = field(factory=list)
    missing_type: str | None = None
    types: Counter[str] = field(factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Return the run's fields, and the rest under names of their own."""
        events = [moment.event.to_dict() for moment in self.events or ()]
        counts = dict(self.events.counts) if self.events is not None else {}
        children = [child.run_id for child in self.children]
        around = {"commits": self.commits, "children": children, "event_counts": counts, "events": events}
        return {**self.run.to_dict(), **around}


def page_lines(screen: Screen, page: RunPage) -> Iterator[str]:
    """Yield the lines of the page, in as many columns as the terminal has."""
    yield from _heading(screen, page.run)
    yield ""
    yield from _facts(screen, page)
    yield from _error(screen, page.run)
    yield from _values(screen, "Metrics", page.run.metrics, figure_text)
    attributes = {name: value for name, value in page.run.attributes.items() if name != "traceback"}
    yield from _values(screen, "Attributes", attributes, value_text)
    yield from _commits(screen, page.commits)
    yield from _children(screen, page.children)
    if page.missing_type is not None:
        yield from _missing_type(screen, page.missing_type, page.types)
    elif page.events is not None:
        yield from _timeline(screen, page.events)


def _heading(screen: Screen, run: RunRecord) -> Iterator[str]:
    name = one_line(run.agent_name) + (f" {screen.symbol('dot')} {one_line(run.job_type)}" if run.job_type else "")
    status = screen.style(screen.status(run.status), run.status, "bold")
    yield f"{status}  {screen.style(screen.cut(name, screen.width - 12), 'bold')}"
    yield screen.style(printable(run.run_id), "dim")


def _facts(screen: Screen, page: RunPage) -> Iterator[str]:
    for label, text in _labelled(screen, page):
        if text:
            yield from _fact(screen, label, text)


def _labelled(screen: Screen, page: RunPage) -> Iterator[tuple[str, str]]:
    run, now = page.run, screen.now()
    yield "started", f"{clock_text(run.start_time, now)}, {age_text(run.start_time, now)}"
    yield "took", _took(screen, run)
    yield "came to", run.status_detail or ""
    yield "items", _items(screen, run)
    yield "trigger", run.trigger_type
    yield "owner", run.agent_owner or ""
    yield "host", run.host or ""
    for name in _TEXTS:
        yield name.replace("_", " ").removesuffix(" summary"), getattr(run, name) or ""
    yield "part of", _parent(page)
    yield "posted", clock_text(run.api_posted_at, now) if run.api_posted else ""
    yield "mended", ", ".join(run.coerced)


def _took(screen: Screen, run: RunRecord) -> str:
    text = duration_text(duration_of(run, screen.now()))
    return f"{text} so far" if run.is_running and text else text


def _items(screen: Screen, run: RunRecord) -> str:
    counts = (("found", run.items_discovered), ("done", run.items_succeeded), ("failed", run.items_failed))
    return f" {screen.symbol('dot')} ".join(f"{count_text(count)} {word}" for word, count in counts if count)


def _parent(page: RunPage) -> str:
    if page.parent is None:
        return page.run.parent_run_id or ""
    return f"{page.parent.agent_name}  {page.parent.run_id}"


def _fact(screen: Screen, label: str, text: str) -> Iterator[str]:
    room = screen.width - _LABEL - 4
    for number, line in enumerate(wrapped(one_line(text), room)):
        head = padded(screen.cut(label, _LABEL), _LABEL) if number == 0 else " " * _LABEL
        yield f"{_MARGIN}{screen.style(head, 'dim')}  {line}"


def _section(screen: Screen, title: str, detail: str = "") -> Iterator[str]:
    yield ""
    yield screen.style(title, "bold") + (f"  {screen.style(detail, 'dim')}" if detail else "")


def _error(screen: Screen, run: RunRecord) -> Iterator[str]:
    traceback = run.attributes.get("traceback")
    if not run.error_summary and not traceback:
        return
    yield from _section(screen, "Error")
    for line in wrapped(printable(run.error_summary or ""), screen.width - _INDENT):
        yield f"{_MARGIN}{screen.style(line, 'failed')}"
    if isinstance(traceback, str):
        yield ""
        for line in printable(traceback).rstrip().splitlines():
            yield f"{_MARGIN}{screen.style(line, 'dim')}"


def _values(screen: Screen, title: str, values: Mapping[str, Any], told: Callable[[Any], str]) -> Iterator[str]:
    if not values:
        return
    yield from _section(screen, title)
    shown = [(one_line(name), value) for name, value in list(values.items())[:_MOST_VALUES]]
    name_width = min(max(width_of(name) for name, _ in shown), _WIDEST_NAME)
    number_width = max((width_of(told(value)) for _, value in shown if is_number(value)), default=0)
    for name, value in shown:
        label = screen.style(padded(screen.cut(name, name_width), name_width), "dim")
        text = padded(told(value), number_width if is_number(value) else 0, is_right=True)
        yield f"{_MARGIN}{label}  {screen.cut(text, screen.width - name_width - 4)}"
    if len(values) > _MOST_VALUES:
        yield screen.style(f"{_MARGIN}{plural(len(values) - _MOST_VALUES, 'more value')}: --json", "dim")


def _commits(screen: Screen, commits: list[dict[str, Any]]) -> Iterator[str]:
    if not commits:
        return
    yield from _section(screen, "Commits")
    columns: list[Column[dict[str, Any]]] = [
        Column(name="commit", value=_key("commit_hash"), cell=lambda row: Cell(str(row["commit_hash"])[:10], "accent")),
        Column(name="message", value=_key("message"), cell=lambda row: Cell(_first_line(row.get("message"))), least=20),
        Column(name="author", value=_key("author"), rank=2),
        Column(name="branch", value=_key("branch"), rank=1),
        Column(name="changes", value=_changes, rank=3),
    ]
    yield from table_lines(screen, columns, commits, indent=_INDENT)


def _key(name: str) -> Any:
    return lambda row: row.get(name)


def _first_line(text: Any) -> str:
    return one_line(str(text or "").partition("\n")[0])


def _changes(commit: dict[str, Any]) -> str:
    if commit.get("files_changed") is None:
        return ""
    return f"+{commit.get('insertions') or 0} -{commit.get('deletions') or 0} in {commit['files_changed']}"


def _children(screen: Screen, children: list[RunRecord]) -> Iterator[str]:
    if children:
        yield from _section(screen, "Children", plural(len(children), "run"))
        yield from table_lines(screen, run_columns(screen), children, indent=_INDENT)


def _missing_type(screen: Screen, missing: str, types: Counter[str]) -> Iterator[str]:
    yield from _section(screen, "Events", f"no event of type {missing!r}")
    told = f"there are {_counted(types)}" if types else "the run has no events at all"
    for line in wrapped(told, screen.width - _INDENT):
        yield _MARGIN + screen.style(line, "dim")


def _counted(types: Counter[str]) -> str:
    return ", ".join(f"{one_line(name)} {count_text(number)}" for name, number in types.most_common(6))


def _timeline(screen: Screen, timeline: Timeline) -> Iterator[str]:
    if not timeline.total:
        return
    yield from _section(screen, "Events", screen.cut(_counted(timeline.counts), screen.width - 10))
    lines = list(table_lines(screen, timeline_columns(), timeline, indent=_INDENT))
    cut_at = 1 + len(timeline.first)
    yield from lines[:cut_at]
    if timeline.left_out:
        told = f"{screen.symbol('ellipsis')} {count_text(timeline.left_out)} more: --events"
        yield _MARGIN + screen.style(told, "dim")
    yield from lines[cut_at:]
