"""However broken a store is, the agent's calls return at once and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from telemetry import TelemetryClient, hookimpl
from telemetry.plugins.records import RunEvent
from telemetry.sinks.journal import journal_files, read_records

ROUNDS = 60
# The long variant goes on for 30 s, as long as other programs may hold a lock.
LONG_ROUNDS, LONG_PAUSE_S = 300, 0.1

# The promise is 10 ms (p99) and 150 ms (worst). These machines are shared and may stop a process for longer than that
# by themselves, so the normal run has slack and a second and third try: a call of ours that waits does so in each. The
# long variant has neither.
USUAL_LIMITS_MS = (60.0, 600.0)
TRIES = 3
STRICT_LIMITS_MS = (10.0, 150.0)


def _work(client: TelemetryClient, rounds: int = ROUNDS, pause_s: float = 0.0) -> list[float]:
    """Record *rounds* runs of four calls; return the milliseconds of each call."""
    times: list[float] = []

    def timed(act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        result = act(*args, **kwargs)
        times.append((time.perf_counter() - began) * 1000)
        return result

    for number in range(rounds):
        time.sleep(pause_s)
        run_id = timed(client.start_run, "agent", "faulty")
        timed(client.log_event, run_id, "count", {"number": number})
        timed(client.set_metrics, run_id, number=number)
        timed(client.end_run, run_id)
    return times


def _journalled_events(base_dir: Path) -> int:
    return sum(
        isinstance(found.record, RunEvent) for file in journal_files(base_dir / "raw") for found in read_records(file)
    )


@contextmanager
def _database_locked(base_dir: Path) -> Iterator[dict[str, Any]]:
    with TelemetryClient(base_dir=base_dir) as client:
        client.end_run(client.start_run("agent", "before"))
        client.flush()
    code = (
        "import sqlite3, sys, time\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('BEGIN EXCLUSIVE')\nprint('locked', flush=True)\ntime.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(base_dir / "db" / "telemetry.sqlite")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield {}
    process.kill()
    process.wait()
    process.stdout.close()


HOLD_ALL_LOCKS = """
import fcntl, os, sys, time
held = []
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        if "lock" in name:
            held.append(os.open(os.path.join(folder, name), os.O_RDWR))
            fcntl.flock(held[-1], fcntl.LOCK_EX)
print(len(held), flush=True)
time.sleep(600)
"""


@contextmanager
def _lock_holder_stopped(base_dir: Path) -> Iterator[dict[str, Any]]:
    with TelemetryClient(base_dir=base_dir) as client:
        client.end_run(client.start_run("agent", "before"))
        client.flush()
    process = subprocess.Popen([sys.executable, "-c", HOLD_ALL_LOCKS, str(base_dir)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert int(process.stdout.readline()) >= 2
    process.send_signal(signal.SIGSTOP)
    yield {}
    process.kill()
    process.wait()
    process.stdout.close()


@contextmanager
def _database_is_rubbish(base_dir: Path) -> Iterator[dict[str, Any]]:
    (base_dir / "db").mkdir(parents=True)
    (base_dir / "db" / "telemetry.sqlite").write_bytes(os.urandom(65_536))
    yield {}


@contextmanager
def _database_place_is_taken(base_dir: Path) -> Iterator[dict[str, Any]]:
    base_dir.mkdir(exist_ok=True)
    (base_dir / "db").write_text("a file where the folder should be")
    yield {}
    (base_dir / "db").unlink()


@contextmanager
def _database_newer_than_we_know(base_dir: Path) -> Iterator[dict[str, Any]]:
    (base_dir / "db").mkdir(parents=True)
    with sqlite3.connect(base_dir / "db" / "telemetry.sqlite") as connection:
        connection.execute("CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, applied_at, description)")
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'now', 'from the future')")
    connection.close()
    yield {}


@contextmanager
def _small_disk_for_the_database(base_dir: Path) -> Iterator[Path]:
    """Give the database a file system of its own, of 256 kB, with a store in it."""
    place = base_dir / "db"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        with TelemetryClient(base_dir=base_dir) as client:
            client.end_run(client.start_run("agent", "before"))
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@contextmanager
def _database_is_read_only(base_dir: Path) -> Iterator[dict[str, Any]]:
    with _small_disk_for_the_database(base_dir) as place:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        yield {}


@contextmanager
def _database_disk_is_full(base_dir: Path) -> Iterator[dict[str, Any]]:
    with _small_disk_for_the_database(base_dir) as place:
        with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        yield {}


class SleepySink:
    """Sleep ten seconds in every hook."""

    @hookimpl
    def telemetry_event_logged(self, event: RunEvent) -> None:
        time.sleep(10)


class RudeSink:
    """Raise, exit, and flood, in turn."""

    def __init__(self) -> None:
        self.client: TelemetryClient | None = None

    @hookimpl
    def telemetry_run_started(self) -> None:
        raise RuntimeError("no")

    @hookimpl
    def telemetry_run_ended(self) -> None:
        sys.exit(1)

    @hookimpl
    def telemetry_event_logged(self, event: RunEvent) -> None:
        if event.event_type == "count" and self.client is not None:
            for _ in range(100):
                self.client.log_event(event.run_id, "flood")


@contextmanager
def _listener(answer: Callable[[socket.socket], None]) -> Iterator[dict[str, Any]]:
    server = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    yield {"api_url": f"http://127.0.0.1:{server.getsockname()[1]}/v1", "api_token": "a-token-of-usual-length"}
    server.shutdown(socket.SHUT_RDWR)  # close() alone does not wake the thread that accepts
    serving.join()
    server.close()
    for connection in connections:
        connection.close()


def _says(text: bytes, *, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        try:
            connection.recv(65_536)
            for byte in text if pause_s else [text]:
                connection.sendall(bytes([byte]) if isinstance(byte, int) else byte)
                time.sleep(pause_s)
            if not pause_s:
                connection.close()
        except OSError:
            return

    return answer


@contextmanager
def _api_refuses(base_dir: Path) -> Iterator[dict[str, Any]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield {"api_url": f"http://127.0.0.1:{port}/v1", "api_token": "a-token-of-usual-length"}


FAULTS: dict[str, Callable[[Path], Any]] = {
    "database locked by another process": _database_locked,
    "holder of every lock stopped by SIGSTOP": _lock_holder_stopped,
    "database is rubbish": _database_is_rubbish,
    "database is read-only": _database_is_read_only,
    "disk of the database is full": _database_disk_is_full,
    "a file stands where the database's folder should be": _database_place_is_taken,
    "database of a version that nobody knows": _database_newer_than_we_know,
    "API refuses": _api_refuses,
    "API hangs": lambda base_dir: _listener(lambda connection: time.sleep(60)),
    "API drips": lambda base_dir: _listener(_says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500, pause_s=0.2)),
    "API answers 500": lambda base_dir: _listener(_says(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")),
    "API answers 429": lambda base_dir: _listener(
        _says(b"HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")
    ),
    "API answers rubbish": lambda base_dir: _listener(_says(b"\x00\xff rubbish \r\n\r\n")),
}


def _measured(base_dir: Path, fault: str, rounds: int = ROUNDS, pause_s: float = 0.0) -> tuple[float, float]:
    """Work under *fault*; return the p99 and the worst time of a call, in ms. Closing waits for nothing."""
    base_dir.mkdir(exist_ok=True)
    with FAULTS[fault](base_dir) as settings:
        client = TelemetryClient(base_dir=base_dir, **settings)
        times = _work(client, rounds, pause_s)
        began = time.perf_counter()
        client.close(timeout_s=1.0)
        closing_s = time.perf_counter() - began

    assert closing_s < 20  # a second was granted
    assert rounds == _journalled_events(base_dir)
    return statistics.quantiles(times, n=100)[98], max(times)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_call_waits_for_a_broken_store(tmp_path, fault):
    """With each fault, no call takes long, closing is quick, and every event is in the journal."""
    _hold_once(lambda number: _measured(tmp_path / str(number), fault), USUAL_LIMITS_MS, TRIES)


def _hold_once(measure: Callable[[int], tuple[float, float]], limits_ms: tuple[float, float], tries: int) -> None:
    found = []
    for number in range(tries):
        found.append(measure(number))
        if all(took <= limit for took, limit in zip(found[-1], limits_ms, strict=True)):
            return
    pytest.fail(f"p99 and worst of each try, in ms: {found}")


@pytest.mark.faults_long
@pytest.mark.parametrize("fault", FAULTS)
def test_no_call_waits_longer_than_promised(tmp_path, fault):
    """p99 <= 10 ms and worst <= 150 ms, without slack, for 30 seconds."""
    p99_ms, worst_ms = _measured(tmp_path, fault, LONG_ROUNDS, LONG_PAUSE_S)

    assert p99_ms <= STRICT_LIMITS_MS[0], f"p99 {p99_ms:.1f} ms, worst {worst_ms:.1f} ms"
    assert worst_ms <= STRICT_LIMITS_MS[1]


@pytest.mark.parametrize(
    ("limits_ms", "tries"),
    [(USUAL_LIMITS_MS, TRIES), pytest.param(STRICT_LIMITS_MS, 1, marks=pytest.mark.faults_long)],
    ids=str,
)
@pytest.mark.parametrize("sink", [SleepySink, RudeSink])
def test_no_call_waits_for_a_strangers_sink(tmp_path, sink, limits_ms, tries):
    """A sink that sleeps, raises, exits or floods holds the agent 50 ms once, and costs the journal nothing."""
    _hold_once(lambda number: _measured_beside(sink(), tmp_path / str(number)), limits_ms, tries)


def _measured_beside(stranger: SleepySink | RudeSink, base_dir: Path) -> tuple[float, float]:
    from telemetry.sinks.ndjson import NdjsonSink

    client = TelemetryClient(base_dir=base_dir, sinks={"raw": NdjsonSink(), "stranger": stranger})
    if isinstance(stranger, RudeSink):
        stranger.client = client

    times = _work(client)

    assert ROUNDS <= _journalled_events(base_dir)
    assert client.status()["sinks"]["stranger"]["failed"]
    client.close(timeout_s=0.1)
    return statistics.quantiles(times, n=100)[98], max(times)


@pytest.mark.parametrize("fault", ["database locked by another process", "database is rubbish"])
def test_the_store_agrees_once_the_fault_is_over(tmp_path, fault):
    """Without any act of the user, the next reader sees every run in SQLite."""
    with FAULTS[fault](tmp_path) as settings:
        client = TelemetryClient(base_dir=tmp_path, **settings)
        _work(client)
        client.close(timeout_s=0.1)

    with TelemetryClient(base_dir=tmp_path) as reader:
        stats = reader.get_stats()

    assert ROUNDS <= stats["total_runs"]
    assert 0 == stats["status_counts"].get("running", 0)
