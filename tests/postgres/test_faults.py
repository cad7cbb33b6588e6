"""Prove that no record is lost and none is doubled, whatever dies in the middle of a delivery."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

import psycopg
from cutting_proxy import CuttingProxy
from postgres_server import Server

from telemetry.plugins import RetryPolicy, RunEvent, RunRecord, fold
from telemetry.sinks.journal import journal_files, read_records
from telemetry.sinks.postgres.options import Access
from telemetry.sinks.postgres.store import PostgresStore

Runs = Callable[..., RunRecord]
Rows = Callable[..., list[Any]]
_AT_ONCE = RetryPolicy((0.05,), cap_s=0.2)
_EVENT_KEYS = "SELECT run_id, writer, seq FROM run_events"
_LINE_KEYS = "SELECT run_id, writer, seq FROM run_lines"


@pytest.fixture
def filled(new_host: Callable[..., Any], a_run: Runs, ended: Runs) -> Callable[..., Any]:
    """Return a function that makes a host with ended runs in its journal, or gives more to one, in small batches."""
    numbers, seqs = itertools.count(), itertools.count(1)

    def filled(runs: int, events: int, host: Any = None, **options: Any) -> Any:
        host = host or new_host(batch=100, retry=_AT_ONCE, **options)
        for number in itertools.islice(numbers, runs):
            run = a_run(f"r{number}", seq=next(seqs))
            steps = [
                RunEvent(run.run_id, "step", run.start_time, {"n": seq, "x": "x" * 200}, run.writer, seq)
                for seq in itertools.islice(seqs, events)
            ]
            host.write(run, *steps, ended(run, seq=next(seqs), metrics={"events": events}))
        return host

    return filled


def records_of(*hosts: Any) -> Iterator[Any]:
    """Yield every record in the journals of *hosts*."""
    for host in hosts:
        for file in journal_files(host.raw):
            yield from (found.record for found in read_records(file))


def assert_all_there_once(rows: Rows, *hosts: Any) -> None:
    """The database has the events and lines of the journals, no more and no fewer, and the runs that they make."""
    keys: dict[bool, list[Any]] = {True: [], False: []}
    runs: dict[str, RunRecord] = {}
    for record in records_of(*hosts):
        keys[isinstance(record, RunEvent)].append((record.run_id, record.writer, record.seq))
        if not isinstance(record, RunEvent):
            runs[record.run_id] = fold(runs.get(record.run_id), record)

    assert sorted(keys[True]) == sorted(rows(_EVENT_KEYS))
    assert sorted(keys[False]) == sorted(rows(_LINE_KEYS))
    assert {run_id: run.status for run_id, run in runs.items()} == dict(rows())


def wait_until_it_writes(url: str, name: str, go_on: Callable[[], object]) -> None:
    """Wait until the connection called *name* is in a transaction; who looks too late lets it *go_on* to the next."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND backend_xid IS NOT NULL"
    began = time.monotonic()
    looks = 1
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(sql, (name,)).fetchone() is None:
            assert time.monotonic() < began + 60, "nothing was written"
            if time.monotonic() > began + looks:
                looks += 1
                go_on()


@pytest.mark.parametrize(
    ("kills", "runs"), [(2, 6), pytest.param(10, 60, marks=pytest.mark.faults_long)], ids=["few", "many"]
)
def test_the_server_is_killed_in_the_middle_of_a_batch(
    server: Server, filled: Callable[..., Any], rows: Rows, url: str, kills: int, runs: int
):
    """With all its processes, and started again: what was not committed comes again, nothing comes twice."""
    host = filled(runs, 300)
    sink = host.open(connect={"application_name": "victim"})
    for _ in range(kills):
        wait_until_it_writes(url, "victim", lambda: filled(1, 300, host) and sink.telemetry_flush(0))
        server.kill()
        sink.telemetry_flush(0.3)
        server.start()

    assert sink.telemetry_flush(90)
    assert_all_there_once(rows, host)


@pytest.mark.parametrize(
    "word",
    [
        b"COMMIT",
        b"INSERT INTO run_events",
        pytest.param(b"INSERT INTO run_lines", marks=pytest.mark.faults_long),
        pytest.param(b"SELECT r.revision", marks=pytest.mark.faults_long),
    ],
    ids=bytes.decode,
)
def test_the_connection_is_cut(server: Server, filled: Callable[..., Any], rows: Rows, url: str, word: bytes):
    """When the server has a statement, the commit above all: the answer is lost, and nobody knows what it did."""
    left = [3]

    def cuts(piece: bytes) -> bool:
        is_cut = word in piece and left[0] > 0
        left[0] -= is_cut
        return is_cut

    proxy = CuttingProxy(server.port, cuts)
    host = filled(5, 80, url=url.replace(f":{server.port}/", f":{proxy.port}/"))

    sink = host.open()
    assert sink.telemetry_flush(60)
    sink.telemetry_close(5)
    proxy.close()

    assert 3 == proxy.count
    assert_all_there_once(rows, host)


@pytest.mark.faults_long
@pytest.mark.parametrize("seed", range(5))
def test_the_connection_is_cut_anywhere(server: Server, filled: Callable[..., Any], rows: Rows, url: str, seed: int):
    """After random pieces, again and again."""
    chance = random.Random(seed)
    proxy = CuttingProxy(server.port, lambda piece: chance.random() < 0.02)
    host = filled(40, 300, url=url.replace(f":{server.port}/", f":{proxy.port}/"))

    sink = host.open()
    assert sink.telemetry_flush(110)
    sink.telemetry_close(5)
    proxy.close()

    assert proxy.count > 3
    assert_all_there_once(rows, host)


@pytest.fixture
def small_disk(server: Server) -> Iterator[Path]:
    """Return a file system of 2 MB, on which the server may put tables: the tablespace `small`."""
    place = server.folder / "small"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    if not sys.platform.startswith("linux") or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        os.chown(place, server.folder.stat().st_uid, -1)
        with psycopg.connect(server.uri(), autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        yield place
        with psycopg.connect(server.uri(), autocommit=True) as connection:
            connection.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def url_on_small_disk(small_disk: Path, url: str) -> Iterator[str]:
    """Return the URL by which all tables come to lie on the small disk."""
    yield f"{url}%20-cdefault_tablespace%3Dsmall"
    # Before the tablespace can go; the schema itself goes later.
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE agent_runs, run_events, run_lines, commits, run_commits CASCADE")
        connection.execute("DROP TABLE schema_migrations, telemetry_migrations")
        connection.execute("CHECKPOINT")


def test_the_disk_of_the_server_is_full(
    small_disk: Path, url_on_small_disk: str, filled: Callable[..., Any], rows: Rows
):
    """The delivery rests and says why; when there is room again all of it arrives, and nothing was given up."""
    host = filled(10, 700, url=url_on_small_disk)

    sink = host.open()
    end = time.monotonic() + 60
    while (fault := sink.telemetry_health()["fault"]) is None and time.monotonic() < end:
        time.sleep(0.02)
    is_done = sink.telemetry_flush(0.1)
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)

    assert not is_done
    assert "No space left" in fault
    assert sink.telemetry_flush(60)
    assert 0 == sink.telemetry_health()["refused"]
    assert_all_there_once(rows, host)
    host.close()


@pytest.fixture
def frozen(server: Server, rows: Rows) -> Iterator[Callable[[str], None]]:
    """Return a function that stops the server's process for a connection, whose socket stays open."""
    stopped: list[int] = []

    def freeze(name: str) -> None:
        stopped.extend(pid for (pid,) in rows("SELECT pid FROM pg_stat_activity WHERE application_name = %s", name))
        os.kill(stopped[-1], signal.SIGSTOP)

    yield freeze
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_freezes_is_left(
    frozen: Callable[[str], None], new_host: Callable[..., Any], a_run: Runs, rows: Rows
):
    """A disk that hangs, a machine that was paused: its own limits hold nothing there, and TCP sees nothing wrong."""
    host = new_host(retry=_AT_ONCE, timeout_s=0.2, connect={"application_name": "frozen"})
    host.write(a_run("r1"))
    sink = host.open()
    assert sink.telemetry_flush(60)

    frozen("frozen")
    host.write(a_run("r2", seq=2))

    assert sink.telemetry_flush(60)
    assert [("r1", "running"), ("r2", "running")] == rows()


def test_a_reader_does_not_wait_for_a_frozen_server(
    frozen: Callable[[str], None], new_host: Callable[..., Any], a_run: Runs, url: str
):
    """A new connection answers the same question; where none does, the fault says that the server gave no answer."""
    assert new_host().deliver(a_run())
    access = Access(url=f"{url}&application_name=frozen", timeout_s=0.2)
    store = PostgresStore(access)
    assert 1 == store.stats()["total_runs"]

    frozen("frozen")

    assert 1 == store.stats()["total_runs"]
    store.close()


AGENT = """
import os, signal, sys
from telemetry import TelemetryClient
from telemetry.plugins import RetryPolicy
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.postgres.sink import PostgresSink

base, url, runs, dies = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "dies"
retry = RetryPolicy((0.05,), cap_s=0.2)
sinks = {"raw": NdjsonSink(), "hq": PostgresSink(PostgresSink.Options(url=url, backfill=True, batch=100, retry=retry))}
client = TelemetryClient(sinks=sinks, metrics_dir=base)
for number in range(runs):
    with client.track_run("agent", "job") as run:
        for step in range(50):
            run.log_event("step", {"n": step})
            client.log_event("20261123T100000Z-shared-00000001", "seen", {"by": os.getpid()})
        run.set_metrics(number=number)
    if dies and number == runs // 2:
        client.flush(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
sys.exit(0 if client.flush(60) else 1)
"""


@pytest.mark.parametrize(
    ("hosts", "runs"), [(3, 4), pytest.param(16, 40, marks=pytest.mark.faults_long)], ids=["3 hosts", "16 hosts"]
)
def test_many_hosts_deliver_at_once(new_host: Callable[..., Any], url: str, rows: Rows, hosts: int, runs: int):
    """Into an empty database, some of them killed on the way, and all with events of one run."""
    made = [new_host(f"host{number}") for number in range(hosts)]

    agents = [
        subprocess.Popen([sys.executable, "-c", AGENT, host.base, url, str(runs), "dies" if n % 4 == 2 else ""])
        for n, host in enumerate(made)
    ]
    codes = [agent.wait(110) for agent in agents]
    for host in made:
        assert host.deliver()

    assert [-signal.SIGKILL if n % 4 == 2 else 0 for n in range(hosts)] == codes
    every = {(r.run_id, r.writer, r.seq) for r in records_of(*made) if isinstance(r, RunEvent)}
    assert every == set(rows(_EVENT_KEYS))
    assert len(every) == len(rows(_EVENT_KEYS))
    ended = {r.run_id for r in records_of(*made) if isinstance(r, RunRecord) and not r.is_running}
    assert ended == {run_id for run_id, status in rows() if status == "success"}
    shared = "SELECT agent_name, status FROM agent_runs WHERE strpos(run_id, 'shared') > 0"
    assert [("shared", "running")] == rows(shared)


def test_one_journal_is_delivered_by_two(new_host: Callable[..., Any], filled: Callable[..., Any], rows: Rows):
    """A base directory was copied while it was delivered from: both copies deliver all of it, at the same time."""
    import shutil

    host = filled(6, 200)
    copy = new_host("copy", batch=70, retry=_AT_ONCE)
    shutil.copytree(host.base, copy.base)

    sinks = [each.open() for each in (host, copy)]

    assert [True, True] == [sink.telemetry_flush(60) for sink in sinks]
    assert_all_there_once(rows, host)
