"""Name what SQLite complains of by what is to be done about it: try again, set the file aside, or wait for space."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ...plugins.errors import Refused, Retryable, StoreError, TelemetryError

__all__ = ["NAMED", "Damaged", "named"]

NAMED = (sqlite3.Error, OSError, OverflowError, ValueError, RecursionError)
"""What a store may raise for a reason of its own; anything else is a fault of ours."""

# A number beyond 64 bits or 4,300 digits, a lone surrogate, a value that a check forbids: the next try would end the
# same way.
_OF_THE_RECORD = (
    *(OverflowError, ValueError, RecursionError),
    *(sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.DataError, sqlite3.ProgrammingError),
)

_BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL))
_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


class Damaged(StoreError):
    """
    The file is no SQLite database any more, or its pages contradict each other.

    Cure: none needed where there is a journal: the sink sets the file aside and rebuilds the store from it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.cure = (
            "telemetry rebuild in the base directory that has its journal; else telemetry restore, with a backup"
        )


def named(error: Exception, path: Path) -> TelemetryError:
    """Return the error of our family that says what *error* means for the store at *path*."""
    # Extended codes carry the primary one in the low byte. What sqlite3 raises by itself has no code.
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in _BUSY:
        return Retryable(f"{path} is locked by another program")
    if isinstance(error, _OF_THE_RECORD):
        return Refused(f"{path} takes no such record: {error}")
    if code in _DAMAGED:
        return Damaged(f"{path} is damaged: {error}")
    # The folder that is closed to us may be the journal's too: what it keeps is not ours to promise.
    told = f"{path} cannot be used: {error} ({type(error).__name__})"
    return StoreError(f"{told}; what the journal has is brought in once it can be used")
