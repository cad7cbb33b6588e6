"""Find a run by the piece of its id that somebody has read or copied somewhere."""

from __future__ import annotations

from .connection import Connection
from .rows import plain_text

__all__ = ["find_ids"]

_LAST = "\U0010ffff"
_EQUAL = "SELECT 1 FROM agent_runs WHERE run_id = %(part)s"
_NEWEST = "ORDER BY start_time DESC LIMIT %(limit)s"
_BEGINNING = f"SELECT run_id FROM agent_runs WHERE run_id >= %(part)s AND run_id < %(behind)s {_NEWEST}"
# The last eight characters are the hex digits of an id of ours.
_ENDING = (
    "SELECT run_id FROM agent_runs WHERE strpos(run_id, %(part)s) > 1 AND (right(run_id, length(%(part)s)) = %(part)s "
    f"OR strpos(right(run_id, 8), %(part)s) > 0) {_NEWEST}"
)


def find_ids(connection: Connection, part: str, limit: int) -> list[str]:
    """
    Return up to *limit* run ids: those that begin with *part*, then those that end with it or have it in their tail.

    Each of the two newest first. An id that equals *part* is the only answer: it is no abbreviation of another.
    """
    asked = {"part": plain_text(part), "behind": plain_text(part) + _LAST, "limit": limit}
    if not part or connection.execute(_EQUAL, asked).fetchone():
        return [part] if part else []
    found: dict[str, None] = {}
    for sql in (_BEGINNING, _ENDING):
        found.update((run_id, None) for (run_id,) in connection.execute(sql, asked))
    return list(found)[:limit]
