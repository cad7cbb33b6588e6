"""Prove that `outbox`, `sinks` and `doctor` tell what remote sinks have not delivered, and help to deliver it."""

import json
import time
from pathlib import Path

import pytest
from loopback import Handler, Loopback

from telemetry import TelemetryClient


class Api(Loopback):
    """A metrics API that answers 200, or as it is told, and 500 to the agents that it cannot digest."""

    success = (200, b"", {})

    def __init__(self) -> None:
        """Answer 200 at first."""
        super().__init__(always=self.judge)
        self.status = 200
        self.indigestible = "nobody"

    def judge(self, handler: Handler) -> None:
        """Take the run or refuse it."""
        status = 500 if json.loads(handler.post.body)["agent_name"] == self.indigestible else self.status
        (self.take if status == 200 else self.say(status))(handler)

    @property
    def bodies(self) -> list[dict]:
        """What was taken."""
        return [json.loads(post.body) for post in self.taken]


@pytest.fixture
def api():
    """Return an API that listens."""
    served = Api()
    served.start()
    yield served
    served.stop()


@pytest.fixture
def bench(real_bench, api, tmp_path: Path):
    """Return a bench whose set-up posts to the API as the sink `hq`."""
    (tmp_path / "telemetry.toml").write_text(
        '[sinks.raw]\ntype = "ndjson"\n[sinks.db]\ntype = "sqlite"\n[sinks.hq]\ntype = "api"\ntoken = "t0ken"\n'
        f'url = "{api.origin}/v1"\nretry = {{ delays_s = [0.01] }}\n'
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
    left = bench.run("outbox", "flush").out
    doctor = bench.run("doctor").out
    unknown = bench.run("outbox", "retry", "hq", "--key", "zzz")
    api.status = 200
    again = bench.run("outbox", "retry", "hq", "--key", letter["key"][:6])
    flushed = bench.run("outbox", "flush")

    assert (run_id, "hq", True) == (letter["record"]["run_id"], letter["sink"], "422" in letter["reason"])
    assert run_id[-8:] in shown
    assert "hq gave up 1 record" in doctor
    assert "hq: all delivered, but for 1 dead letter: telemetry outbox dead hq\n" == left
    assert "Nothing was given up." in bench.show("outbox", "dead").err
    assert 3 == unknown.code
    assert (0, "1 record of hq queued again\n") == (again.code, again.out)
    assert (0, [run_id]) == (flushed.code, [body["run_id"] for body in api.bodies])
    assert (0, 0) == (status(bench)["pending"], status(bench)["dead"])


def record_until_one_is_aside(bench, agent: str) -> str:
    """Record a run of *agent* and others beside it, until the first one has failed often enough."""
    with TelemetryClient() as client:
        run_id = client.start_run(agent)
        client.end_run(run_id, "success")
        end = time.monotonic() + 60
        while client.status()["sinks"]["hq"]["aside"] == 0:
            assert time.monotonic() < end
            with client.track_run("agent"):
                pass
            client.flush(0.05)
        client.flush(5)
    return run_id


def test_what_fails_while_others_are_taken_is_listed_and_tried_again(bench, api):
    """It is no dead letter, it holds up nobody, every place tells of it, and it comes with --retry at once."""
    api.indigestible = "heavy"
    run_id = record_until_one_is_aside(bench, "heavy")

    [letter] = json.loads(bench.run("outbox", "dead", "--aside", "--json").out)
    shown = bench.show("outbox", "dead", "--aside", "hq").out
    dead = json.loads(bench.run("outbox", "dead", "--json").out)
    left = bench.run("outbox", "flush")
    sinks = {row["sink"]: row for row in json.loads(bench.run("sinks", "--json").out)}
    doctor = bench.run("doctor").out
    found = status(bench)
    api.indigestible = "nobody"
    again = bench.run("outbox", "retry", "hq", "--key", letter["key"][:6])
    flushed = bench.run("outbox", "flush")

    assert (run_id, True, []) == (letter["record"]["run_id"], "500" in letter["reason"], dead)
    assert letter["when"] < letter["again_at"]
    assert run_id[-8:] in shown
    assert "hq: all delivered, but for 1 that will be tried later: telemetry outbox dead hq --aside\n" == left.out
    assert ("behind", 1) == (sinks["hq"]["state"], sinks["hq"]["aside"])
    assert "hq took others, but not 1 record" in doctor
    assert (0, 1, 0) == (found["pending"], found["aside"], found["dead"])
    assert ("1 record of hq queued again\n", 0) == (again.out, flushed.code)
    assert run_id in [body["run_id"] for body in api.bodies]
    assert "Nothing is aside." in bench.show("outbox", "dead", "--aside").err


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
