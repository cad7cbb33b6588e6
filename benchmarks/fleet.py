"""
Measure how fast a remote sink brings a journal to another process on this machine, and what that costs this one.

    python benchmarks/fleet.py otlp|api|postgres [--runs 500] [--events 40] [--url URL] [--options JSON]

Records the journal first, then sends it as a backfill. Without `--url` a server that takes everything stands on
127.0.0.1, in a process of its own; `postgres` needs the URL of an empty database. Prints records a second, processor
time a record, and bytes a record as they went over the wire.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from typing import Any

from telemetry import TelemetryClient
from telemetry.plugins.discovery import load_sink_type
from telemetry.sinks.ndjson import NdjsonSink

_ADDRESS = {"otlp": "endpoint", "api": "url", "postgres": "url"}
_SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        global received
        received += len(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(b"")

    def do_GET(self):
        self.answer(str(received).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

received = 0
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def journal(sinks: dict[str, Any], base: str) -> TelemetryClient:
    """Return a client that keeps a journal in *base*, and has *sinks*."""
    return TelemetryClient(sinks={"raw": NdjsonSink(NdjsonSink.Options(fsync="never")), **sinks}, metrics_dir=base)


def record(base: str, runs: int, events: int) -> None:
    """Write *runs* runs of *events* events each."""
    with journal({}, base) as client:
        for _ in range(runs):
            run_id = client.start_run("crawler", "nightly")
            for number in range(events):
                client.log_event(run_id, "page", {"url": f"https://a.example/{number}", "n": number, "ok": True})
            client.end_run(run_id)


def send(kind: str, base: str, url: str, options: dict[str, Any]) -> tuple[float, float]:
    """Bring the journal in *base* to *url*; return seconds and processor seconds."""
    sink_type = load_sink_type(kind)
    sink = sink_type.cls(sink_type.cls.Options(**{_ADDRESS[kind]: url}, backfill=True, **options))
    began, cpu = time.perf_counter(), time.process_time()
    with journal({"remote": sink}, base) as client:
        if not client.flush(600):
            raise SystemExit(f"not all was delivered: {client.status()['sinks']['remote']}")
        return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    """Measure one sink."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(_ADDRESS))
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--url")
    parser.add_argument("--options", type=json.loads, default={})
    asked = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-S", "-c", _SERVER], stdout=subprocess.PIPE)
    try:
        own = f"http://127.0.0.1:{int(server.stdout.readline())}"  # type: ignore[union-attr]
        with tempfile.TemporaryDirectory() as base:
            record(base, asked.runs, asked.events)
            took_s, cpu_s = send(asked.kind, base, asked.url or own, asked.options)
        count = asked.runs if asked.kind == "api" else asked.runs * (asked.events + 2)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(own) as answer:
            size = int(answer.read())
        told = f"{count} records, {count / took_s:.0f} a second, {cpu_s / count * 1e6:.0f} us of processor time each"
        print(told + (f", {size / count:.0f} bytes each" if size else ""))
    finally:
        server.kill()
        server.communicate()


if __name__ == "__main__":
    main()
