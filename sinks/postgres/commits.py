"""Keep the commits that belong to runs; two runs at the same commit both keep it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...plugins.records import CommitLink
from .batches import insert
from .connection import Connection
from .rows import LARGEST, plain_text

__all__ = ["COMMIT_COLUMNS", "commits_of", "save_commits"]

COMMIT_COLUMNS: tuple[str, ...] = (
    *("commit_hash", "run_id", "agent_name", "repo", "branch", "commit_date", "author", "message"),
    *("files_changed", "insertions", "deletions"),
)
"""The columns of commits that a link fills, in order."""

_INSERT = f"INSERT INTO commits AS c ({', '.join(COMMIT_COLUMNS)})"
_FILL = "ON CONFLICT (commit_hash) DO UPDATE SET " + ", ".join(
    f"{name} = coalesce(excluded.{name}, c.{name})" for name in COMMIT_COLUMNS[1:]
)
_LINK = "INSERT INTO run_commits (run_id, commit_hash)"
_OF_RUN = (
    f"SELECT {', '.join(COMMIT_COLUMNS)}, created_at FROM commits WHERE run_id = %(run)s OR commit_hash IN "
    "(SELECT commit_hash FROM run_commits WHERE run_id = %(run)s) ORDER BY commit_date NULLS FIRST, created_at"
)


def save_commits(connection: Connection, links: Iterable[CommitLink]) -> None:
    """Put *links* into the store; what one does not know overwrites nothing, and the last one names the run."""
    rows: dict[str, tuple[Any, ...]] = {}
    pairs: set[tuple[str, str]] = set()
    for link in links:
        row = tuple(_stored(getattr(link, name)) for name in COMMIT_COLUMNS)
        known = rows.get(row[0], row)
        rows[row[0]] = tuple(old if new is None else new for new, old in zip(row, known, strict=True))
        pairs.add((row[1], row[0]))
    insert(connection, _INSERT, [rows[key] for key in sorted(rows)], _FILL)
    insert(connection, _LINK, sorted(pairs), "ON CONFLICT DO NOTHING")


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    return None if isinstance(value, int) and abs(value) > LARGEST else value


def commits_of(connection: Connection, run_id: str) -> list[dict[str, Any]]:
    """Return the commits of a run as dicts by column name, the oldest first."""
    rows = connection.execute(_OF_RUN, {"run": plain_text(run_id)})
    names = (*COMMIT_COLUMNS, "created_at")
    return [{**dict(zip(names, row, strict=True)), "run_id": run_id} for row in rows]
