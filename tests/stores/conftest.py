"""Give the tests of the reading side every kind of store, filled with the same records."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from telemetry.plugins import Record, RunRecord, RunStore, encode_line, generate_run_id
from telemetry.plugins.item import Item
from telemetry.sinks.delivery.item import key_of
from telemetry.sinks.sqlite.journal_store import JournalStore
from telemetry.sinks.sqlite.store import SqliteStore

START = "2026-11-23T10:00:00.000000+00:00"
END = "2026-11-23T10:00:01.500000+00:00"
_numbers = itertools.count(1)


class Journals:
    """Stores that are fed from a journal; *make* opens one over a base directory."""

    def __init__(self, folder: Path, make: Callable[[Path], RunStore]) -> None:
        self._folder = folder
        self._make = make
        self._begin()

    def empty(self) -> None:
        """Begin anew."""
        self.store.close()
        self._begin()

    def _begin(self) -> None:
        self._base = self._folder / str(next(_numbers))
        (self._base / "raw").mkdir(parents=True)
        self.store = self._make(self._base)

    def write(self, *records: Record) -> None:
        """Record *records*."""
        with (self._base / "raw" / "events_20261123.ndjson").open("ab") as file:
            file.write(b"".join(map(encode_line, records)))

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


class Database:
    """A store in PostgreSQL, to which records are delivered."""

    def __init__(self, url: str) -> None:
        from telemetry.sinks.postgres.options import Access
        from telemetry.sinks.postgres.store import PostgresStore
        from telemetry.sinks.postgres.writer import Writer

        self._writer = Writer(Access(url=url))
        self.store = PostgresStore(Access(url=url))
        self._is_made = False

    def empty(self) -> None:
        """Begin anew."""
        if self._is_made:
            # By the writer's connection; it remembers which runs have a row, and none has one now.
            for table in ("agent_runs", "run_events", "run_lines", "commits", "run_commits"):
                self._writer._opened().execute(f"DELETE FROM {table}")
            self._writer._known_runs.clear()

    def write(self, *records: Record) -> None:
        """Record *records*."""
        self._writer.write([Item(key_of(record), record) for record in records])
        self._is_made = True

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()
        self._writer.close(1)


@pytest.fixture(scope="module", params=["journal", "sqlite", "postgres"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a kind of store: `empty()` begins anew, `write()` records, `store` reads."""
    if request.param == "postgres":
        yield from _databases(request)
        return
    makers: dict[str, Callable[[Path], RunStore]] = {
        "journal": lambda base: JournalStore(base / "raw"),
        "sqlite": lambda base: SqliteStore(base / "db" / "telemetry.sqlite", base / "raw"),
    }
    journals = Journals(tmp_path_factory.mktemp("stores"), makers[request.param])
    yield journals
    journals.close()


def _databases(request: pytest.FixtureRequest) -> Iterator[Database]:
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: tox's environment `coverage` has it")
    url, schema = request.getfixturevalue("postgres_url"), f"stores_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    database = Database(f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}")
    yield database
    database.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def store_of(backend: Any) -> Callable[..., RunStore]:
    """Return a function that gives a store with just these records."""

    def store_of(*records: Record) -> RunStore:
        backend.empty()
        backend.write(*records)
        return backend.store  # type: ignore[no-any-return]

    return store_of


@pytest.fixture
def store(backend: Any) -> RunStore:
    """Return an empty store."""
    backend.empty()
    return backend.store  # type: ignore[no-any-return]


@pytest.fixture
def journal(backend: Any) -> Callable[..., None]:
    """Return a function that records."""
    return backend.write  # type: ignore[no-any-return]


@pytest.fixture
def a_run() -> Callable[..., RunRecord]:
    """Return a function that makes the start of a run; lines about one run have numbers that differ."""
    numbers = itertools.count(1)

    def a_run(**fields: Any) -> RunRecord:
        agent = fields.setdefault("agent_name", "crawler")
        fields.setdefault("run_id", generate_run_id(agent, fields.get("start_time", START)))
        defaults = {"start_time": START, "job_type": "crawl", "host": "here", "writer": "aaaaaaaaaaaa"}
        return RunRecord(**{**defaults, "seq": 2 * next(numbers), **fields})

    return a_run


@pytest.fixture
def ended() -> Callable[..., RunRecord]:
    """Return a function that makes the end of a run out of its start."""

    def ended(run: RunRecord, **fields: Any) -> RunRecord:
        result = {"status": "success", "end_time": END, "duration_ms": 1500, "seq": (run.seq or 0) + 1}
        return attrs.evolve(run, **{**result, **fields})

    return ended
