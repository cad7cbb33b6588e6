"""Lend the tests of the care of a store a base directory with some days in it, and processes that work on it."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import define
from processes import Processes, lent_processes

from telemetry import TelemetryConfig, open_store
from telemetry.core.care import Care
from telemetry.plugins import Record, RunEvent, RunQuery, RunRecord, encode_line

WRITER = "aaaaaaaaaaaa"


def days_ago(days: float, **more: float) -> datetime:
    """Return a moment so many days before now, UTC."""
    return datetime.now(UTC) - timedelta(days=days, **more)


def iso(moment: datetime) -> str:
    """Return *moment* as it stands in records."""
    return moment.isoformat(timespec="microseconds")


@define
class Base:
    """A base directory, seen from outside."""

    path: Path
    seq: int = 0

    @property
    def raw(self) -> Path:
        """The folder of the journal."""
        return self.path / "raw"

    @property
    def database(self) -> Path:
        """The file of the database."""
        return self.path / "db" / "telemetry.sqlite"

    @property
    def care(self) -> Care:
        """What looks after it, with the default sinks."""
        return Care(TelemetryConfig.load(base_dir=self.path))

    def write(self, moment: datetime, *records: Record) -> None:
        """Append *records* to the journal of the day of *moment*, numbered."""
        self.raw.mkdir(mode=0o700, exist_ok=True)
        with (self.raw / f"events_{moment:%Y%m%d}.ndjson").open("ab") as file:
            for record in records:
                self.seq += 1
                file.write(encode_line(attrs.evolve(record, writer=WRITER, seq=self.seq)))

    def record(
        self, days: float, *, name: str = "crawler", events: int = 2, text: str = "", is_running: bool = False
    ) -> str:
        """Record a run that began so many days ago; return its id."""
        began = days_ago(days)
        run_id = f"{began:%Y%m%dT%H%M%SZ}-{name}-{self.seq:08x}"
        start = RunRecord(run_id=run_id, agent_name=name, job_type="crawl", start_time=iso(began), host="here")
        payload = {"text": text} if text else {}
        moments = [iso(began + timedelta(milliseconds=n)) for n in range(events)]
        told = [RunEvent(run_id, "page", moment, {"n": n, **payload}) for n, moment in enumerate(moments)]
        end = attrs.evolve(
            start,
            status="success",
            end_time=iso(began + timedelta(seconds=1)),
            duration_ms=1000,
            metrics={"pages": events},
        )
        self.write(began, start, *told, *(() if is_running else (end,)))
        return run_id

    def ids(self) -> set[str]:
        """Return the ids of all runs, as the store answers."""
        with contextlib.closing(open_store(self.path)) as store:
            return {run.run_id for run in store.runs(RunQuery(limit=None))}

    def told(self) -> dict[str, Any]:
        """Return all that the store answers: runs, events and commits, without when a row was made."""
        with contextlib.closing(open_store(self.path)) as store:
            runs = [attrs.evolve(run, updated_at=None, created_at=None) for run in store.runs(RunQuery(limit=None))]
            events = [
                (event.id, event.run_id, event.event_type, event.timestamp, event.payload) for event in store.events()
            ]
            commits = {run.run_id: store.commits(run.run_id) for run in runs}
        return {"runs": runs, "events": events, "commits": commits}

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """Ask or change the database by plain SQL, as another program would."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            return connection.execute(statement, values).fetchall()


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Base:
    """Return an empty base directory, which is also what the environment names."""
    path = tmp_path / "base"
    (path / "db").mkdir(mode=0o700, parents=True)
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(path))
    return Base(path)


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Return what runs programs beside the test."""
    with lent_processes() as processes:
        yield processes


# It tells of each run when all three calls have returned. A pipe that nobody reads would hold it after 1,400 runs.
_AGENT = """
import os, sys
from telemetry import TelemetryClient
with TelemetryClient() as client, open(sys.argv[1], "w", buffering=1) as acknowledged:
    print("ready", flush=True)
    number = 0
    while not os.path.exists(sys.argv[2]):
        run_id = client.start_run("live", "write")
        client.log_event(run_id, "page", {"number": number})
        client.end_run(run_id)
        number += 1
        print(run_id, file=acknowledged)
"""


@define
class Agent:
    """An agent that records runs all the time, in a process of its own."""

    process: subprocess.Popen[str]
    acknowledged: Path
    stopper: Path

    def beside(self, work: Callable[[], object], runs: int = 20) -> None:
        """Do *work* again and again, until the agent got *runs* runs acknowledged in the time that it took."""
        written = 0
        while written < runs:
            before = self.count()
            work()
            written += self.count() - before

    def count(self) -> int:
        """Return how many runs it got acknowledged up to now."""
        return len(self.acknowledged.read_text().split())

    def stop(self) -> list[str]:
        """Let it end; return the ids of all runs that it got acknowledged."""
        self.stopper.touch()
        _, err = self.process.communicate(timeout=60)
        assert (0, "") == (self.process.returncode, err)
        return self.acknowledged.read_text().split()


@pytest.fixture
def agent(base: Base, processes: Processes, tmp_path: Path) -> Agent:
    """Return an agent that is at work in the base directory."""
    agent = Agent(processes.start(_AGENT, tmp_path / "ids", tmp_path / "stop"), tmp_path / "ids", tmp_path / "stop")
    assert agent.process.stdout is not None
    assert "ready\n" == agent.process.stdout.readline()
    return agent


@pytest.fixture
def real_command(processes: Processes) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs `telemetry` to its end."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        process = processes.command(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
