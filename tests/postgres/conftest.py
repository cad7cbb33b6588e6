"""Give the tests of the PostgreSQL sink a real server, a schema of its own each, and hosts that deliver to it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from certificates import Certificates
from postgres_server import Server
from tls_proxy import TlsProxy

from telemetry.plugins import Record, RetryPolicy, RunEvent, RunRecord, SinkContext, encode_line
from telemetry.sinks.postgres.sink import PostgresSink

_numbers = itertools.count(1)


def in_schema(url: str, schema: str) -> str:
    """Return *url* such that everything happens in *schema*."""
    return f"{url}{'&' if '?' in url else '?'}options={quote(f'-csearch_path={schema}')}"


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    """Return the URL of an empty schema, which is dropped at the end."""
    psycopg = pytest.importorskip("psycopg")
    schema = f"telemetry_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    yield in_schema(postgres_url, schema)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def server(postgres_server: Server, postgres_url: str) -> Server:
    """Return the server that the tests use, where it is one of ours, on 127.0.0.1, which may be killed."""
    if postgres_url != postgres_server.uri():
        pytest.skip("what this test does is for a server of ours alone")
    return postgres_server


@pytest.fixture
def secure(server: Server, certificates: Certificates) -> Iterator[TlsProxy]:
    """Return a server that takes TLS and nothing else."""
    with TlsProxy(server.port, certificates.of_server()) as proxy:
        yield proxy


@pytest.fixture
def secure_url(url: str, server: Server, secure: TlsProxy) -> str:
    """Return the URL of the empty schema behind that server, without a word on TLS."""
    return url.replace(f":{server.port}/", f":{secure.port}/")


@pytest.fixture
def rows(url: str) -> Callable[..., list[Any]]:
    """Return a function that asks the database by plain SQL, as another program would."""

    psycopg = pytest.importorskip("psycopg")

    def rows(sql: str = "SELECT run_id, status FROM agent_runs ORDER BY run_id", *values: Any) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    return rows


class Host:
    """
    A machine with a base directory of its own.

    Args:
        base: where its journal lies.
        url: of the database that it delivers to.
    """

    def __init__(self, base: Path, url: str, **options: Any) -> None:
        self.base = base
        self.raw = base / "raw"
        self.options = {"url": url, "backfill": True, **options}
        self.opened: list[PostgresSink] = []

    @property
    def context(self) -> SinkContext:
        """What its sink is opened with."""
        return SinkContext(
            sink_name="hq",
            base_dir=self.base,
            ndjson_dir=self.raw,
            journal_dir=self.raw,
            database_path=self.base / "db" / "telemetry.sqlite",
            writer="bbbbbbbbbbbb",
        )

    def write(self, *records: Record) -> None:
        """Append *records* to its journal."""
        self.write_lines(*map(encode_line, records))

    def write_lines(self, *lines: bytes) -> None:
        """Append *lines* to its journal."""
        self.raw.mkdir(parents=True, exist_ok=True)
        with (self.raw / "events_20261123.ndjson").open("ab") as file:
            file.write(b"".join(lines))

    def open(self, **options: Any) -> PostgresSink:
        """Return its sink, open."""
        sink = PostgresSink(PostgresSink.Options(**{**self.options, **options}))
        sink.telemetry_open(self.context)
        self.opened.append(sink)
        return sink

    def deliver(self, *records: Record, timeout_s: float = 30.0) -> bool:
        """Write *records* and bring all that waits to the database; return whether nothing is left."""
        self.write(*records)
        sink = self.open()
        is_done = sink.telemetry_flush(timeout_s)
        sink.telemetry_close(5.0)
        return is_done

    def refusal(self) -> str:
        """Try once to bring what waits to the database, and return why that fails; nothing is given up for it."""
        # flush() returns when the next try comes too late: after the first one, however long a busy machine takes.
        sink = self.open(retry=RetryPolicy((600,), cap_s=600))
        assert not sink.telemetry_flush(60)
        health = sink.telemetry_health()
        sink.telemetry_close(0)
        assert 0 == health["refused"]
        return str(health["fault"])

    def forget_cursor(self) -> None:
        """Lose all knowledge of what was delivered, as a restored backup does."""
        for cursor in (self.base / "state").rglob("*.json"):
            cursor.unlink()

    def close(self) -> None:
        """Close what is still open."""
        for sink in self.opened:
            sink.telemetry_close(1.0)


@pytest.fixture
def new_host(url: str, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Return a function that makes a host by its name."""
    hosts = []

    def new_host(name: str = "here", **options: Any) -> Host:
        hosts.append(Host(tmp_path / name, options.pop("url", url), **options))
        return hosts[-1]

    yield new_host
    for host in hosts:
        host.close()


@pytest.fixture
def host(new_host: Callable[..., Host]) -> Host:
    """Return one host."""
    return new_host()


START = "2026-11-23T10:00:00.000000+00:00"
END = "2026-11-23T10:00:01.500000+00:00"


@pytest.fixture
def a_run() -> Callable[..., RunRecord]:
    """Return a function that makes the start of a run."""

    def a_run(run_id: str = "r1", **fields: Any) -> RunRecord:
        defaults = {"agent_name": "crawler", "start_time": START, "job_type": "crawl", "host": "here"}
        return RunRecord(run_id=run_id, **{**defaults, "writer": "aaaaaaaaaaaa", "seq": 1, **fields})

    return a_run


@pytest.fixture
def ended() -> Callable[..., RunRecord]:
    """Return a function that makes the end of a run out of its start."""

    def ended(run: RunRecord, **fields: Any) -> RunRecord:
        result = {"status": "success", "end_time": END, "duration_ms": 1500, "seq": 100_000}
        return attrs.evolve(run, **{**result, **fields})

    return ended


@pytest.fixture
def an_event() -> Callable[..., RunEvent]:
    """Return a function that makes an event with a number."""
    numbers = itertools.count(2)

    def an_event(run_id: str = "r1", payload: Any = None, **fields: Any) -> RunEvent:
        defaults = {"event_type": "step", "timestamp": START, "writer": "aaaaaaaaaaaa", "seq": next(numbers)}
        return RunEvent(run_id=run_id, payload=payload, **{**defaults, **fields})

    return an_event
