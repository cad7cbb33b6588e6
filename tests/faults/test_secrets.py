"""No secret that an agent lets slip reaches the disk or the wire."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from telemetry import TelemetryClient, TelemetryConfig

pytestmark = pytest.mark.once

PLANTED = 10_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


MARK = "Zq9"  # begins every planted secret, so that one search finds them all


def _token(dice: random.Random, length: int) -> str:
    return MARK + "".join(dice.choice(LETTERS) for _ in range(length))


# Each returns the text to hide in a record, and the part of it that must never be seen.
SHAPES: list[Callable[[random.Random, str], str]] = [
    lambda dice, secret: f"sk-{secret}",
    lambda dice, secret: f"ghp_{secret}",
    lambda dice, secret: f"hf_{secret}",
    lambda dice, secret: f"xoxb-{secret}",
    lambda dice, secret: f"Authorization: Bearer {secret}",
    lambda dice, secret: f"password={secret}",
    lambda dice, secret: f"https://user:{secret}@host/path",
    lambda dice, secret: f"https://host/path?api_key={secret}&page=2",
    lambda dice, secret: f"-----BEGIN RSA PRIVATE KEY-----\n{secret}\n-----END RSA PRIVATE KEY-----",
    lambda dice, secret: f"the call with token: {secret} failed",
]
KEYS = ["password", "api_key", "X-Api-Key", "accessToken", "AUTHORIZATION", "client_secret", "Cookie", "db_passwd"]


def _nested(dice: random.Random, value: Any) -> Any:
    for _ in range(dice.randrange(4)):
        value = dice.choice([[value, 1], {"inner": value, "n": 2}, {"list": [0, value]}])
    return value


def _plant(client: TelemetryClient, dice: random.Random, secret: str) -> None:
    shaped = dice.choice(SHAPES)(dice, secret)
    payload = _nested(dice, dice.choice([shaped, {dice.choice(KEYS): secret}, {shaped: "as a key"}]))
    match dice.randrange(6):
        case 0:
            client.end_run(client.start_run("agent", "job", product=shaped, anything=payload))
        case 1:
            client.end_run(client.start_run("agent", "job"), error_summary=shaped, attributes={"a": payload})
        case 2:
            run_id = client.start_run(shaped, shaped, run_id=shaped if dice.random() < 0.5 else None)
            client.log_event(run_id, shaped, payload)
        case 3:
            client.set_metrics(client.start_run("agent", "job"), found=payload, input_summary=shaped)
        case 4:
            try:
                with client.track_run("agent", "job"):
                    raise ValueError(shaped)
            except ValueError:
                return
        case _:
            client.log_event(client.start_run("agent", "job"), "event", payload)


class _Listener(BaseHTTPRequestHandler):
    heard: list[bytes] = []  # noqa: RUF012  # the class is the server's memory

    def do_POST(self) -> None:
        self.heard.append(str(self.headers).encode() + self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def test_ten_thousand_planted_secrets_stay_out(tmp_path):
    """Of 10,000 secrets in every field and nesting, none is in any file or in what the API was sent."""
    dice = random.Random(7)
    secrets = [_token(dice, dice.randrange(17, 37)) for _ in range(PLANTED)]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    server.daemon_threads = False  # server_close() waits for them, so that no socket stays open
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = tmp_path / "telemetry.toml"
    config.write_text(
        '[sinks.raw]\ntype = "ndjson"\nfsync = "never"\n[sinks.db]\ntype = "sqlite"\n'
        f'[sinks.api]\ntype = "api"\nurl = "http://127.0.0.1:{server.server_port}/v1"\ntoken = "a-token-of-the-api"\n'
    )
    client = TelemetryClient(TelemetryConfig.load(config, base_dir=tmp_path / "base"))

    for secret in secrets:
        _plant(client, dice, secret)
    client.get_stats()
    list(client.events())
    end = time.monotonic() + 60
    while len(_Listener.heard) <= 100 and time.monotonic() < end:
        client.flush(3.0)
    client.close(5.0)
    server.shutdown()
    server.server_close()

    everything = b"\n".join([*(path.read_bytes() for path in _all_files(tmp_path / "base")), *_Listener.heard])
    assert len(_Listener.heard) > 100
    assert [] == re.findall(b".{60}" + MARK.encode() + b"[A-Za-z0-9]{17}", everything)


def _all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
