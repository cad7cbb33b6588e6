"""Open a connection that notices a dead network, speaks UTF-8, and shows its password to nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

from .faults import OutOfReach, said_of
from .options import Access
from .parameters import parameters_of

__all__ = ["Connection", "bounded", "opened"]

_PREPARE_AFTER = 5
_MOST_MS = 2**31 - 1
_GRACE_S = 5.0
"""So much longer than the limit of a statement we wait for the server to say that it is over."""
_Result = TypeVar("_Result")


class Connection(psycopg.Connection[Any]):
    """
    A connection that may be left open until the process ends, or to the parent of a fork.

    Attributes:
        patience_s: how long the server may say nothing while it is asked something.
    """

    patience_s: float = 60.0

    def wait(self, gen: PQGen[_Result], *args: Any, **settings: Any) -> _Result:
        """Wait for an answer, as psycopg does, but not for ever."""
        return super().wait(self._impatient(gen), *args, **settings)

    def _impatient(self, gen: PQGen[_Result]) -> PQGen[_Result]:
        # The server's own limits hold nothing where it hangs itself, as on a disk that does not answer; and as long as
        # its machine takes our packets, TCP finds nothing wrong with it.
        ready: int | None = None
        end = time.monotonic() + self.patience_s
        while True:
            try:
                state = next(gen) if ready is None else gen.send(ready)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            ready = yield state
            if ready:
                end = time.monotonic() + self.patience_s
            elif time.monotonic() > end:
                self.pgconn.finish()  # what comes in mid answer must not be taken for the next one
                raise psycopg.OperationalError(
                    f"the server takes our bytes and gives no answer in {self.patience_s:g} s"
                )

    def __del__(self, *_: Any) -> None:
        """Say nothing: psycopg's own method, in whose place this stands, warns of a connection that is open."""


def opened(access: Access, *, prepares: bool = True) -> Connection:
    """
    Return a new connection in autocommit mode.

    Args:
        prepares: whether the server plans a statement once that comes again and again; not behind some poolers.

    Raises:
        OutOfReach: the server cannot be reached, does not let us in, or does not speak UTF-8.
    """
    parameters: dict[str, Any] = {**parameters_of(access), "prepare_threshold": _PREPARE_AFTER if prepares else None}
    try:
        connection = Connection.connect(**parameters, autocommit=True)
        connection.patience_s = access.timeout_s + _GRACE_S
        return _checked(connection, access)
    except psycopg.Error as error:
        told, cure = said_of(error, access)
        raise OutOfReach(f"{access.place}: {told}", cure) from None  # its own text may hold the password


def _checked(connection: Connection, access: Access) -> Connection:
    try:
        row = connection.execute("SHOW server_encoding").fetchone()
    except psycopg.Error:
        connection.close()
        raise
    encoding = row[0] if row else ""
    if encoding != "UTF8":
        connection.close()
        raise OutOfReach(
            f"{access.place}: the database is in {encoding}, which cannot hold every text",
            "make one with CREATE DATABASE ... ENCODING 'UTF8'",
        )
    return connection


@contextmanager
def bounded(connection: Connection, access: Access) -> Iterator[None]:
    """
    Make a transaction of the block, each statement of which has the time that *access* gives it.

    For the transaction alone: a pooler may lend the connection to another client after it, with all that was set.
    """
    # To the server 0 is no limit at all, and a larger one than this no number.
    limit_ms = min(max(1, round(access.timeout_s * 1000)), _MOST_MS)
    with connection.transaction():
        connection.execute("SELECT set_config('statement_timeout', %s, true)", (f"{limit_ms}ms",))
        yield
