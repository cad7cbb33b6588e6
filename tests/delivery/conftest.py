"""Give the delivery a server that misbehaves on command, a journal, and records to carry."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field, frozen

from telemetry.plugins import RunRecord, SinkContext, encode_line
from telemetry.sinks.journal import Journal

Act = Callable[["Handler"], None]


@frozen
class Request:
    """What a client sent."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def run(self) -> dict[str, Any]:
        return json.loads(self.body)


class Handler(BaseHTTPRequestHandler):
    """Note the request, then do what the script says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True  # killed while it sent
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, body, time.monotonic())
        self.server.api.seen(request)(self)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """One thread a connection, so that one that hangs holds up no other."""

    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, *args: object) -> None:
        """A client that went away is what the tests are about."""


@define(eq=False)
class Api:
    """
    A metrics API on 127.0.0.1.

    Attributes:
        script: acts for the next requests, one each.
        always: what is done when the script is through.
        requests: what was received, in order.
        taken: the bodies that were answered with 2xx.
    """

    server: Server | None = None
    port: int = 0
    script: list[Act] = field(factory=list)
    always: Act | None = None
    requests: list[Request] = field(factory=list)
    taken: list[Request] = field(factory=list)
    released: threading.Event = field(factory=threading.Event)
    _turn: Any = field(factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/records"

    @property
    def runs(self) -> list[str]:
        """The run ids that were taken, in order, repetitions included."""
        return [request.run["run_id"] for request in self.taken]

    def start(self) -> None:
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.api = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.released.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def seen(self, request: Request) -> Act:
        with self._turn:
            self.requests.append(request)
            act = self.script.pop(0) if self.script else self.always or self.take
            self._turn.notify_all()
        return lambda handler: self._do(act, handler, request)

    def _do(self, act: Act, handler: Handler, request: Request) -> None:
        if act == self.take:
            with self._turn:
                self.taken.append(request)
                self._turn.notify_all()
        act(handler)

    def wait(self, is_so: Callable[[], bool], timeout_s: float = 15.0) -> None:
        """Wait until *is_so*, asked after each request."""
        with self._turn:
            assert self._turn.wait_for(is_so, timeout_s), f"{len(self.requests)} requests, {len(self.taken)} taken"

    # -- what it can do

    def take(self, handler: Handler) -> None:
        handler.answer(201, b'{"ok": true}')

    def say(self, status: int, body: bytes = b"", **headers: str) -> Act:
        return lambda handler: handler.answer(status, body, **headers)

    def hang(self, handler: Handler) -> None:
        handler.close_connection = True
        self.released.wait(30)

    def reset(self, handler: Handler) -> None:
        handler.close_connection = True

    def raw(self, *pieces: bytes, pause_s: float = 0.0) -> Act:
        """Send bytes as they are, one piece after another, then close."""

        def act(handler: Handler) -> None:
            handler.close_connection = True
            for piece in pieces:
                handler.wfile.write(piece)
                handler.wfile.flush()
                if self.released.wait(pause_s):
                    return

        return act


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach 127.0.0.1 directly, whatever this machine is set up with."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def api() -> Iterator[Api]:
    """A metrics API that takes everything unless it is told otherwise."""
    server = Api()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def other_api() -> Iterator[Api]:
    """A second one, at another origin."""
    server = Api()
    server.start()
    yield server
    server.stop()


@define(eq=False)
class Base:
    """A base directory with a journal, seen by a sink called `hq`."""

    path: Path
    reports: list[Any] = field(factory=list)
    numbers: Any = field(factory=lambda: itertools.count(1))
    writer: str = "w1"

    @property
    def raw(self) -> Path:
        return self.path / "raw"

    @property
    def state(self) -> Path:
        return self.path / "state"

    def context(self, **changes: Any) -> SinkContext:
        context = SinkContext(
            sink_name="hq",
            base_dir=self.path,
            ndjson_dir=self.raw,
            journal_dir=self.raw,
            database_path=self.path / "db" / "telemetry.sqlite",
            writer=self.writer,
            report=self.reports.append,
        )
        return evolve(context, **changes)

    def run(self, name: str, **changes: Any) -> RunRecord:
        """Return the end of a run called *name*."""
        values = {
            "run_id": name,
            "agent_name": "crawler",
            "job_type": "crawl",
            "start_time": "2026-11-23T10:00:00.000000+00:00",
            "end_time": "2026-11-23T10:00:01.000000+00:00",
            "status": "success",
            "duration_ms": 1000,
            "writer": self.writer,
            "seq": next(self.numbers),
        }
        return RunRecord(**{**values, **changes})

    def write(self, *records: Any) -> None:
        """Append *records* to the journal."""
        journal = Journal(self.raw, fsync="never")
        for record in records:
            journal.append(encode_line(record))
        journal.close()

    def write_runs(self, *names: str) -> list[RunRecord]:
        """Append the end of a run for each name."""
        runs = [self.run(name) for name in names]
        self.write(*runs)
        return runs

    def texts(self) -> str:
        """Return all that lies under the base directory, as one text."""
        return "".join(path.read_bytes().decode("latin-1") for path in self.path.rglob("*") if path.is_file())


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """An empty base directory."""
    return Base(tmp_path / "base")


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python programs in processes of their own; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program, *map(str, arguments)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(command, text=True, **pipes)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
