"""Fill journals and databases with made-up runs and events, far quicker than agents could."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telemetry import RunEvent, RunRecord, TelemetryClient
from telemetry.plugins.lines import encode_line

__all__ = ["AGENTS", "fill_events", "fill_runs", "write_journal"]

AGENTS = 100
_INSERT = (
    "INSERT INTO agent_runs (run_id, agent_name, agent_owner, job_type, trigger_type, start_time, end_time, status, "
    "items_succeeded, duration_ms, host) VALUES (?, ?, 'me', ?, 'cli', ?, ?, ?, ?, ?, 'vm')"
)
_INSERT_EVENT = "INSERT INTO run_events (run_id, event_type, timestamp, payload_json) VALUES (?, ?, ?, ?)"
_PAYLOAD = '{"file":"os.py","lines":1234,"ok":true,"note":"a line of prose"}'
_SPAN = timedelta(days=90)
_STATUSES = ("success",) * 17 + ("failed",) * 2 + ("partial",)


def fill_runs(base: Path, count: int) -> list[str]:
    """Put *count* runs of the last 90 days into the store of *base*, which is made if need be; return their ids."""
    with TelemetryClient(base_dir=base) as client:
        client.end_run(client.start_run("maker", "tables"))
    ids: list[str] = []
    with closing(_opened(base)) as connection:
        connection.execute("BEGIN")
        connection.executemany(_INSERT, _rows(count, ids))
        connection.execute("COMMIT")
    return ids


def _rows(count: int, ids: list[str]) -> Iterator[tuple[object, ...]]:
    first = datetime.now(UTC) - _SPAN
    for number in range(count):
        moment = first + _SPAN * number / count
        run_id = f"{moment:%Y%m%dT%H%M%SZ}-agent-{number:08x}"
        ids.append(run_id)
        duration_ms = 10 + number * 7919 % 100_000
        end = (moment + timedelta(milliseconds=duration_ms)).isoformat(timespec="microseconds")
        agent, job = f"agent-{number % AGENTS}", f"job-{number % 7}"
        start = moment.isoformat(timespec="microseconds")
        yield run_id, agent, job, start, end, _STATUSES[number % len(_STATUSES)], number, duration_ms


def fill_events(base: Path, ids: list[str], each: int) -> None:
    """Put *each* events for every run of *ids* into the store of *base*."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    rows = ((run_id, f"type-{number % 9}", now, _PAYLOAD) for run_id in ids for number in range(each))
    with closing(_opened(base)) as connection:
        connection.execute("BEGIN")
        connection.executemany(_INSERT_EVENT, rows)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # Or the first checkpoint that is measured would wait 0.6 s for the disk to take 2 GB.
    with (base / "db" / "telemetry.sqlite").open("rb+") as file:
        os.fsync(file.fileno())


def _opened(base: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(base / "db" / "telemetry.sqlite", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # it is made up, and made once
    return connection


def write_journal(base: Path, lines: int) -> tuple[int, int]:
    """Write a journal of *lines* lines below *base*, ten a run; return how many runs it tells of, and its bytes."""
    folder = base / "raw"
    folder.mkdir(parents=True)
    moment = datetime.now(UTC) - timedelta(days=1)
    path = folder / f"events_{moment:%Y%m%d}.ndjson"
    runs = lines // 10
    with path.open("wb", buffering=1 << 20) as file:
        for number in range(runs):
            file.writelines(_lines_of_run(number, moment.isoformat(timespec="microseconds"), number == runs - 1))
    return runs, path.stat().st_size


def _lines_of_run(number: int, moment: str, is_last: bool) -> Iterator[bytes]:
    run_id, seq = f"20261127T100000Z-agent-{number:08x}", number * 10
    common = {"run_id": run_id, "agent_name": f"agent-{number % AGENTS}", "job_type": "job", "start_time": moment}
    yield encode_line(RunRecord(**common, host="vm", writer="5b99c73325e7", seq=seq + 1))
    for step in range(8):
        event_type = "the-last" if is_last and step == 7 else "parsed"
        payload = {"n": step, "file": "os.py", "lines": 1234, "note": "a line of prose"}
        yield encode_line(RunEvent(run_id, event_type, moment, payload, "5b99c73325e7", seq + 2 + step))
    ended = {**common, "status": "success", "end_time": moment, "duration_ms": number % 1000, "metrics": {"n": number}}
    yield encode_line(RunRecord(**ended, host="vm", writer="5b99c73325e7", seq=seq + 10))
