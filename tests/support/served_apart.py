"""A server of the loopback in a process of its own, so that a fork of the test's is not a fork of it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any, ClassVar, Self

_PROGRAM = """
import base64, json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True  # the one who sent it was killed
            return
        key, kept = KEEP(self.headers, body)
        taken.setdefault(self.path, {}).setdefault(key, kept)
        self.answer(*ANSWER)

    def do_GET(self):
        self.answer(200, json.dumps(list(taken.get(self.path, {}).values())).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

taken = {}
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
server.request_queue_size = 100
print(server.server_port, flush=True)
server.serve_forever()
"""


class ServedApart:
    """
    A server that takes everything; what was posted to a path can be asked for there.

    Attributes:
        rules: Python that sets CONTENT_TYPE, ANSWER (status and body) and KEEP, which makes of headers and body a key
            and what is kept under it; of two posts with one key the first is kept.
    """

    rules: ClassVar[str]

    def __enter__(self) -> Self:
        """Start it."""
        command = [sys.executable, "-S", "-c", self.rules + _PROGRAM]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it."""
        self._process.kill()
        self._process.communicate()

    def kept_at(self, path: str) -> list[Any]:
        """Return what was kept of the posts to *path*, in the order in which they came."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            kept: list[Any] = json.load(answer)
        return kept
