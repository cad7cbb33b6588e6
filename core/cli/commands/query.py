"""Answer what no other command does: the user's own SQL over the store, which it cannot change."""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import click

from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..group import DeskCommand
from ..listing import output_options, write_list
from ..long_work import long_work
from ..stores import database_path, index_events, journal_path, read_only_database
from ..table import Column
from ..words import plural

__all__ = ["command"]

_EXAMPLES = (
    ('telemetry query "SELECT status, count(*) FROM runs GROUP BY status"', "count runs by status"),
    ("telemetry query - --csv < report.sql", "read the SQL from a file, write CSV"),
    ('telemetry query --raw "SELECT event_type, count(*) FROM events GROUP BY 1"', "ask the journal itself"),
)
_HELP = "telemetry query --help, which has examples"
Row = tuple[Any, ...]


@click.command("query", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("sql")
@click.option("--raw", "is_raw", is_flag=True, help="Ask the journal itself, .gz days included, by DuckDB.")
@output_options()
@pass_desk
def command(desk: Desk, /, sql: str, is_raw: bool, form: str | None) -> None:
    """
    Ask the store in SQL, read only.

    The tables are agent_runs, run_events and commits; the view runs joins what the platform adds, such as
    attributes_json and parent_run_id. SQL may be `-`: it is read from standard input then.

    With --raw the SQL is DuckDB's, and the views are events, run_lines, and lines with each whole line as JSON.
    """
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise Fault("there is no SQL to ask", where="SQL", cure=_HELP, code=Exit.USAGE)
    if is_raw:
        _ask_journal(desk, text, form)
    else:
        _ask_database(desk, text, form)


def _ask_database(desk: Desk, sql: str, form: str | None) -> None:
    path = database_path(desk)
    with long_work(desk.screen, "the same command; what was read of the journal stays read") as progress:
        index_events(desk, progress)
    with read_only_database(path) as connection:
        try:
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise Fault("the SQL asks for nothing", where="the SQL", cure="SELECT only", code=Exit.USAGE)
            names = [column[0] for column in cursor.description]
            _write(desk, form, names, cursor)
        except sqlite3.Error as error:
            raise _fault_of(error, connection) from error


def _ask_journal(desk: Desk, sql: str, form: str | None) -> None:
    from ...duck import raw_answer

    files = sorted(journal_path(desk).glob("events_*.ndjson*"))
    with _deaf_to_python(), raw_answer(files, sql) as answer:
        _write(desk, form, answer.names, answer)


@contextmanager
def _deaf_to_python() -> Iterator[None]:
    """Let ^C end the process by itself: a query of DuckDB may run for hours without a look at Python's signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _write(desk: Desk, form: str | None, names: Sequence[str], answer: Iterable[Row]) -> None:
    rows = iter(answer)
    first = next(rows, None)
    # A column of SQL has no type of its own; what the first row has there is what people expect below it.
    columns = [_column(number, name, None if first is None else first[number]) for number, name in enumerate(names)]
    left_out: list[str] = []
    rows = rows if first is None else chain([first], rows)
    write_list(desk.screen, form, columns, rows, note_left_out=left_out.extend)
    if left_out:
        told = f"no room for {plural(len(left_out), 'column')} more: name those that you want, or --json shows all"
        desk.screen.tell(desk.screen.style(told, "dim"))


def _column(number: int, name: str, example: Any) -> Column[Row]:
    is_right = isinstance(example, int | float)
    return Column(
        name=name, title=name, keeps_case=True, value=lambda row: _readable(row[number]), is_right=is_right, least=12
    )


def _readable(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _fault_of(error: sqlite3.Error, connection: sqlite3.Connection) -> Fault:
    if str(error) == "interrupted":
        raise KeyboardInterrupt
    if "readonly" in str(error):
        return Fault("the store cannot be changed from here", where="the SQL", cure="SELECT only", code=Exit.USAGE)
    return Fault(str(error), where="the SQL", cure=_cure_of(str(error), connection), code=Exit.USAGE)


def _cure_of(told: str, connection: sqlite3.Connection) -> str:
    if told.startswith("no such table"):
        return f"the tables are {', '.join(sorted(_tables(connection)))}"
    if told.startswith("no such column"):
        return 'telemetry query "SELECT * FROM runs LIMIT 1" --json shows the columns'
    return _HELP


def _tables(connection: sqlite3.Connection) -> Iterator[str]:
    sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    return (name for (name,) in connection.execute(sql))
