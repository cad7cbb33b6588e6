"""Bring the database to our schema, once, whichever host is first; what is newer or not ours is left as it is."""

from __future__ import annotations

from functools import cache
from importlib import resources

from ...plugins.errors import StoreError
from .connection import Connection

__all__ = ["NEWEST", "bring_up", "check", "steps"]

# Any number that no other program locks; ours spells "tele" in ASCII.
_LOCK = 0x74656C65
_LEDGER = """
CREATE TABLE telemetry_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)
"""


@cache
def steps() -> dict[int, str]:
    """Return the names of the .sql files by their numbers, in order."""
    names = sorted(file.name for file in resources.files(__package__).iterdir() if file.name.endswith(".sql"))
    return {int(name.partition("_")[0]): name for name in names}


NEWEST = max(steps())
"""The number of the last step that this version knows."""


def bring_up(connection: Connection, place: str) -> None:
    """
    Make or update the tables; costs one query where nothing is to be done.

    Of many hosts that come at once one does the work and the others wait for it.

    Raises:
        StoreError: a later version was here, or another program's table is in the way.
        psycopg.Error: the server refuses it.
    """
    if _version(connection) == NEWEST:
        return
    with connection.transaction():
        # Held to the end of the transaction: freed by the server even when this process is killed.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        done = _version(connection)
        _refuse_strangers(connection, done, place)
        if done is None:
            connection.execute(_LEDGER)
        for number, name in steps().items():
            if number > (done or 0):
                connection.execute(resources.files(__package__).joinpath(name).read_text("utf-8"))
                connection.execute("INSERT INTO telemetry_migrations (number, name) VALUES (%s, %s)", (number, name))


def check(connection: Connection, place: str) -> bool:
    """
    Return whether our tables are there, for a reader, who makes none.

    Raises:
        StoreError: a later version made them, or another program did; or there is no schema to look in.
    """
    done = _version(connection)
    _refuse_strangers(connection, done, place)
    if done is None and connection.execute("SELECT cardinality(current_schemas(false))").fetchone() == (0,):
        raise StoreError(
            f"{place}: the search path names no schema that is there and that this user may use",
            "CREATE SCHEMA makes one, GRANT USAGE lets a user in",
        )
    if done is not None and done < NEWEST:
        raise StoreError(f"{place} is at step {done} of the schema, and {NEWEST} is needed", "let an agent write to it")
    return done is not None


def _version(connection: Connection) -> int | None:
    """Return the number of the last step that was done, None when there was none."""
    if not _has_table(connection, "telemetry_migrations"):
        return None
    row = connection.execute("SELECT max(number) FROM telemetry_migrations").fetchone()
    return row[0] if row else None


def _has_table(connection: Connection, name: str) -> bool:
    # Not to_regclass(): that asks a cache which still says "no" to those who waited for the lock meanwhile.
    sql = (
        "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE c.relname = %s AND n.nspname = ANY (current_schemas(false))"
    )
    return connection.execute(sql, (name,)).fetchone() is not None


def _refuse_strangers(connection: Connection, done: int | None, place: str) -> None:
    if done is not None and done > NEWEST:
        raise StoreError(
            f"{place} has step {done} of the schema, and this version knows {NEWEST}", "update local-telemetry"
        )
    if done is None and _has_table(connection, "agent_runs"):
        raise StoreError(
            f"{place} has a table agent_runs that another program made, and it is left as it is",
            "name another database, or another schema by ?options=-csearch_path%3Dtelemetry behind the URL",
        )
