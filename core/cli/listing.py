"""Write a list in the form that was asked for: table, plain columns, JSON, lines of JSON, CSV."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import click

from .letters import printable
from .screen import Screen
from .table import Column, table_lines
from .words import json_text, plain_text

__all__ = ["FORMS", "is_table", "output_options", "write_list", "write_one"]

Row = TypeVar("Row")
Command = TypeVar("Command", bound=Callable[..., Any])

FORMS = {
    "json": "JSON",
    "nl": "one JSON object a line",
    "csv": "CSV with a heading",
    "tsv": "columns with tabs between them, as in a pipe",
}
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def output_options(*forms: str) -> Callable[[Command], Command]:
    """Return a decorator that adds a flag for each of *forms* (all when none is named); the command gets `form`."""

    def decorate(command: Command) -> Command:
        for form in reversed(forms or tuple(FORMS)):
            option = click.option(f"--{form}", "form", flag_value=form, help=f"Write {FORMS[form]}.")
            command = option(command)
        return command

    return decorate


def is_table(screen: Screen, form: str | None) -> bool:
    """Tell whether a list is shown as a table: on a terminal, when no other form was asked for."""
    return form is None and screen.is_terminal


def write_list(
    screen: Screen,
    form: str | None,
    columns: Sequence[Column[Row]],
    rows: Iterable[Row],
    as_dict: Callable[[Row], dict[str, Any]] | None = None,
    *,
    note_left_out: Callable[[list[str]], None] | None = None,
) -> None:
    """
    Write *rows* in a *form*; streams, so that a list of any length takes no memory.

    Args:
        form: a name among `FORMS`; None is a table on a terminal and `tsv` elsewhere.
        as_dict: returns the JSON object of a row; without it the columns by name.
        note_left_out: is told the names of the columns for which a table has no room.
    """
    piped = [column for column in columns if column.is_piped]
    to_dict = as_dict or (lambda row: {column.name: column.value(row) for column in piped})
    if is_table(screen, form):
        _say_all(screen, table_lines(screen, columns, rows, note_left_out=note_left_out))
    elif form == "json":
        _say_all(screen, _json_array(map(to_dict, rows)))
    elif form == "nl":
        _say_all(screen, (json_text(to_dict(row)) for row in rows))
    else:
        _write_columns(screen, form, piped, rows)


def write_one(screen: Screen, value: Any) -> None:
    """Write one answer as JSON, indented."""
    screen.say(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _say_all(screen: Screen, lines: Iterable[str]) -> None:
    for line in lines:
        screen.say(line)


def _json_array(values: Iterator[dict[str, Any]]) -> Iterator[str]:
    # A row a line: it streams, it is one JSON document, and grep can read it too.
    held = None
    yield "["
    for value in values:
        if held is not None:
            yield f"{held},"
        held = json_text(value)
    if held is not None:
        yield held
    yield "]"


def _write_columns(screen: Screen, form: str | None, columns: Sequence[Column[Row]], rows: Iterable[Row]) -> None:
    heading = [column.name for column in columns]
    if form == "csv":
        from ..exporting import RowWriter

        writer = RowWriter(screen.out)
        writer.write(heading)
        for row in rows:
            writer.write([plain_text(column.value(row)) for column in columns])
        return
    screen.say("\t".join(heading))
    for row in rows:
        screen.say("\t".join(_field(column.value(row)) for column in columns))


def _field(value: Any) -> str:
    return printable(plain_text(value).translate(_ESCAPED))
