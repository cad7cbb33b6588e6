"""Say what an error of the server means for the records of a batch."""

from __future__ import annotations

import psycopg

from ...plugins.errors import Refused, Retryable, Unreachable
from .cures import cure_of
from .options import Access

__all__ = ["OutOfReach", "Overtaken", "is_collision", "is_of_a_pooler", "named", "said_of", "words_of"]

_TOO_LARGE = "54"
"""SQLSTATE class 54, program limit exceeded: a text that no index can hold, a row that is too large."""


class Overtaken(Exception):
    """Another host changed a run between our reading and our writing it; the transaction is to be made again."""


class OutOfReach(Unreachable):
    """
    No connection was made.

    Attributes:
        what: was said of it, and by which place.
        cure: what to do about that, empty text where nobody can say.
    """

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(_joined(what, cure))
        self.what = what
        self.cure = cure


def is_collision(error: psycopg.Error) -> bool:
    """Tell whether the same transaction may well succeed at once: a deadlock, or a conflict with another one."""
    return isinstance(error, psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected)


def is_of_a_pooler(error: psycopg.Error) -> bool:
    """Tell whether statements were prepared on another connection: a pooler lends it on, and does not see them."""
    return isinstance(error, psycopg.errors.DuplicatePreparedStatement | psycopg.errors.InvalidSqlStatementName)


def named(error: psycopg.Error, access: Access) -> Refused | Retryable:
    """Return *error* as what the delivery understands: `Refused` where a record itself is at fault."""
    is_refused = isinstance(error, psycopg.DataError | psycopg.IntegrityError)
    is_refused |= (error.sqlstate or "").startswith(_TOO_LARGE)
    told = f"{access.place}: {words_of(error, access)}"
    return Refused(told) if is_refused else Retryable(told)


def words_of(error: psycopg.Error, access: Access) -> str:
    """Return what was said and what to do about it, in one text."""
    return _joined(*said_of(error, access))


def said_of(error: psycopg.Error, access: Access) -> tuple[str, str]:
    """Return what was said, in one line without a secret and without the values of a row, and what to do about it."""
    told = access.without_secrets(" ".join((error.diag.message_primary or str(error) or type(error).__name__).split()))
    state = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
    return f"{told}{state}", cure_of(told, error.sqlstate)


def _joined(what: str, cure: str) -> str:
    return f"{what}; {cure}" if cure else what
