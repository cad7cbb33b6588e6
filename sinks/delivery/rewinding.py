"""Set a delivery back to an earlier day, so that the journal is delivered again from there, under its old keys."""

from __future__ import annotations

from pathlib import Path

from ...plugins.errors import StoreError
from .cursor import Cursor, Mark, load_cursor, save_cursor
from .locks import PathLock
from .places import Places

__all__ = ["rewind"]

_WAIT_S = 15.0
_OWN = "own/"


def rewind(state_dir: Path, sink: str, day: str) -> None:
    """
    Have the shared journal delivered to *sink* again from *day* on; what waited before that day still does.

    Args:
        state_dir: `{base}/state`.
        day: `YYYYMMDD` (UTC); empty for the whole journal.

    Raises:
        StoreError: another process is delivering all the time, or a later version wrote the cursor.
        OSError: the cursor cannot be written.
    """
    places = Places(state_dir, sink)
    places.prepare()
    lock = PathLock(places.lock)
    # Whoever leads has the cursor in mind and would write it over ours. He lets go when all is delivered, and over
    # longer pauses.
    if not lock.acquire(_WAIT_S):
        raise StoreError(f"another process is delivering to {sink} at this moment", "try again when it has ended")
    try:
        save_cursor(places.cursor, _rewound(_known(places), day))
    finally:
        lock.release()


def _known(places: Places) -> Cursor | None:
    try:
        return load_cursor(places.cursor)
    except ValueError:
        return Cursor()  # damaged: the whole journal is to be delivered as it is


def _rewound(cursor: Cursor | None, day: str) -> Cursor:
    if cursor is None:
        return Cursor(first_day=day)
    kept = tuple(mark for mark in cursor.marks if _is_before(mark, day))
    # The keys of what was done ahead of a mark are of no use behind a mark that is gone.
    left_out = None if cursor.left_out is None else tuple(name for name in cursor.left_out if _day_in(name) < day)
    return Cursor(first_day=min(cursor.first_day, day), marks=kept, left_out=left_out)


def _is_before(mark: Mark, day: str) -> bool:
    return mark.name.startswith(_OWN) or _day_in(mark.name) < day


def _day_in(name: str) -> str:
    return name[len("events_") :][:8]
