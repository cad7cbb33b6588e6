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
        keeps_end: whether it is cut in front, as a path whose end tells more.
        least: columns that it may be cut to where space is short; None when it is never cut.
        scant: columns that it is cut to at most where it would be left out else; as *least* when left out.
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
    keeps_end: bool = False
    least: int | None = None
    scant: int | None = None
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
    """A column with its number among all columns, the width that it gets, and the least that it can do with."""

    column: Column[Row]
    number: int
    width: int
    least: int
    heading: str


def table_lines(
    screen: Screen,
    columns: Sequence[Column[Row]],
    rows: Iterable[Row],
    indent: int = 0,
    *,
    note_left_out: Callable[[list[str]], None] | None = None,
) -> Iterator[str]:
    """
    Yield the lines of a table: a heading, then one line a row; nothing where there are no rows.

    Rows may go on for ever: the first 200 decide the widths. A column that is empty in all of them is left out.

    Args:
        note_left_out: is told the names of the columns for which there is no room.
    """
    stream = iter(rows)
    shown = [column for column in columns if column.is_shown]
    first = [[column.cell_of(row) for column in shown] for row in islice(stream, _MEASURED_ROWS)]
    if not first:
        return
    fitted, left_out = _fit(shown, first, screen.width - indent)
    if note_left_out is not None:
        note_left_out([each.column.name for each in left_out])
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
    text = (screen.cut_in_front if fitted.column.keeps_end else screen.cut)(cell.text, fitted.width)
    blanks = padded("", fitted.width - width_of(text))
    # The blanks are outside of the style, so that nothing is coloured but the letters.
    styled = screen.style(text, cell.style)
    return blanks + styled if fitted.column.is_right else styled + blanks


def _fit(
    columns: Sequence[Column[Row]], cells: list[list[Cell]], width: int
) -> tuple[list[_Fitted[Row]], list[_Fitted[Row]]]:
    """Return the columns that are shown, and those for which there is no room."""
    fitted = []
    for number, column in enumerate(columns):
        widest = max(width_of(row[number].text) for row in cells)
        if widest:
            fitted.append(_measured(column, number, max(widest, width_of(column.heading))))
    left_out = _leave_out(fitted, width)
    fitted, left_out = _bring_back(fitted, left_out, width)
    _rename(fitted)
    _shrink(fitted, width)
    return fitted, left_out


def _measured(column: Column[Row], number: int, width: int) -> _Fitted[Row]:
    least = width if column.least is None else min(width, column.least)
    return _Fitted(column, number, width, least, column.heading)


def _leave_out(fitted: list[_Fitted[Row]], width: int) -> list[_Fitted[Row]]:
    """Take out columns, the highest rank first, until the rest fits, and return them."""
    left_out = []
    while len(fitted) > 1 and _least_total(fitted) > width:
        left_out.append(max(fitted, key=lambda each: (each.column.rank, each.number)))
        fitted.remove(left_out[-1])
    return left_out


def _bring_back(
    fitted: list[_Fitted[Row]], left_out: list[_Fitted[Row]], width: int
) -> tuple[list[_Fitted[Row]], list[_Fitted[Row]]]:
    """Show again what still fits and cuts nothing that is shown; return the columns that are shown, and the others."""
    # A wide column had to go after a narrow one of a higher rank, which alone would have fitted.
    if _total(fitted) > width:
        return fitted, sorted(left_out, key=_number)
    for each in fitted:
        each.least = each.width
    missing: list[_Fitted[Row]] = []
    for each in reversed(left_out):
        if each.column.scant is not None:
            each.least = min(each.least, each.column.scant)
        fits = _least_total([*fitted, each]) <= width
        (fitted if fits else missing).append(each)
    return sorted(fitted, key=_number), sorted(missing, key=_number)


def _number(fitted: _Fitted[Row]) -> int:
    return fitted.number


def _rename(fitted: list[_Fitted[Row]]) -> None:
    """Give a column that shared the heading of the one before it a heading of its own, where that one is gone."""
    kept = {each.number for each in fitted}
    for each in fitted:
        if each.column.alone is not None and each.number - 1 not in kept:
            each.heading = each.column.alone.upper()


def _total(fitted: list[_Fitted[Row]]) -> int:
    return sum(each.width for each in fitted) + _GAP * (len(fitted) - 1)


def _least_total(fitted: list[_Fitted[Row]]) -> int:
    return sum(each.least for each in fitted) + _GAP * (len(fitted) - 1)


def _shrink(fitted: list[_Fitted[Row]], width: int) -> None:
    """Take one column of width after the other from what is widest and may be cut, until all fits."""
    excess = _total(fitted) - width
    for _ in range(excess):
        candidates = [each for each in fitted if each.width > each.least]
        if not candidates:
            return
        max(candidates, key=lambda each: each.width).width -= 1
