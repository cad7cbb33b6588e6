"""Prove that what a host recorded stands in PostgreSQL, each record once, whatever is delivered again."""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")


from telemetry import TelemetryClient, TelemetryConfig
from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, RunEvent, RunRecord, fold
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.postgres import lines
from telemetry.sinks.postgres.sink import PostgresSink

Runs = Callable[..., RunRecord]
Events = Callable[..., RunEvent]
Rows = Callable[..., list[Any]]
LATER = "2026-11-23T10:00:00.700000+00:00"
_EVENTS = "SELECT run_id, event_type, payload_json::text, writer, seq FROM run_events ORDER BY id"


def test_a_run_of_an_agent_arrives(url: str, rows: Rows, tmp_path: Path):
    """Start, events, metrics, commit and end, from a client that is set up by a file."""
    config = tmp_path / "telemetry.toml"
    config.write_text(
        f'base_dir = "{tmp_path}/base"\n[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "postgres"\nurl = "{url}"\n'
    )
    with TelemetryClient(TelemetryConfig.load(config)) as client:
        with client.track_run("crawler", "crawl") as run:
            run.log_event("page", {"url": "https://example.org", "tokens": 3})
            run.set_metrics(tokens=3, items_succeeded=1)
        client.associate_commit(run.run_id, "c0ffee" * 6 + "c0ff")
        assert client.flush(30)

    [(status, metrics, succeeded, duration)] = rows(
        "SELECT status, metrics_json, items_succeeded, ended_at - started_at FROM runs WHERE run_id = %s", run.run_id
    )
    assert ("success", {"tokens": 3}, 1) == (status, metrics, succeeded)
    assert 0 <= duration.total_seconds() < 60
    assert [("page", {"url": "https://example.org", "tokens": 3})] == rows(
        "SELECT event_type, payload_json FROM run_events"
    )
    assert [("c0ffee" * 6 + "c0ff", run.run_id)] == rows("SELECT commit_hash, run_id FROM commits")


def test_what_is_delivered_again_changes_nothing(host: Any, rows: Rows, a_run: Runs, ended: Runs, an_event: Events):
    """A lost cursor, twice: the whole journal comes again, older lines after newer ones, and all stays as it was."""
    run = a_run()
    link = CommitLink(run_id="r1", timestamp=LATER, commit_hash="c0ffee", writer="aaaaaaaaaaaa", seq=501)
    records = [
        run,
        an_event(payload={"n": 1}),
        MetricsUpdate("r1", LATER, {"tokens": 1}, writer="aaaaaaaaaaaa", seq=500),
        an_event(payload=None),
        MetricsUpdate("r1", LATER, {"tokens": 2}, writer="aaaaaaaaaaaa", seq=502),
        link,
        a_run("r2", seq=503),
    ]
    everything = ["SELECT * FROM agent_runs ORDER BY run_id", _EVENTS, "SELECT * FROM commits", "TABLE run_lines"]
    assert host.deliver(*records)
    before = [rows(sql) for sql in everything]

    for _ in range(2):
        host.forget_cursor()
        assert host.deliver()

    assert before == [rows(sql) for sql in everything]
    assert [({"tokens": 2},)] == rows("SELECT metrics_json FROM agent_runs WHERE run_id = 'r1'")
    assert 2 == len(rows(_EVENTS))
    assert host.deliver(ended(run))
    assert [("r1", "success"), ("r2", "running")] == rows()


def test_the_row_is_what_the_lines_fold_to(host: Any, rows: Rows, a_run: Runs, ended: Runs):
    """Every line of a run, batch by batch or at once, gives the record that any other store has."""
    lines = [
        MetricsUpdate("r1", START_OF_METRICS, {"early": 1}, {"items_failed": 2}, "aaaaaaaaaaaa", 1),
        a_run(seq=2, attributes={"a": [1, None, {"b": 1.0}]}, parent_run_id="p", coerced=("x",)),
        DeliveryReport("r1", LATER, "api", False, 1, writer="aaaaaaaaaaaa", seq=3),
        ended(a_run(metrics={"cost": 0.1}), status="failed", error_summary="E: m", seq=4),
        DeliveryReport("r1", LATER, "api", True, 2, writer="aaaaaaaaaaaa", seq=5),
    ]
    expected: RunRecord | None = None
    for line in lines:
        expected = fold(expected, line)
        assert host.deliver(line)

    names = ("status", "items_failed", "api_posted", "api_retry_count", "parent_run_id", "error_summary", "seq")
    [row] = rows(f"SELECT {', '.join(names)} FROM runs")
    assert tuple(getattr(expected, name) for name in names) == row
    [(metrics, attributes, coerced, revision)] = rows(
        "SELECT metrics_json::text, attributes_json::text, coerced_json, revision FROM agent_runs"
    )
    assert expected is not None
    assert (dict(expected.metrics), dict(expected.attributes)) == (json.loads(metrics), json.loads(attributes))
    assert '{"a":[1,null,{"b":1.0}]}' == attributes
    assert (["x"], 5) == (coerced, revision)


START_OF_METRICS = "2026-11-23T09:59:59.000000+00:00"


def test_hosts_write_to_one_run(new_host: Callable[..., Any], rows: Rows, a_run: Runs, ended: Runs, an_event: Events):
    """An event of a run that started elsewhere makes a row at once, and its start completes it."""
    there, here = new_host("there"), new_host("here")
    run_id = "20261123T100000Z-crawler-00000001"

    assert there.deliver(an_event(run_id, {"n": 1}, writer="cccccccccccc"))
    guessed = rows("SELECT agent_name, status, job_type FROM agent_runs")
    assert here.deliver(a_run(run_id))
    assert there.deliver(ended(a_run(run_id), writer="cccccccccccc"))

    assert [("crawler", "running", None)] == guessed
    assert [("crawler", "success", "crawl")] == rows("SELECT agent_name, status, job_type FROM agent_runs")
    assert [(run_id, "step", '{"n":1}', "cccccccccccc", 2)] == rows(_EVENTS)


HOSTILE: dict[str, Any] = {
    "nul": "a\0b",
    "surrogate": "\ud800",
    "quotes": "'; DROP TABLE agent_runs; --\\",
    "emoji": "\U0001f600" * 3,
    "percent": "%s %(x)s $1 {}",
    "copy": "\\.\t\n\\N",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_arrive(host: Any, rows: Rows, a_run: Runs, an_event: Events, text: str):
    """As a name, as a summary, in a payload and as its key: as they are, and what has no room there as its escape."""
    lines = [
        {"record_type": "run", **a_run(f"r{text}", agent_name=f"x{text}", error_summary=text).to_dict()},
        {"record_type": "event", **an_event(f"r{text}", {f"k{text}": [text]}, event_type=f"t{text}").to_dict()},
    ]
    host.write_lines(*(json.dumps(line).encode() + b"\n" for line in lines))

    assert host.deliver()

    shown = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    assert [(f"r{shown}", f"x{shown}", shown)] == rows("SELECT run_id, agent_name, error_summary FROM agent_runs")
    [(run_id, event_type, payload)] = rows("SELECT run_id, event_type, payload_json::text FROM run_events")
    escaped = text.encode("utf-8", "backslashreplace").decode()
    assert (f"r{shown}", f"t{shown}") == (run_id, event_type)
    assert {f"k{escaped}": [escaped]} == json.loads(payload)


def test_odd_values_arrive(host: Any, rows: Rows):
    """Numbers beyond 64 bits, a time that is none, no writer, the words of earlier writers: no line is lost."""
    host.write_lines(
        b'{"record_type": "run", "run_id": "r1", "agent_name": "a", "start_time": "yesterday", "status": "failure",'
        b' "items_failed": 99999999999999999999, "metrics_json": "{\\"n\\": 123456789012345678901234567890}"}\n',
        b'{"record_type": "event", "run_id": "r1", "event_type": "e", "timestamp": "never", "payload_json": "1e2"}\n',
        b'{"record_type": "event", "run_id": "r1", "event_type": "e", "timestamp": "x", "seq": 1e30, "writer": 5}\n',
        b'{"record_type": "event", "run_id": "r1", "event_type": "e", "timestamp": "x", "writer": "w", "seq":'
        b" 99999999999999999999}\n",
    )

    assert host.deliver()
    host.forget_cursor()
    assert host.deliver()

    [(status, started_at, attributes)] = rows("SELECT status, started_at, attributes_json FROM agent_runs")
    assert ("failed", None) == (status, started_at)
    assert 99999999999999999999 == attributes["items_failed"]
    assert 3 == len(rows("SELECT 1 FROM run_events WHERE logged_at IS NULL"))


def test_a_record_that_the_server_refuses_holds_up_no_other(host: Any, rows: Rows, a_run: Runs, an_event: Events):
    """A name that no index can hold goes to the dead letters with the server's reason, and the rest of its batch in."""
    noise = random.Random(1)
    name = "".join(chr(noise.randint(0x4E00, 0x9FFF)) for _ in range(5000))
    others = [a_run(f"r{number}", seq=number) for number in range(50)]

    assert host.deliver(*others[:25], a_run("bad", agent_name=name, seq=99), *others[25:], an_event("r1"))

    assert [50] == [count for (count,) in rows("SELECT count(*) FROM agent_runs")]
    [letter] = host.open().open_outbox(host.context).dead_letters()
    assert "bad" == letter.record.run_id
    assert "SQLSTATE 54000" in letter.reason


def test_a_run_is_not_called_posted(url: str, tmp_path: Path):
    """That PostgreSQL has it says nothing of the API: no report of this sink stands in the journal."""
    sinks = {"raw": NdjsonSink(), "hq": PostgresSink(PostgresSink.Options(url=url))}
    with TelemetryClient(sinks=sinks, metrics_dir=tmp_path) as client:
        client.end_run(client.start_run("a", "j"))
        assert client.flush(30)
        assert client.flush(30)
        assert 1 == client.get_stats()["pending_api_posts"]

    assert "delivery" not in "".join(path.read_text() for path in (tmp_path / "raw").glob("*.ndjson"))


def test_the_connection_ends_with_the_work(host: Any, rows: Rows, a_run: Runs, monkeypatch: pytest.MonkeyPatch):
    """A host that has nothing to deliver for a while holds no connection of the server."""
    monkeypatch.setattr("telemetry.sinks.delivery.pump._LINGER_S", 0.05)
    host.write(a_run())
    sink = host.open(connect={"application_name": "under test"})
    assert sink.telemetry_flush(30)

    def connections() -> int:
        [(count,)] = rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'under test'")
        return int(count)

    end = time.monotonic() + 20
    while connections() and time.monotonic() < end:
        time.sleep(0.05)
    assert 0 == connections()


def test_a_fork_leaves_the_connection_to_the_parent(host: Any, rows: Rows, a_run: Runs):
    """The child delivers by a connection of its own, and the parent's goes on."""
    host.write(a_run("r1"))
    sink = host.open()
    assert sink.telemetry_flush(30)

    child = os.fork()
    if child == 0:
        sink.telemetry_forked(host.context)
        host.write(a_run("r2", seq=2))
        os._exit(0 if sink.telemetry_flush(30) else 1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    host.write(a_run("r3", seq=3))
    assert sink.telemetry_flush(30)
    assert ["r1", "r2", "r3"] == [run_id for run_id, _ in rows()]


@pytest.fixture
def overtaken(new_host: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which another host comes between the next reading of rows and their writing, once."""
    other, loaded = new_host("other"), lines._loaded

    def loaded_then_overtaken(*args: Any) -> Any:
        found = loaded(*args)
        monkeypatch.setattr(lines, "_loaded", loaded)
        assert other.deliver(MetricsUpdate("r1", LATER, {"theirs": 1}, writer="cccccccccccc", seq=1))
        return found

    return lambda: monkeypatch.setattr(lines, "_loaded", loaded_then_overtaken)


def test_of_two_that_read_one_row_the_second_reads_it_again(
    host: Any, overtaken: Callable[[], None], rows: Rows, a_run: Runs
):
    """Another host changes a run between our reading and our writing it: both changes are there in the end."""
    assert host.deliver(a_run())

    overtaken()
    assert host.deliver(MetricsUpdate("r1", LATER, {"ours": 2}, writer="aaaaaaaaaaaa", seq=2))

    assert [({"theirs": 1, "ours": 2}, 3)] == rows("SELECT metrics_json, revision FROM agent_runs")


def test_two_that_make_one_run_agree(host: Any, overtaken: Callable[[], None], rows: Rows, a_run: Runs):
    """Neither saw a row when it looked, and both insert one: the second folds its lines into that of the first."""
    overtaken()
    assert host.deliver(a_run())

    [(agent, job, metrics)] = rows("SELECT agent_name, job_type, metrics_json FROM agent_runs")
    assert ("crawler", "crawl", {"theirs": 1}) == (agent, job, metrics)
