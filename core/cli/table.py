"""Lay rows out in columns that fit the terminal: what is too wide is cut, what matters least is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Generic, TypeVar

from attrs import define, frozen

from .letters import one_line, padded, width_of
from .screen import Screen
from .words import count_text, plain_text

__all__ = ["Cell", "Column", "table_lines"]

Row = TypeVar("Row")
_GAP = 2
_MEASURED_ROWS = 200


@frozen
class Cell:
    """Text in one place of a table, without control characters, and the style it is shown in."""

    text: str
    style: str = ""


@frozen(kw_only=True)
class Column(Generic[Row]):
    """
    One column of a list.

    Args:
        name: what it is called in pipes and files, and in capitals on the terminal.
        value: returns the plain value of a row, for pipes and files.
        cell: returns what the terminal shows of a row; without it the value in one line, in *style*.
        title: what the terminal calls it; the name when left out.
        keeps_case: whether the title stands as it is.
        is_right: whether numbers line up at their last digit.
        is_count: whether the terminal shows a comma between thousands.
        least: columns that it may be cut to where space is short; None when it is never cut.
        rank: the highest goes first where space is short, and of equal ones the last.
        alone: what the terminal calls it where the column before it is left out.
        is_shown: whether it stands in tables.
        is_piped: whether it stands in pipes and files.
    """

    name: str
    value: Callable[[Row], Any]
    cell: Callable[[Row], Cell] | None = None
    style: str = ""
    title: str | None = None
    keeps_case: bool = False
    is_right: bool = False
    is_count: bool = False
    least: int | None = None
    rank: int = 0
    alone: str | None = None
    is_shown: bool = True
    is_piped: bool = True

    @property
    def heading(self) -> str:
        """The title as it stands over the column."""
        title = self.title if self.title is not None else self.name.replace("_", " ")
        return title if self.keeps_case else title.upper()

    def cell_of(self, row: Row) -> Cell:
        """Return what the terminal shows of *row*."""
        if self.cell is not None:
            return self.cell(row)
        value = self.value(row)
        return Cell(
            count_text(value) if self.is_count and value is not None else one_line(plain_text(value)), self.style
        )


@define
class _Fitted(Generic[Row]):
    """A column with its number among all columns and the width that it gets."""

    column: Column[Row]
    number: int
    width: int
    heading: str


def table_lines(screen: Screen, columns: Sequence[Column[Row]], rows: Iterable[Row], indent: int = 0) -> Iterator[str]:
    """
    Yield the lines of a table: a heading, then one line a row; nothing where there are no rows.

    Rows may go on for ever: the first 200 decide the widths. A column that is empty in all of them is left out.
    """
    stream = iter(rows)
    shown = [column for column in columns if column.is_shown]
    first = [[column.cell_of(row) for column in shown] for row in islice(stream, _MEASURED_ROWS)]
    if not first:
        return
    fitted = _fit(shown, first, screen.width - indent)
    margin = " " * indent
    heading = _line([_headed(screen, each) for each in fitted])
    yield margin + screen.style(heading, "head")
    for cells in chain(first, ([column.cell_of(row) for column in shown] for row in stream)):
        yield margin + _line([_shown(screen, each, cells[each.number]) for each in fitted])


def _headed(screen: Screen, fitted: _Fitted[Row]) -> str:
    text = screen.cut(fitted.heading, fitted.width)
    return padded(text, fitted.width, is_right=fitted.column.is_right)


def _line(parts: list[str]) -> str:
    return (" " * _GAP).join(parts).rstrip()


def _shown(screen: Screen, fitted: _Fitted[Row], cell: Cell) -> str:
    text = screen.cut(cell.text, fitted.width)
    blanks = padded("", fitted.width - width_of(text))
    # The blanks are outside of the style, so that nothing is coloured but the letters.
    styled = screen.style(text, cell.style)
    return blanks + styled if fitted.column.is_right else styled + blanks


def _fit(columns: Sequence[Column[Row]], cells: list[list[Cell]], width: int) -> list[_Fitted[Row]]:
    fitted = []
    for number, column in enumerate(columns):
        widest = max(width_of(row[number].text) for row in cells)
        if widest:
            fitted.append(_Fitted(column, number, max(widest, width_of(column.heading)), column.heading))
    while len(fitted) > 1 and _least_total(fitted) > width:
        fitted.remove(max(fitted, key=lambda each: (each.column.rank, each.number)))
    _rename(fitted)
    _shrink(fitted, width)
    return fitted


def _rename(fitted: list[_Fitted[Row]]) -> None:
    """Give a column that shared the heading of the one before it a heading of its own, where that one is gone."""
    kept = {each.number for each in fitted}
    for each in fitted:
        if each.column.alone is not None and each.number - 1 not in kept:
            each.heading = each.column.alone.upper()


def _least_total(fitted: list[_Fitted[Row]]) -> int:
    return sum(_least(each) for each in fitted) + _GAP * (len(fitted) - 1)


def _least(fitted: _Fitted[Row]) -> int:
    return fitted.width if fitted.column.least is None else min(fitted.width, fitted.column.least)


def _shrink(fitted: list[_Fitted[Row]], width: int) -> None:
    """Take one column of width after the other from what is widest and may be cut, until all fits."""
    excess = sum(each.width for each in fitted) + _GAP * (len(fitted) - 1) - width
    for _ in range(excess):
        candidates = [each for each in fitted if each.column.least is not None and each.width > each.column.least]
        if not candidates:
            return
        max(candidates, key=lambda each: each.width).width -= 1
