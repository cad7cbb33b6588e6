"""Set a damaged store aside under a name that says when; not a byte of it is deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

__all__ = ["set_aside"]

_COMPANIONS = ("-wal", "-shm", "-journal")


def set_aside(path: Path) -> Path:
    """
    Rename the database and what belongs to it to `{path}.corrupt-{now}`; return the new path.

    The database goes first: SQLite deletes a WAL that it finds beside an empty file, so a crash between the two
    renames leaves nothing that could be taken for part of the new database.

    Raises:
        OSError: the folder cannot be written.
    """
    target = _free(path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"))
    path.rename(target)
    for ending in _COMPANIONS:
        companion = path.with_name(path.name + ending)
        if companion.exists():
            companion.rename(target.with_name(target.name + ending))
    return target


def _free(target: Path) -> Path:
    number = 1
    candidate = target
    while candidate.exists():
        number += 1
        candidate = target.with_name(f"{target.name}-{number}")
    return candidate
