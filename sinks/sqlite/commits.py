"""Keep the commits that belong to runs; two runs at the same commit both keep it."""

from __future__ import annotations

import sqlite3
from typing import Any

from ...plugins.commit_link import CommitLink
from .shapes import quoted

__all__ = ["COMMIT_COLUMNS", "commits_of", "save_commit"]

COMMIT_COLUMNS: tuple[str, ...] = (
    *("commit_hash", "run_id", "agent_name", "repo", "branch", "commit_date", "author", "message"),
    *("files_changed", "insertions", "deletions"),
)
"""The columns of commits that a link fills, in order."""


def save_commit(connection: sqlite3.Connection, link: CommitLink) -> None:
    """
    Put *link* into the store; what it does not know overwrites nothing.

    The table `commits` has room for one run a commit: the last one linked. `run_commits` keeps every link, since
    all runs of a day may stand at the same commit.
    """
    known = {name for _, name, *_ in connection.execute("PRAGMA table_info(commits)")}
    row = {name: getattr(link, name) for name in COMMIT_COLUMNS if name in known}
    connection.execute("SAVEPOINT link")
    _keep_link(connection, link.run_id, link.commit_hash)
    _upsert(connection, {name: value for name, value in row.items() if value is not None})
    connection.execute("RELEASE link")


def _keep_link(connection: sqlite3.Connection, run_id: str, commit_hash: str) -> None:
    before = "INSERT OR IGNORE INTO run_commits SELECT run_id, commit_hash FROM commits WHERE commit_hash = ?"
    connection.execute(f"{before} AND run_id IS NOT NULL", (commit_hash,))
    connection.execute("INSERT OR IGNORE INTO run_commits (run_id, commit_hash) VALUES (?, ?)", (run_id, commit_hash))


def _upsert(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    columns, settings = ", ".join(map(quoted, row)), ", ".join(f"{quoted(name)} = ?" for name in row)
    key = row["commit_hash"]
    if connection.execute(f"UPDATE commits SET {settings} WHERE commit_hash = ?", (*row.values(), key)).rowcount == 0:
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO commits ({columns}) VALUES ({marks})", tuple(row.values()))


def commits_of(connection: sqlite3.Connection, run_id: str) -> list[dict[str, Any]]:
    """Return the commits of a run as dicts by column name, the oldest first."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "commits" not in tables:
        return []
    linked = "commit_hash IN (SELECT commit_hash FROM run_commits WHERE run_id = :run)"
    where = f"run_id = :run OR {linked}" if "run_commits" in tables else "run_id = :run"
    cursor = connection.execute(f"SELECT * FROM commits WHERE {where} ORDER BY commit_date, rowid", {"run": run_id})
    names = [column[0] for column in cursor.description]
    return [{**dict(zip(names, row, strict=True)), "run_id": run_id} for row in cursor]
