"""Be the floor under a run in journal and database: two lines and two rows on a kept connection, and nothing else."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import msgspec

from telemetry import TelemetryClient

_encode = msgspec.json.Encoder().encode
_COLUMNS = "run_id, schema_version, agent_name, agent_owner, job_type, trigger_type, start_time, host, status"
_INSERT = f"INSERT INTO agent_runs ({_COLUMNS}) VALUES (?, 3, 'bench', 'me', ?, 'cli', ?, 'vm', 'running')"
_UPDATE = (
    "UPDATE agent_runs SET status = 'success', end_time = ?, duration_ms = 0, items_succeeded = ?, "
    "updated_at = datetime('now') WHERE run_id = ?"
)
_TIME = "2026-11-23T10:00:00.123456+00:00"
_LINE: dict[str, object] = {
    **dict.fromkeys(("end_time", "duration_ms", "input_summary", "output_summary", "error_summary", "insight_id")),
    **dict.fromkeys(("product", "platform", "product_family", "subdomain", "git_repo", "git_branch", "git_run_tag")),
    **dict.fromkeys(("items_discovered", "items_failed", "api_retry_count"), 0),
    "agent_name": "bench",
    "agent_owner": "me",
    "trigger_type": "cli",
    "start_time": _TIME,
    "host": "vm",
    "schema_version": 3,
    "metrics": {},
    "attributes": {},
    "writer": "5b99c73325e7",
}


class Floor:
    """os.write() of both lines, INSERT and UPDATE: WAL, synchronous NORMAL, our tables and our indexes."""

    def __init__(self, directory: Path, *, base: str | None = None) -> None:
        place = directory / "base" if base is None else Path(base)
        path = place / "db" / "telemetry.sqlite"
        if not path.exists():
            make_tables(place)
        self._journal = os.open(directory / "floor.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._prefix = os.urandom(4).hex()

    def call(self, number: int) -> None:
        """Start a run and end it."""
        run_id, job = f"20261123T100000Z-bench-{self._prefix}-{number}", f"job-{number}"
        self._write({"record_type": "run", "run_id": run_id, "job_type": job, "status": "running", "seq": 1})
        self._connection.execute(_INSERT, (run_id, job, _TIME))
        ended = {
            "record_type": "run",
            "run_id": run_id,
            "job_type": job,
            "status": "success",
            "items_succeeded": number,
        }
        self._write(ended)
        self._connection.execute(_UPDATE, (_TIME, number, run_id))

    def _write(self, line: dict[str, object]) -> None:
        os.write(self._journal, _encode({**line, **_LINE}) + b"\n")

    def close(self) -> None:
        """Close both files."""
        os.close(self._journal)
        self._connection.close()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers in the database."""
        connection = sqlite3.connect(directory / "base" / "db" / "telemetry.sqlite")
        try:
            rows = connection.execute(
                "SELECT items_succeeded FROM agent_runs WHERE agent_name = 'bench' AND end_time > ''"
            )
            return {number for (number,) in rows}
        finally:
            connection.close()


class Lines(Floor):
    """Its lines alone."""

    def call(self, number: int) -> None:
        """Write both lines."""
        self._write({"record_type": "run", "run_id": f"{self._prefix}-{number}", "status": "running", "seq": 1})
        self._write({"record_type": "run", "run_id": f"{self._prefix}-{number}", "status": "success", "seq": 2})


def make_tables(base: Path) -> None:
    """Let the platform make its own tables and indexes, so that both sides write the same."""
    with TelemetryClient(base_dir=base) as client:
        client.end_run(client.start_run("maker", "tables"))
