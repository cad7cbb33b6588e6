"""Real processes, killed, competing, hanging and forking: nothing is missing, and repetitions carry the same key."""

import random
import signal
import time
from collections import defaultdict

import pytest

from telemetry.plugins import RetryPolicy
from telemetry.sinks.api import ApiSink
from telemetry.sinks.delivery import status

TOKEN = "tok-3f9a7c21"

AGENT = """
import sys, time
from pathlib import Path
from telemetry.plugins import RetryPolicy, RunRecord, SinkContext, encode_line
from telemetry.plugins.ids import new_writer_id
from telemetry.sinks.api import ApiSink
from telemetry.sinks.journal import Journal

base, url, name, count, pause_s, timeout_s = sys.argv[1:7]
base, writer = Path(base), new_writer_id()
context = SinkContext(sink_name="hq", base_dir=base, ndjson_dir=base / "raw", journal_dir=base / "raw",
                      database_path=base / "db", writer=writer)
retry = RetryPolicy((0.01, 0.02), cap_s=0.05)
sink = ApiSink(ApiSink.Options(url=url, token="tok-3f9a7c21", retry=retry, timeout_s=float(timeout_s)))
sink.telemetry_open(context)
journal = Journal(context.journal_dir, fsync="never")
for number in range(int(count)):
    run = RunRecord(run_id=f"{name}-{number}", agent_name="a", job_type="j", status="success",
                    start_time="2026-11-23T10:00:00+00:00", writer=writer, seq=number + 1)
    journal.append(encode_line(run))
    sink.telemetry_run_ended(run)
    print(run.run_id, flush=True)  # acknowledged
    time.sleep(float(pause_s))
"""

CLOSE = "sink.telemetry_close(2)\nprint('closed', flush=True)\n"
FLUSH = "print(sink.telemetry_flush(20), flush=True)\n" + CLOSE
WAIT = "sys.stdin.read()\n"


@pytest.fixture
def agent(base, api, child):
    """Start an agent process that ends so many runs, then does what *last* says."""

    def start(name, count, *, pause_s=0.0, timeout_s=10, last=CLOSE):
        return child(AGENT + last, base.path, api.url, name, count, pause_s, timeout_s)

    return start


@pytest.fixture
def deliver_the_rest(base, api):
    """Deliver what is left, as the next process would."""

    def act():
        retry = RetryPolicy((0.01,), cap_s=0.05)
        sink = ApiSink(ApiSink.Options(url=api.url, token=TOKEN, retry=retry, timeout_s=5))
        sink.telemetry_open(base.context())
        is_done = sink.telemetry_flush(30)
        sink.telemetry_close(2)
        return is_done

    return act


def names_of(process):
    """Return the runs that a process acknowledged before it ended."""
    output, _ = process.communicate(timeout=60)
    return {line for line in output.splitlines() if "-" in line}


def keys_by_run(api):
    """Return the keys under which each run was posted, repetitions included."""
    keys = defaultdict(set)
    for request in api.requests:
        keys[request.run["run_id"]].add(request.key)
    return keys


def assert_nothing_is_missing(api, acknowledged):
    """Every acknowledged run was taken, and every repetition carried the key of the first time."""
    assert acknowledged
    assert acknowledged <= set(api.runs)
    assert {1} == {len(keys) for keys in keys_by_run(api).values()}


def test_a_short_process_delivers_before_it_ends(api, agent):
    """The usual case: close() has time enough."""
    acknowledged = names_of(agent("a", 20))

    assert sorted(acknowledged) == sorted(api.runs)


@pytest.mark.parametrize("lives", [12, pytest.param(300, marks=[pytest.mark.faults_long, pytest.mark.timeout(1200)])])
def test_killed_in_mid_delivery(base, api, agent, deliver_the_rest, lives):
    """SIGKILL while the server works on a request, again and again: what was taken comes at most once more."""
    chance = random.Random(7)
    acknowledged = set()
    for life in range(lives):
        process = agent(f"life{life}", 30, pause_s=0.002, last=WAIT)
        seen = len(api.requests) + chance.randint(1, 25)
        api.wait(lambda seen=seen: len(api.requests) >= seen)
        process.send_signal(signal.SIGKILL)
        acknowledged |= names_of(process)

    assert deliver_the_rest()

    assert_nothing_is_missing(api, acknowledged)
    assert 0 == status(base.state, "hq", base.raw).pending
    assert len(api.runs) - len(set(api.runs)) < 40 * lives


def test_killed_while_the_api_is_down_over_restarts(base, api, agent, deliver_the_rest):
    """Five processes never reach the API; the sixth brings everything, in order."""
    api.always = api.say(503)
    acknowledged = set()
    for life in range(5):
        process = agent(f"life{life}", 5, last=WAIT)
        api.wait(lambda life=life: len(api.requests) > life)
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        acknowledged |= names_of(process)
    assert [] == api.runs
    api.always = None

    assert deliver_the_rest()

    assert_nothing_is_missing(api, acknowledged)
    assert [run for run in api.runs if run.startswith("life0")] == [f"life0-{n}" for n in range(len(acknowledged))][:5]
    assert len(api.runs) == len(acknowledged)


def test_killed_before_it_ever_delivered(base, api, agent, deliver_the_rest):
    """The very first process of a base directory dies at once: its runs are not taken for history."""
    api.always = api.hang
    process = agent("first", 3, last=WAIT)
    api.wait(lambda: api.requests)
    process.send_signal(signal.SIGKILL)
    acknowledged = names_of(process)
    api.always = None
    api.released.set()

    assert deliver_the_rest()
    assert_nothing_is_missing(api, acknowledged)


def test_two_processes_compete_and_deliver_each_run_once(base, api, agent, deliver_the_rest):
    """One leads at a time; there are no repetitions when nobody dies."""
    processes = [agent(f"p{number}", 40, pause_s=0.002, last=FLUSH) for number in range(3)]
    acknowledged = set().union(*map(names_of, processes))

    assert deliver_the_rest()

    assert 120 == len(acknowledged) == len(api.runs)
    assert_nothing_is_missing(api, acknowledged)
    for number in range(3):
        assert [f"p{number}-{n}" for n in range(40)] == [run for run in api.runs if run.startswith(f"p{number}-")]


def test_the_leader_dies_and_another_takes_over(api, agent):
    """Without a restart: the one that waited notices by itself."""
    api.script = [api.hang]
    leader = agent("leader", 1, last=WAIT, timeout_s=30)
    api.wait(lambda: api.requests)
    follower = agent("follower", 3, last=WAIT)
    for _ in range(3):
        follower.stdout.readline()

    leader.send_signal(signal.SIGKILL)

    api.wait(lambda: len(set(api.runs)) == 4)
    assert {"leader-0", "follower-0", "follower-1", "follower-2"} == set(api.runs)


def test_exit_is_prompt_while_the_api_hangs(api, agent, deliver_the_rest):
    """close() gives up after two seconds, and the interpreter does not wait for the thread."""
    api.always = api.hang
    process = agent("a", 3, timeout_s=30, last=CLOSE)
    api.wait(lambda: api.requests)
    while "closed" not in (line := process.stdout.readline()):
        last_line = line
        started = time.monotonic()
    process.wait(60)
    elapsed_s = time.monotonic() - started

    assert "a-2\n" == last_line
    assert elapsed_s < 15  # else 30 s, with the request
    assert 0 == process.returncode
    assert "" == process.stderr.read()
    api.always = None
    api.released.set()
    assert deliver_the_rest()
    assert {"a-0", "a-1", "a-2"} == set(api.runs)


def test_exit_without_close_loses_nothing(api, agent, deliver_the_rest):
    """An agent that just ends, or calls os._exit(): the journal has it, the next process brings it."""
    api.always = api.say(503)
    acknowledged = names_of(agent("a", 5, last="import os; os._exit(3)"))
    acknowledged |= names_of(agent("b", 5, last=""))
    api.always = None

    assert deliver_the_rest()
    assert_nothing_is_missing(api, acknowledged)
    assert 10 == len(acknowledged)


def test_a_stopped_leader_holds_up_only_itself(base, api, agent):
    """SIGSTOP keeps the lock: the others end promptly and lose nothing, and it goes on when it is let."""
    api.script = [api.say(503)]
    leader = agent("leader", 1, pause_s=0.001, last=WAIT)
    api.wait(lambda: api.requests)
    leader.send_signal(signal.SIGSTOP)
    started = time.monotonic()

    other = agent("other", 3, last=CLOSE)
    acknowledged = names_of(other)

    assert time.monotonic() - started < 30  # else for ever
    assert 0 == other.returncode
    leader.send_signal(signal.SIGCONT)
    api.wait(lambda: {"leader-0", *acknowledged} <= set(api.runs))


def test_the_token_is_in_no_file_and_no_output_of_a_process(base, api, agent):
    """Whatever it meets, also with a traceback at its end."""
    api.script = [api.say(500), api.say(401)]
    process = agent("a", 3, last=CLOSE + "raise RuntimeError(sink, sink.options)")
    output, errors = process.communicate(timeout=60)

    assert "RuntimeError" in errors
    assert TOKEN not in output + errors
    assert TOKEN not in base.texts()
