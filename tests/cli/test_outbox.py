"""Prove that `outbox`, `sinks` and `doctor` tell what remote sinks have not delivered, and help to deliver it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from telemetry import TelemetryClient


class Api:
    """A metrics API on the loopback, that answers as it is told."""

    def __init__(self) -> None:
        """Answer 200 at first."""
        self.status = 200
        self.bodies: list[dict] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if api.status == 200:
                    api.bodies.append(body)
                self.send_response(api.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop answering."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def api():
    """Return an API that listens."""
    served = Api()
    yield served
    served.close()


@pytest.fixture
def bench(real_bench, api, tmp_path: Path):
    """Return a bench whose set-up posts to the API as the sink `hq`."""
    (tmp_path / "telemetry.toml").write_text(
        '[sinks.raw]\ntype = "ndjson"\n[sinks.db]\ntype = "sqlite"\n[sinks.hq]\ntype = "api"\ntoken = "t0ken"\n'
        f'url = "http://127.0.0.1:{api.server.server_port}/v1"\nretry = {{ delays_s = [0.01] }}\n'
    )
    return real_bench


def record_a_run() -> str:
    """Record a run, and try to deliver it."""
    with TelemetryClient() as client:
        with client.track_run("agent", "job") as run:
            pass
        client.flush(5.0)
    return run.run_id


def status(bench) -> dict:
    """Return how the delivery to `hq` stands."""
    [row] = json.loads(bench.run("outbox", "status", "--json").out)
    return row


def test_what_was_delivered_is_not_pending(bench, api):
    """After a flush nothing is left, and the sink is ok."""
    record_a_run()

    assert (0, 0) == (status(bench)["pending"], status(bench)["dead"])
    assert 1 == len(api.bodies)
    assert "✓ ok" in bench.show("sinks").out


def test_what_cannot_be_delivered_is_told_with_its_reason(bench, api):
    """Pending, since when, and why; a flush says so too, and delivers once the API is back."""
    api.status = 500
    record_a_run()

    row = status(bench)
    failed = bench.run("outbox", "flush", "--timeout", "0.3")
    sinks = {row["sink"]: row for row in json.loads(bench.run("sinks", "--json").out)}
    doctor = {f["area"]: f for f in json.loads(bench.run("doctor", "--json").out) if f["level"] == "warning"}
    api.status = 200
    mended = bench.run("outbox", "flush", "--timeout", "20")

    assert 1 == row["pending"]
    assert "500" in row["trouble"]
    assert (1, 0) == (failed.code, mended.code)
    assert "hq: 1 record left" in failed.out
    assert "hq: all delivered" in mended.out
    assert ("behind", 1) == (sinks["hq"]["state"], sinks["hq"]["pending"])
    assert "hq has 1 record to deliver and cannot" == doctor["sinks"]["what"]
    assert 1 == len(api.bodies)


def test_dead_letters_are_listed_and_tried_again(bench, api):
    """A record that was refused for good comes back with --retry, under its old key."""
    api.status = 422
    run_id = record_a_run()

    [letter] = json.loads(bench.run("outbox", "dead", "--json").out)
    shown = bench.show("outbox", "dead", "hq").out
    doctor = bench.run("doctor").out
    unknown = bench.run("outbox", "retry", "hq", "--key", "zzz")
    api.status = 200
    again = bench.run("outbox", "retry", "hq", "--key", letter["key"][:6])
    flushed = bench.run("outbox", "flush")

    assert (run_id, "hq", True) == (letter["record"]["run_id"], letter["sink"], "422" in letter["reason"])
    assert run_id[-8:] in shown
    assert "hq gave up 1 record" in doctor
    assert 3 == unknown.code
    assert (0, "1 record of hq queued again\n") == (again.code, again.out)
    assert (0, [run_id]) == (flushed.code, [body["run_id"] for body in api.bodies])
    assert (0, 0) == (status(bench)["pending"], status(bench)["dead"])


def test_all_dead_letters_can_be_tried_again_at_once(bench, api):
    """Without a key it is all of them."""
    api.status = 400
    record_a_run()
    record_a_run()

    assert "2 records of hq queued again\n" == bench.run("outbox", "retry", "hq").out


def test_unknown_sinks_are_not_found(bench):
    """The remote ones are named."""
    for words in (("retry", "raw"), ("dead", "nosuch")):
        answer = bench.run("outbox", *words)
        assert 3 == answer.code
        assert "the remote sinks are hq" in answer.err


def test_without_a_remote_sink_there_is_nothing_to_deliver(real_bench):
    """Said, not shown as an empty table; a flush is done at once."""
    assert "nothing to deliver" in real_bench.show("outbox", "status").err
    assert "nothing to deliver" in real_bench.run("outbox", "flush").out
    assert 3 == real_bench.run("outbox", "dead", "hq").code


def test_a_damaged_cursor_is_a_broken_sink(bench, api):
    """What the delivery cannot read itself is told, not raised."""
    record_a_run()
    [cursor] = [path for path in bench.base_dir.joinpath("state").rglob("*") if "cursor" in path.name]
    cursor.write_bytes(b"noise")

    rows = {row["sink"]: row for row in json.loads(bench.run("sinks", "--json").out)}

    assert "broken" == rows["hq"]["state"]
