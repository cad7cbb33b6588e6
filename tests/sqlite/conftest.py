"""Give the tests of the SQLite sink a store in a folder of its own, records to put in, and processes to run beside."""

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from processes import Processes, lent_processes

from telemetry.plugins import RunRecord, SinkContext, encode_line, generate_run_id
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.sink import SqliteSink

START = "2026-11-23T10:00:00.000000+00:00"
END = "2026-11-23T10:00:01.500000+00:00"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store lies, or will lie."""
    return tmp_path / "base" / "db" / "telemetry.sqlite"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """Return a store, closed at the end."""
    database = Database(path)
    yield database
    database.close()


@pytest.fixture
def context(path: Path) -> SinkContext:
    """Return what the sink is opened with; its journal's folder does not exist yet."""
    base = path.parent.parent
    return SinkContext(
        sink_name="db",
        base_dir=base,
        ndjson_dir=base / "raw",
        journal_dir=base / "raw",
        database_path=path,
        writer="aaaaaaaaaaaa",
    )


@pytest.fixture
def open_sink(context: SinkContext) -> Iterator[Callable[..., SqliteSink]]:
    """Return a function that opens a sink with the options given; all are closed at the end."""
    opened = []

    def open_sink(context: SinkContext = context, **options: Any) -> SqliteSink:
        sink = SqliteSink(SqliteSink.Options(**options))
        sink.telemetry_open(context)
        opened.append(sink)
        return sink

    yield open_sink
    for sink in opened:
        sink.telemetry_close(0.2)


@pytest.fixture
def sink(open_sink: Callable[..., SqliteSink]) -> SqliteSink:
    """Return an open sink with its defaults."""
    return open_sink()


@pytest.fixture
def a_run() -> Callable[..., RunRecord]:
    """Return a function that makes the start of a run."""

    def a_run(**fields: Any) -> RunRecord:
        agent = fields.setdefault("agent_name", "crawler")
        fields.setdefault("run_id", generate_run_id(agent, fields.get("start_time", START)))
        defaults = {"start_time": START, "job_type": "crawl", "host": "here", "writer": "aaaaaaaaaaaa", "seq": 1}
        return RunRecord(**{**defaults, **fields})

    return a_run


@pytest.fixture
def ended() -> Callable[..., RunRecord]:
    """Return a function that makes the end of a run out of its start."""

    def ended(run: RunRecord, **fields: Any) -> RunRecord:
        result = {"status": "success", "end_time": END, "duration_ms": 1500, "seq": 2}
        return attrs.evolve(run, **{**result, **fields})

    return ended


@pytest.fixture
def journal(context: SinkContext) -> Callable[..., None]:
    """Return a function that appends records to the journal of the set-up."""

    def append(*records: Any) -> None:
        folder = context.journal_dir
        assert folder is not None
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "events_20261123.ndjson").open("ab") as file:
            file.write(b"".join(encode_line(record) for record in records))

    return append


@pytest.fixture
def rows(path: Path) -> Callable[..., list[Any]]:
    """Return a function that asks the file by plain SQL, as another program would."""

    def rows(sql: str = "SELECT run_id, status FROM agent_runs ORDER BY run_id", *values: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql, values).fetchall()

    return rows


@pytest.fixture
def build(path: Path) -> Callable[[str], Path]:
    """Return a function that makes the file by an SQL script, as an older tool left it."""

    def build(script: str) -> Path:
        path.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        return path

    return build


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Return what runs programs beside the test."""
    with lent_processes() as processes:
        yield processes


@pytest.fixture
def lock_held(path: Path, processes: Processes) -> subprocess.Popen[str]:
    """Return a process of another program that has the store locked for writing until it is told to end."""
    script = """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        print("ready", flush=True)
        sys.stdin.readline()
        connection.execute("ROLLBACK")
    """
    return processes.start_ready(script, path)
