"""Prove that what is read from PostgreSQL is what is read from SQLite, from Python and on the command line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from stories import NO_ANSWERS, answers_of

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

from postgres_server import PASSWORD

import telemetry
from telemetry import TelemetryClient
from telemetry.core.cli.main import run
from telemetry.plugins import MissingExtra, RunEvent, RunQuery, RunRecord, StoreError
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.postgres.sink import PostgresSink
from telemetry.sinks.sqlite.sink import SqliteSink

Runs = Callable[..., RunRecord]


@pytest.fixture
def base(url: str, tmp_path: Path) -> Path:
    """Return a base directory whose runs are in its SQLite file and in PostgreSQL."""
    sinks = {
        "raw": NdjsonSink(),
        "db": SqliteSink(),
        "hq": PostgresSink(PostgresSink.Options(url=url)),
    }
    with TelemetryClient(sinks=sinks, metrics_dir=tmp_path / "base") as client:
        for number in range(7):
            with client.track_run(f"agent{number % 2}", "job", product="p") as tracked:
                tracked.log_event("page", {"n": [number, 0.5, None], "text": "\u20ac"})
                tracked.set_metrics(tokens=number, ratio=1.0)
        for text in ("Timeout: after 30 s", "Timeout: after 45 s"):
            with pytest.raises(TimeoutError), client.track_run("agent1", "other"):
                raise TimeoutError(text)
        client.start_run("agent0", "open")
        assert client.flush(30)
    return tmp_path / "base"


COMMANDS = [
    ["runs"],
    ["runs", "--json"],
    ["runs", "--failed", "--metric", "tokens"],
    ["runs", "--where", "metrics.tokens>=3", "--agent", "agent1", "--csv"],
    ["stats"],
    ["stats", "--by", "status", "--json"],
    ["stats", "--by", "error", "--json"],
    ["stats", "--by", "day"],
    ["errors"],
    ["errors", "--json"],
    ["show", "RUN"],
    ["show", "RUN", "--json"],
    ["plot", "tokens", "--json"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_answer_alike(words: list[str], base: Path, url: str, capfd: Any):
    """The same text on standard output, and the same exit code, byte for byte."""
    words = [_failed_run(base) if word == "RUN" else word for word in words]
    codes = [run(["--base-dir", str(base), *words])]
    expected = capfd.readouterr().out
    codes.append(run(["--store", url, *words]))
    found = capfd.readouterr()

    assert [0, 0] == codes
    assert "" == found.err
    assert without_what_moves(expected) == without_what_moves(found.out)
    assert expected.strip()


def _failed_run(base: Path) -> str:
    store = telemetry.open_store(base)
    [failed] = store.runs(RunQuery(status="failed", limit=1))
    store.close()
    return failed.run_id


def without_what_moves(text: str) -> str:
    """Return *text* without when a row was written, which each store knows for itself, and how long ago things are."""
    return re.sub(r"\d+ \w+ (ago|so far)", r"\1", re.sub(r'("(?:created|updated)_at": )"[^"]*"', r"\1null", text))


def test_records_come_back_alike(base: Path, url: str):
    """Every run and every event, to the last field."""
    ours, theirs = telemetry.open_store(base), telemetry.open_store(url)

    runs = [[_plain(r) for r in store.runs(RunQuery(limit=None, oldest_first=True))] for store in (ours, theirs)]
    events = [sorted(attrs.astuple(e) for e in store.events()) for store in (ours, theirs)]
    stats = [store.stats() for store in (ours, theirs)]

    assert runs[0] == runs[1]
    assert 10 == len(runs[0])
    assert [event[:3] for event in events[0]] == [event[:3] for event in events[1]]
    assert [event[3] for event in events[0]] == [event[3] for event in events[1]]
    assert stats[0] == stats[1]
    for store in (ours, theirs):
        store.close()


def _plain(run: RunRecord) -> RunRecord:
    return attrs.evolve(run, created_at=None, updated_at=None)


def test_odd_rows_can_be_read(host: Any, rows: Callable[..., list[Any]], url: str, a_run: Runs):
    """What another program wrote into the tables comes out as a record, and no condition fails on it."""
    assert host.deliver(a_run(metrics={"a\0b": 1, "tokens": 5}))
    rows(
        "INSERT INTO agent_runs (run_id, agent_name, start_time, items_failed, metrics_json, attributes_json) "
        "VALUES ('', '', 'soon', NULL, '[1]', '\"x\"')"
    )
    store = telemetry.open_store(url)

    found = {run.start_time: run for run in store.runs(RunQuery(limit=None))}

    assert ({"value": [1]}, 0) == (found["soon"].metrics, found["soon"].items_failed)
    assert ["r1"] == [run.run_id for run in store.runs(RunQuery(where=("metrics.tokens=5",)))]
    assert ["r1"] == [run.run_id for run in store.runs(RunQuery(where=("attributes.x=null", "metrics.tokens!=null")))]
    store.close()


def test_events_come_page_by_page(host: Any, url: str, a_run: Runs, an_event: Callable[..., RunEvent]):
    """More than a page holds, in their order, of one run and type, or of all."""
    events = [an_event("r1" if n % 2 else "r2", n, event_type="a" if n % 3 else "b") for n in range(1201)]
    assert host.deliver(a_run("r1"), *events)
    store = telemetry.open_store(url)

    assert list(range(1201)) == [event.payload for event in store.events()]
    assert [n for n in range(1201) if n % 2 and n % 3] == [event.payload for event in store.events("r1", "a")]
    store.close()


def test_an_empty_database_is_a_store_without_runs(url: str):
    """Nothing was delivered yet: every answer is empty, nothing is made, and what comes then is seen."""
    store = telemetry.open_store(url)

    answers = answers_of(store)

    assert NO_ANSWERS == answers
    store.close()


def test_a_schema_that_is_not_there_is_told(postgres_url: str, new_host: Callable[..., Any], a_run: Runs):
    """It is no empty store: who reads and who writes are told what to make."""
    url = f"{postgres_url}?options=-csearch_path%3Dnowhere"
    host = new_host(url=url)
    host.write(a_run())

    assert "CREATE SCHEMA" in host.refusal()
    store = telemetry.open_store(url)
    with pytest.raises(StoreError, match="CREATE SCHEMA"):
        store.runs(RunQuery())
    store.close()


def test_a_reader_changes_nothing(host: Any, url: str, a_run: Runs):
    """Its connection is one for reading, whatever rights its user has."""
    import psycopg

    from telemetry.sinks.postgres.store import PostgresStore

    assert host.deliver(a_run())
    store = PostgresStore(host.open().options.access)
    store.stats()

    with pytest.raises(StoreError, match="read-only") as caught:
        store._ask(lambda connection: connection.execute("DELETE FROM agent_runs"), None)
    assert isinstance(caught.value.__cause__, psycopg.errors.ReadOnlySqlTransaction)
    assert 1 == store.stats()["total_runs"]
    store.close()


def test_a_store_outlives_a_lost_connection(
    host: Any, url: str, rows: Callable[..., list[Any]], a_run: Runs, an_event: Callable[..., RunEvent]
):
    """Cut between two pages it goes on by a new connection, without a gap or a doubled row."""
    assert host.deliver(*(an_event("r1", n) for n in range(1000)), a_run("r1"))
    store = telemetry.open_store(f"{url}&application_name=reader")
    events = store.events()
    payloads = [next(events).payload]

    rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reader'")
    payloads += [event.payload for event in events]

    assert list(range(1000)) == payloads
    store.close()


def test_a_server_that_is_not_there_is_told(capfd: Any):
    """One line with place and cause, exit code 1, and no password."""
    code = run(["--store", f"postgresql://me:{quote(PASSWORD, safe='')}@127.0.0.1:9/db", "runs"])

    told = capfd.readouterr().err
    assert 1 == code
    assert "127.0.0.1:9/db" in told
    assert "refused" in told
    assert "p4ss" not in told


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1:9/db",
        "postgresql://me:p4ss?word@127.0.0.1:9/db",
        "postgresql://me:p4ss%zzword@127.0.0.1:9/db",
        "postgresql://me:word@p4ss@127.0.0.1:9/db",
        "postgresql://me:p4ss/word@127.0.0.1:9/db",
        "postgresql://127.0.0.1:9/db?password=p4ss&word",
        "postgresql://me:p4ss:word",
        "postgresql://me:p4ssword@127.0.0.1:9x/db",
    ],
)
def test_a_password_in_a_url_that_cannot_be_read_is_not_told(url: str, capfd: Any):
    """libpq quotes the piece at which it stumbles; we do not."""
    code = run(["--store", url, "runs"])

    told = capfd.readouterr().err
    assert 1 == code
    assert "postgresql://" in told
    assert "p4ss" not in told
    assert "word@" not in told


@pytest.mark.parametrize(
    ("place", "error", "text"),
    [
        ("postgresql://h\n/d", StoreError, "url must look like"),
        ("mysql://me:secret@h/d", StoreError, "a store behind mysql://; name a path, or a postgres:// URL"),
        ("memory://x", StoreError, "a store behind memory://; name a path, or a postgres:// URL"),
    ],
)
def test_other_places_are_refused(place: str, error: type[Exception], text: str):
    """The message says what can be read, and hides what stands before the @."""
    with pytest.raises(error, match=text) as caught:
        telemetry.open_store(place)

    assert "secret" not in str(caught.value)


def test_reading_needs_psycopg_too(monkeypatch: pytest.MonkeyPatch):
    """The same cure as for writing."""
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(MissingExtra, match=r"pip install 'local-telemetry\[postgres\]'"):
        telemetry.open_store("postgres://h/d")


@pytest.mark.parametrize("words", [["query", "SELECT 1"], ["tail"], ["verify"]], ids=lambda words: words[0])
def test_commands_for_this_machine_refuse_a_store(words: list[str], url: str, capfd: Any):
    """They would answer from another place than the one that was named."""
    code = run(["--store", url, *words])

    assert 2 == code
    assert "leave --store out" in capfd.readouterr().err


def test_a_path_is_a_store_too(base: Path, capfd: Any):
    """A copied database, a journal folder: read as they are."""
    shown = []
    for place in (base, base / "raw", base / "db" / "telemetry.sqlite"):
        assert 0 == run(["--store", str(place), "runs", "--json"])
        shown.append({row["run_id"]: row["status"] for row in json.loads(capfd.readouterr().out)})

    assert 10 == len(shown[0])
    assert shown[0] == shown[1] == shown[2]


def test_a_client_reads_its_own_machine_first(base: Path, url: str, tmp_path: Path):
    """With a journal beside it the server is not asked; where it is all there is, it answers."""
    hq = PostgresSink(PostgresSink.Options(url=url))
    dead = PostgresSink(PostgresSink.Options(url="postgresql://127.0.0.1:9/db"))

    with TelemetryClient(sinks={"hq": dead, "raw": NdjsonSink()}, metrics_dir=tmp_path / "other") as client:
        assert 0 == client.get_stats()["total_runs"]
    with TelemetryClient(sinks={"hq": hq}, metrics_dir=tmp_path / "third") as client:
        assert 10 == client.get_stats()["total_runs"]
