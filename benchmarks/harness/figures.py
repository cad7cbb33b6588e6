"""Hold what a benchmark found: figures beside their targets, tables and plots, as values that live in a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

__all__ = ["Figure", "Line", "Plot", "Section", "Table"]


@frozen
class Figure:
    """
    One measured value beside what was asked.

    `limit` is the most that is allowed, or the least where `is_at_least`; None where nothing was asked.
    """

    work: str
    value: float
    unit: str = "x"
    limit: float | None = None
    is_at_least: bool = False
    against: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the value is what was asked, or nothing was asked."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.is_at_least else self.value <= self.limit


@frozen
class Table:
    """Rows under a head; the first column names what the others say something about."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@frozen
class Line:
    """One line of a plot: points from left to right."""

    name: str
    points: tuple[tuple[float, float], ...]


@frozen
class Plot:
    """Lines in one picture; `name` is that of its file. The x axis is logarithmic: sizes and counts double."""

    name: str
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]


@frozen
class Section:
    """What one benchmark found, with the place and the time."""

    name: str
    title: str
    text: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    circumstances: dict[str, str] = field(factory=dict)

    def save(self, directory: Path) -> None:
        """Write the section to its file in *directory*."""
        directory.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (directory / f"{self.name}.json").write_text(text + "\n", "utf-8")


def load(path: Path) -> Section:
    """Return the section that `Section.save()` wrote to *path*."""
    values = json.loads(path.read_text("utf-8"))
    values["figures"] = tuple(Figure(**each) for each in values["figures"])
    values["tables"] = tuple(_table(each) for each in values["tables"])
    values["plots"] = tuple(_plot(each) for each in values["plots"])
    return Section(**values)


def _table(values: dict[str, Any]) -> Table:
    return Table(tuple(values["head"]), tuple(tuple(row) for row in values["rows"]), values["title"])


def _plot(values: dict[str, Any]) -> Plot:
    lines = tuple(Line(each["name"], tuple((x, y) for x, y in each["points"])) for each in values["lines"])
    return Plot(**{**values, "lines": lines})
