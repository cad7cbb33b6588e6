"""Answer what no other command does: the user's own SQL over the store, which it cannot change."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

import click

from ....plugins.store import RunStore
from ..desk import Desk, pass_desk
from ..faults import Exit, Fault
from ..group import DeskCommand
from ..listing import output_options, write_list
from ..stores import database_path, read_only_database
from ..table import Column

__all__ = ["command"]

_EXAMPLES = (
    ('telemetry query "SELECT status, count(*) FROM runs GROUP BY status"', "count runs by status"),
    ("telemetry query - --csv < report.sql", "read the SQL from a file, write CSV"),
)
Row = tuple[Any, ...]


@click.command("query", cls=DeskCommand, examples=_EXAMPLES)
@click.argument("sql")
@output_options()
@pass_desk
def command(desk: Desk, /, sql: str, form: str | None) -> None:
    """
    Ask the store in SQL, read only.

    The tables are agent_runs, run_events and commits; the view runs joins what the platform adds, such as
    attributes_json and parent_run_id. SQL may be `-`: it is read from standard input then.
    """
    path = database_path(desk)
    _catch_up(desk.store)
    with read_only_database(path) as connection:
        try:
            cursor = connection.execute(sys.stdin.read() if sql == "-" else sql)
            names = [column[0] for column in cursor.description or ()]
            write_list(desk.screen, form, [_column(number, name) for number, name in enumerate(names)], iter(cursor))
        except sqlite3.Error as error:
            raise _fault_of(error, connection) from error


def _catch_up(store: RunStore) -> None:
    # The stores of ours can bring in the events too, which otherwise come when somebody asks for them.
    catch_up = getattr(store, "catch_up", store.stats)
    catch_up()


def _column(number: int, name: str) -> Column[Row]:
    return Column(name=name, title=name, keeps_case=True, value=lambda row: _readable(row[number]), least=12)


def _readable(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _fault_of(error: sqlite3.Error, connection: sqlite3.Connection) -> Fault:
    if str(error) == "interrupted":
        raise KeyboardInterrupt
    if "readonly" in str(error):
        return Fault("the store cannot be changed from here", where="the SQL", cure="SELECT only", code=Exit.USAGE)
    tables = ", ".join(sorted(_tables(connection)))
    return Fault(str(error), where="the SQL", cure=f"the tables are {tables}", code=Exit.USAGE)


def _tables(connection: sqlite3.Connection) -> Iterator[str]:
    sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
    return (name for (name,) in connection.execute(sql))
