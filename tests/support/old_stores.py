"""Build databases as the versions of the field left them, v1 to v7, with a value of its own in every column."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

_V1 = (
    "run_id TEXT PRIMARY KEY",
    "schema_version INTEGER DEFAULT {version}",
    "agent_name TEXT NOT NULL",
    "agent_owner TEXT",
    "job_type TEXT",
    "trigger_type TEXT CHECK(trigger_type IN ('cli','web','scheduler','mcp','manual'))",
    "start_time TEXT NOT NULL",
    "end_time TEXT",
    "status TEXT CHECK(status IN ('running','success','failed','partial'))",
    "items_discovered INTEGER DEFAULT 0",
    "items_succeeded INTEGER DEFAULT 0",
    "items_failed INTEGER DEFAULT 0",
    "duration_ms INTEGER",
    "input_summary TEXT",
    "output_summary TEXT",
    "error_summary TEXT",
    "metrics_json TEXT",
    "product TEXT",
    "platform TEXT",
    "git_repo TEXT",
    "git_branch TEXT",
    "git_run_tag TEXT",
    "host TEXT",
    "api_posted INTEGER DEFAULT 0",
    "api_posted_at TEXT",
    "api_retry_count INTEGER DEFAULT 0",
    "created_at TEXT DEFAULT (datetime('now'))",
    "updated_at TEXT DEFAULT (datetime('now'))",
)
_ADDED = {
    2: ("insight_id TEXT",),
    3: ("product_family TEXT", "subdomain TEXT"),
    4: ("git_commit_hash TEXT", "git_commit_source TEXT", "git_commit_author TEXT", "git_commit_timestamp TEXT"),
    5: ("website TEXT", "website_section TEXT", "item_name TEXT"),
    6: ("event_id TEXT NOT NULL",),
}
_PLAIN = (
    "id INTEGER PRIMARY KEY AUTOINCREMENT",
    "event_id TEXT NOT NULL UNIQUE",
    "run_id TEXT NOT NULL",
    "schema_version INTEGER DEFAULT 7",
    "agent_name TEXT NOT NULL",
    "agent_owner TEXT",
    "job_type TEXT NOT NULL",
    "trigger_type TEXT",
    "start_time TEXT NOT NULL",
    "end_time TEXT",
    "status TEXT NOT NULL CHECK (status IN ('running','success','failure','partial','timeout','cancelled'))",
    "items_discovered INTEGER NOT NULL DEFAULT 0",
    "items_succeeded INTEGER NOT NULL DEFAULT 0",
    "items_failed INTEGER NOT NULL DEFAULT 0",
    "items_skipped INTEGER NOT NULL DEFAULT 0",
    "duration_ms INTEGER NOT NULL DEFAULT 0",
    "input_summary TEXT",
    "output_summary TEXT",
    "error_summary TEXT",
    "error_details TEXT",
    "source_ref TEXT",
    "target_ref TEXT",
    "metrics_json TEXT",
    "context_json TEXT",
    "insight_id TEXT",
    "product TEXT",
    "platform TEXT",
    "product_family TEXT",
    "subdomain TEXT",
    "website TEXT",
    "website_section TEXT",
    "item_name TEXT",
    "environment TEXT",
    "git_repo TEXT",
    "git_branch TEXT",
    "git_run_tag TEXT",
    "git_commit_hash TEXT",
    "git_commit_source TEXT",
    "git_commit_author TEXT",
    "git_commit_timestamp TEXT",
    "host TEXT",
    "parent_run_id TEXT",
    "api_posted INTEGER NOT NULL DEFAULT 0",
    "api_posted_at TEXT",
    "api_retry_count INTEGER NOT NULL DEFAULT 0",
    "created_at TEXT NOT NULL",
    "updated_at TEXT NOT NULL DEFAULT (datetime('now'))",
)
_OTHERS = """
CREATE TABLE run_events (id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL REFERENCES agent_runs(run_id),
    event_type TEXT NOT NULL, timestamp TEXT NOT NULL, payload_json TEXT);
CREATE TABLE commits (commit_hash TEXT PRIMARY KEY, run_id TEXT, agent_name TEXT, repo TEXT, branch TEXT,
    commit_date TEXT, author TEXT, message TEXT, files_changed INTEGER, insertions INTEGER, deletions INTEGER,
    created_at TEXT DEFAULT (datetime('now')));
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at TEXT DEFAULT (datetime('now')),
    description TEXT);
"""
VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "v7 by id")
_STATUSES = {False: ("success", "failed", "partial", "running"), True: ("failure", "timeout", "cancelled", "running")}
_MOMENT = "2026-01-0{day}T10:00:0{second}.000000+00:00"


def columns_of(version: str) -> list[str]:
    """Return the columns of agent_runs in *version*, as SQL declares them."""
    if version == "v7 by id":
        return list(_PLAIN)
    number = int(version[1])
    added = [column for since, columns in _ADDED.items() if since <= number for column in columns]
    return [column.format(version=number) for column in (*_V1, *added)]


def row_of(version: str, number: int) -> dict[str, Any]:
    """Return run *number* of a store of *version*: each column says something that no other says."""
    row: dict[str, Any] = {}
    for column in columns_of(version):
        name, kind = column.split()[:2]
        row[name] = number + len(row) + 10 if kind == "INTEGER" else f"{name} of {number}"
    row |= {
        "run_id": f"run-{number}",
        "schema_version": int(version[1]),
        "trigger_type": ("cli", "web", "scheduler", "mcp")[number % 4],
        "status": _STATUSES[version == "v7 by id"][number % 4],
        "start_time": _MOMENT.format(day=number % 9 + 1, second=0),
        "end_time": _MOMENT.format(day=number % 9 + 1, second=5),
        "metrics_json": f'{{"tokens": {number}, "deep": {{"a": [1, null]}}}}',
        "api_posted": number % 2,
        "api_posted_at": _MOMENT.format(day=9, second=9),
    }
    if row["status"] == "running":
        row["end_time"] = row["duration_ms"] = None
        if version == "v7 by id":
            row["duration_ms"] = 0
    row.pop("id", None)
    return row


def build_store(path: Path, version: str, runs: int = 4, *, events: int = 2) -> list[dict[str, Any]]:
    """Make a database of *version* at *path*, with events and commits; return its rows of agent_runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [row_of(version, number) for number in range(runs)]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE agent_runs ({', '.join(columns_of(version))}); {_OTHERS}")
        connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", (int(version[1]),))
        if "event_id" in rows[0] and version != "v7 by id":
            connection.execute("CREATE UNIQUE INDEX idx_event ON agent_runs(event_id)")
        names = list(rows[0])
        marks = ", ".join(f":{name}" for name in names)
        connection.executemany(f"INSERT INTO agent_runs ({', '.join(names)}) VALUES ({marks})", rows)
        connection.executemany(
            "INSERT INTO run_events (run_id, event_type, timestamp, payload_json) VALUES (?, 'step', ?, ?)",
            [
                (row["run_id"], _MOMENT.format(day=1, second=1), '{"same": true}' if step else None)
                for row in rows
                for step in range(events)
            ],
        )
        connection.executemany(
            "INSERT INTO commits (commit_hash, run_id, message, files_changed) VALUES (?, ?, ?, ?)",
            [(f"{number:040x}", row["run_id"], f"change {number}", number) for number, row in enumerate(rows)],
        )
        connection.commit()
    return rows
