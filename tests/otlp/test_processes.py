"""Real processes, killed, offline and competing: nothing acknowledged is missing, and repetitions have the same ids."""

import random
import signal
from collections import defaultdict

import pytest
from patience import until

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")

from telemetry.sinks.delivery import status
from telemetry.sinks.otlp.ids import span_id_of, trace_id_of

AGENT = """
import sys, time
from telemetry import TelemetryClient
from telemetry.plugins import RetryPolicy
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.otlp.sink import OtlpSink

base, url, name, count, batch = sys.argv[1:6]
retry = RetryPolicy((0.01, 0.02), cap_s=0.05)
otlp = OtlpSink(OtlpSink.Options(endpoint=url, retry=retry, batch=int(batch), timeout_s=10))
client = TelemetryClient(sinks={"raw": NdjsonSink(NdjsonSink.Options(fsync="never")), "otlp": otlp}, metrics_dir=base)
outer = client.start_run("agent", "outer", run_id=f"{name}-outer")
print("run", outer, flush=True)
for number in range(int(count)):
    run_id = client.start_run("agent", "inner", run_id=f"{name}-{number}", parent_run_id=outer)
    client.log_event(run_id, "page", number)
    print("event", run_id, flush=True)
    client.end_run(run_id)
    print("end", run_id, flush=True)  # acknowledged
    time.sleep(0.002)
"""
WAIT = "sys.stdin.read()\n"
CLOSE = "client.end_run(outer)\nprint('flushed', client.flush(20), flush=True)\nclient.close(2)\n"


@pytest.fixture
def agent(tmp_path, backend, child):
    """Start an agent process that ends so many runs, then does what *last* says."""

    def start(name, count, *, last=CLOSE, batch=16):
        return child(AGENT + last, tmp_path / "base", backend.url, name, count, batch)

    return start


def words_of(process):
    """Return what a process acknowledged before it ended: runs by what was acknowledged of them."""
    output, errors = process.communicate(timeout=60)
    acknowledged = defaultdict(set)
    for line in output.splitlines():
        what, _, run_id = line.partition(" ")
        acknowledged[what].add(run_id)
    return acknowledged, errors


def assert_nothing_is_missing(backend, acknowledged):
    """Every acknowledged event and end arrived, and each repetition has the ids of the first time."""
    spans, events = defaultdict(set), defaultdict(set)
    for span in backend.spans:
        spans[span.run_id].add((span.told.trace_id, span.told.span_id))
    for log in backend.logs:
        if log.told.event_name == "page":
            events[log.run_id].add(log.attributes["log.record.uid"])
    assert acknowledged["end"]
    assert set() == acknowledged["end"] - spans.keys()
    assert set() == acknowledged["event"] - events.keys()
    assert {1} == {len(ids) for ids in (*spans.values(), *events.values())}


@pytest.mark.parametrize("lives", [3, pytest.param(60, marks=[pytest.mark.faults_long, pytest.mark.timeout(1200)])])
def test_killed_in_mid_delivery(open_client, tmp_path, backend, agent, lives):
    """SIGKILL while the backend works on a request, again and again; the last process brings what is left."""
    chance = random.Random(7)
    acknowledged = defaultdict(set)
    for life in range(lives):
        process = agent(f"life{life}", 60, last=WAIT, batch=chance.choice((1, 4, 64)))
        seen = len(backend.requests) + chance.randint(1, 12)
        backend.wait(lambda seen=seen: len(backend.requests) >= seen)
        process.send_signal(signal.SIGKILL)
        for what, run_ids in words_of(process)[0].items():
            acknowledged[what] |= run_ids

    last = open_client(endpoint=backend.url)
    assert last.flush(30)

    assert_nothing_is_missing(backend, acknowledged)
    # The last process also judges the run that the last victim left open, behind its caller: that line may come later.
    assert until(lambda: 0 == status(tmp_path / "base" / "state", "otlp", tmp_path / "base" / "raw").pending)
    inner = [span for span in backend.spans if span.told.name == "inner"]
    outer_of = {run_id: f"{run_id.partition('-')[0]}-outer" for run_id in acknowledged["end"]}
    assert all(
        (trace_id_of(outer_of[span.run_id]).to_bytes(16, "big"), span_id_of(outer_of[span.run_id]).to_bytes(8, "big"))
        == (span.told.trace_id, span.told.parent_span_id)
        for span in inner
        if span.run_id in outer_of
    )


def test_a_long_time_offline_is_only_a_delay(backend, agent):
    """Two processes never reach the backend; the next one brings everything."""
    backend.stop()
    acknowledged = defaultdict(set)
    for life in range(2):
        process = agent(f"life{life}", 5, last="import os; os._exit(0)")
        for what, run_ids in words_of(process)[0].items():
            acknowledged[what] |= run_ids
    backend.released.clear()
    backend.start()

    told, errors = words_of(agent("last", 1))

    assert {"True"} == told["flushed"], errors
    assert_nothing_is_missing(backend, acknowledged)


def test_several_processes_share_the_work(backend, agent):
    """One of them delivers; each record arrives once."""
    processes = [agent(f"agent{number}", 20) for number in range(3)]
    acknowledged = defaultdict(set)
    for process in processes:
        told, errors = words_of(process)
        assert {"True"} == told["flushed"], errors
        for what, run_ids in told.items():
            acknowledged[what] |= run_ids

    assert_nothing_is_missing(backend, acknowledged)
    assert len(backend.logs) == len({log.attributes["log.record.uid"] for log in backend.logs})
    assert len(backend.spans) == len({span.run_id for span in backend.spans})


def test_history_is_sent_with_the_ids_that_it_has_for_ever(open_client, backend, tmp_path):
    """A sink that is set up later may send the whole journal; a second one sends the same, byte for byte."""
    import shutil

    recorder = open_client(endpoint="http://127.0.0.1:9", backfill=False)
    with recorder.track_run("crawler", "outer") as outer, outer.child("inner") as inner:
        inner.log_event("page", {"n": 1})
    recorder.close(0)
    told = []
    for name in ("first", "second"):
        shutil.copytree(tmp_path / "base" / "raw", tmp_path / name / "raw")
        client = open_client(base=tmp_path / name, endpoint=backend.url, backfill=True)
        assert client.flush(60)
        client.close()
        told.append([telling.told.SerializeToString() for telling in (*backend.logs, *backend.spans)])
        backend.taken.clear()

    assert 5 == len(told[0])
    assert told[0] == told[1]


def test_the_child_of_a_fork_has_connections_of_its_own(backend, child, tmp_path):
    """Both sides deliver; neither disturbs the other."""
    program = """
import os, sys
from telemetry import TelemetryClient
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.otlp.sink import OtlpSink

otlp = OtlpSink(OtlpSink.Options(endpoint=sys.argv[2]))
client = TelemetryClient(sinks={"raw": NdjsonSink(NdjsonSink.Options()), "otlp": otlp}, metrics_dir=sys.argv[1])
client.end_run(client.start_run("agent", run_id="before"))
client.flush(60)
is_child = os.fork() == 0
client.end_run(client.start_run("agent", run_id="child" if is_child else "parent"))
client.flush(60)
if is_child:
    os._exit(0)
os.wait()
client.flush(60)
client.close()
"""
    process = child(program, tmp_path / "base", backend.url)
    _, errors = process.communicate(timeout=60)

    assert 0 == process.returncode, errors
    assert ["before", "child", "parent"] == sorted(span.run_id for span in backend.spans)
