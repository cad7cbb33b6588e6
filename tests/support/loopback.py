"""A web server on 127.0.0.1 that notes what is posted to it, and misbehaves on command."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeVar

from attrs import define, field, frozen

Act = Callable[["Handler"], None]
_Served = TypeVar("_Served", bound="Loopback")


@frozen
class Post:
    """What a client sent."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Handler(BaseHTTPRequestHandler):
    """Note the post, which is then `self.post`, and do what the script says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True  # killed while it sent
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.post = self.server.loopback.understood(Post(self.path, headers, body, time.monotonic()))
        self.server.loopback.next_act(self.post)(self)

    def do_GET(self) -> None:
        self.server.loopback.faults.append(f"a GET of {self.path}")
        self.answer(405)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Secured(ssl.SSLSocket):
    # Before Python 3.13 wrap_socket() leaves the socket of a client that has reset the connection to the garbage
    # collector, whose warning would fail whatever test runs then.
    def __del__(self) -> None:
        self.close()


def secured(plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return *plain*, which a client has connected to, with TLS on it."""
    context.sslsocket_class = _Secured
    return context.wrap_socket(plain, server_side=True)


class Server(ThreadingHTTPServer):
    """One thread a connection, so that one that hangs, be it in the handshake, holds up no other."""

    daemon_threads = True
    request_queue_size = 100

    def finish_request(self, request: Any, address: Any) -> None:
        if self.loopback.tls is None:
            super().finish_request(request, address)
            return
        with secured(request, self.loopback.tls) as connection:
            super().finish_request(connection, address)

    def handle_error(self, *args: object) -> None:
        """A client that went away is what the tests are about."""


@define(eq=False)
class Loopback:
    """
    The server.

    Attributes:
        tls: what to speak TLS with, None for none.
        script: acts for the next posts, one each.
        always: what is done when the script is through; takes the post when None.
        requests: what was received, in order.
        taken: what of it was answered with success.
        faults: where a client broke the protocol; the fixtures demand that there are none.
    """

    success: ClassVar[tuple[int, bytes, dict[str, str]]] = (200, b"", {})

    tls: ssl.SSLContext | None = None
    port: int = 0
    server: Server | None = None
    script: list[Act] = field(factory=list)
    always: Act | None = None
    requests: list[Any] = field(factory=list)
    taken: list[Any] = field(factory=list)
    faults: list[str] = field(factory=list)
    released: threading.Event = field(factory=threading.Event)
    _turn: Any = field(factory=threading.Condition)

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.loopback = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.released.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def understood(self, post: Post) -> Any:
        """Return what is kept of *post*; may note faults."""
        return post

    def next_act(self, post: Any) -> Act:
        with self._turn:
            self.requests.append(post)
            act = self.script.pop(0) if self.script else self.always or self.take
            self._turn.notify_all()
        return act

    def wait(self, is_so: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until *is_so*, asked after each post."""
        with self._turn:
            assert self._turn.wait_for(is_so, timeout_s), f"{len(self.requests)} requests, {len(self.taken)} taken"

    # -- what it can do

    def take(self, handler: Handler) -> None:
        with self._turn:
            self.taken.append(handler.post)
            self._turn.notify_all()
        status, body, headers = self.success
        handler.answer(status, body, **headers)

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

    def drip(self, handler: Handler) -> None:
        """Send a byte from time to time, for ever."""
        handler.close_connection = True
        while not self.released.wait(0.1):
            handler.wfile.write(b"H")
            handler.wfile.flush()


@contextmanager
def lent(make: Callable[..., _Served]) -> Iterator[Callable[..., _Served]]:
    """Lend a function that makes and starts servers; in the end they are stopped, and none may have met a fault."""
    started: list[_Served] = []

    def start(**given: Any) -> _Served:
        started.append(make(**given))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()
        assert [] == server.faults
