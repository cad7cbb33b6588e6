"""The api sink posts each run once it ended, and each answer of the server has its consequence."""

import json
import logging
import os
import threading
import time

import pytest
from patience import until

from telemetry.plugins import RetryPolicy
from telemetry.sinks.api import ApiSink
from telemetry.sinks.delivery.item import key_of

TOKEN = "tok-3f9a7c21"
QUICK = RetryPolicy((0.01, 0.01), cap_s=0.02)


@pytest.fixture
def opened(base, api):
    """Return a function that opens a sink as a new process would; what is open at the end is closed."""
    made = []

    def open_one(context=None, **options):
        sink = ApiSink(ApiSink.Options(**{"url": api.url, "token": TOKEN, "retry": QUICK, **options}))
        made.append(sink)
        sink.telemetry_open(context or base.context())
        return sink

    yield open_one
    api.released.set()
    for sink in made:
        sink.telemetry_close(1)


def end(base, sink, *names):
    """Write the ends of runs to the journal and tell the sink."""
    for run in base.write_runs(*names):
        sink.telemetry_run_ended(run)


def test_a_run_is_posted_as_the_payload_of_the_contract(base, api, opened):
    """Fields that are None are left out; the key is that of the line."""
    sink = opened()
    base.write(run := base.run("r1", items_succeeded=3, error_summary=None, product="p", output_summary="not posted"))
    sink.telemetry_run_ended(run)

    assert sink.telemetry_flush(60)

    (request,) = api.taken
    assert (key_of(run), "application/json") == (request.key, request.headers["content-type"])
    assert {
        "run_id": "r1",
        "agent_name": "crawler",
        "job_type": "crawl",
        "trigger_type": "cli",
        "start_time": "2026-11-23T10:00:00.000000+00:00",
        "end_time": "2026-11-23T10:00:01.000000+00:00",
        "status": "success",
        "items_discovered": 0,
        "items_succeeded": 3,
        "items_failed": 0,
        "duration_ms": 1000,
        "product": "p",
    } == request.run


@pytest.mark.parametrize("text", ["Zürich 東京 🚀", 'quote " and \\ and \n', "\x00\x1f", "x" * 200_000])
def test_any_text_arrives_as_it_is(base, api, opened, text):
    """JSON in UTF-8, whatever its length."""
    sink = opened()
    base.write(run := base.run("r1", error_summary=text))
    sink.telemetry_run_ended(run)

    assert sink.telemetry_flush(60)
    assert text == api.taken[0].run["error_summary"]


def test_starts_are_posted_when_that_is_asked_for(base, api, opened):
    """`post = "all"`: who watches the API sees running runs; each line has a key of its own."""
    sink = opened(post="all")
    start = base.run("r1", status="running", end_time=None, duration_ms=None)
    base.write(start)
    sink.telemetry_run_started(start)
    end(base, sink, "r1")

    assert sink.telemetry_flush(60)

    assert ["running", "success"] == [request.run["status"] for request in api.taken]
    assert 2 == len({request.key for request in api.taken})
    assert [True] == [report.ok for report in base.reports]


def test_by_default_a_start_is_not_posted(base, api, opened):
    """Each run once, when it is over."""
    sink = opened()
    start = base.run("r1", status="running", end_time=None)
    base.write(start)
    sink.telemetry_run_started(start)

    assert sink.telemetry_flush(60)
    assert [] == api.requests


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599, 999])
def test_answers_that_may_pass_are_tried_again(base, api, opened, status):
    """The run arrives, with the number of tries that it took."""
    api.script = [api.say(status), api.say(status)]
    sink = opened()
    end(base, sink, "r1", "r2")

    assert sink.telemetry_flush(60)

    assert ["r1", "r2"] == api.runs
    assert [("r1", 2), ("r2", 0)] == [(report.run_id, report.attempts) for report in base.reports if report.ok]
    assert [("r1", 1), ("r1", 2)] == [(report.run_id, report.attempts) for report in base.reports if not report.ok]
    assert 1 == len({request.key for request in api.requests if request.run["run_id"] == "r1"})


@pytest.mark.parametrize("fault", ["hang", "reset", "garbage", "drip"])
def test_servers_that_misbehave_are_tried_again(base, api, opened, fault):
    """Silence and nonsense are outages."""
    acts = {
        "hang": api.hang,
        "reset": api.reset,
        "garbage": api.raw(b"\xff\x00 nonsense\r\n"),
        "drip": api.raw(*[b"H"] * 100, pause_s=0.02),
    }
    api.script = [acts[fault]]
    sink = opened(timeout_s=0.2)
    end(base, sink, "r1")

    assert sink.telemetry_flush(60)
    assert ["r1"] == api.runs


def test_retry_after_is_kept(base, api, opened):
    """No request before the second that the server asked for is over, not even by flush()."""
    api.script = [api.say(429, Retry_After="1")]
    sink = opened()
    end(base, sink, "r1")
    assert not sink.telemetry_flush(0.3)
    assert not sink.telemetry_flush(0.1)

    assert sink.telemetry_flush(60)

    first, second = api.requests
    assert 0.95 < second.at - first.at


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 413, 415, 422, 451])
def test_answers_that_will_not_change_send_the_run_to_the_dead_letters(base, api, opened, status):
    """With what the server said; the others pass, and flush() has nothing left."""
    api.script = [api.take, api.say(status, b"field x is missing")]
    sink = opened()
    end(base, sink, "r1", "bad", "r2")

    assert sink.telemetry_flush(60)

    assert ["r1", "r2"] == api.runs
    (letter,) = sink.open_outbox(base.context()).dead_letters()
    assert "bad" == letter.record.run_id
    assert f"answered {status} " in letter.reason
    assert "field x is missing" in letter.reason
    assert letter.reason == next(report.reason for report in base.reports if not report.ok)


def test_dead_letters_arrive_when_the_cause_is_mended(base, api, opened):
    """Under the key that they had."""
    api.script = [api.say(422)]
    sink = opened()
    end(base, sink, "r1")
    sink.telemetry_flush(60)
    outbox = sink.open_outbox(base.context())

    assert 1 == outbox.retry_dead()
    assert sink.telemetry_flush(60)

    assert ["r1"] == api.runs
    assert 1 == len({request.key for request in api.requests})
    assert 0 == outbox.status().dead


@pytest.mark.parametrize("status", [401, 402, 403, 407])
def test_who_is_not_let_in_waits_for_a_token_that_is_fixed(base, api, opened, status, caplog):
    """Or for a bill that is paid. One request and complaint; no run nor flush() tries again. The next process does."""
    api.always = api.say(status, b"who are you?")
    sink = opened()
    end(base, sink, "r1")
    assert not sink.telemetry_flush(1)

    for number in range(5):
        end(base, sink, f"s{number}")
        assert not sink.telemetry_flush(0.02)

    assert 1 == len(api.requests)
    assert 1 == caplog.text.count("Check the token")
    assert sink.telemetry_health()["retry_in_s"] > 3000
    api.always = None
    assert opened(token="tok-fixed").telemetry_flush(60)
    assert ["r1", "s0", "s1", "s2", "s3", "s4"] == api.runs
    assert [] == list(sink.open_outbox(base.context()).dead_letters())


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304])
def test_redirects_that_would_lose_the_run_wait_as_well(base, api, opened, status):
    """The address is to be mended; the run is kept."""
    api.always = api.say(status, Location="/login")
    sink = opened()
    end(base, sink, "r1")

    assert not sink.telemetry_flush(1)

    assert 1 == len(api.requests)
    assert "Set url" in sink.telemetry_health()["fault"]
    api.always = None
    assert opened().telemetry_flush(60)
    assert ["r1"] == api.runs


def test_an_api_that_is_dead_and_comes_back(base, api, opened):
    """Nothing listens, for a while; then everything arrives, in order."""
    port = api.port
    api.stop()
    # With fewer tries than make the sink look for a record at fault: then it also tries others than the first one, and
    # one of these may be the one that meets the server when it is back.
    sink = opened(retry=RetryPolicy((0.05,), cap_s=0.05))
    end(base, sink, *(f"r{number}" for number in range(5)))
    assert not sink.telemetry_flush(0.1)
    assert "ConnectionRefusedError" in sink.telemetry_health()["fault"]

    api.port = port
    api.start()

    assert sink.telemetry_flush(60)
    assert [f"r{number}" for number in range(5)] == api.runs


def test_a_poisoned_run_among_good_ones(base, api, opened):
    """500 for one, for ever: the others are not held up, and it waits apart from them."""

    def act(handler):
        request = api.requests[-1]
        if request.run["run_id"] == "poison":
            handler.answer(500, b"KeyError")
        else:
            api.taken.append(request)
            handler.answer(200)

    api.always = act
    sink = opened()
    end(base, sink, "poison")
    deadline = time.monotonic() + 60
    number = 0
    outbox = sink.open_outbox(base.context())
    while not outbox.status().aside and time.monotonic() < deadline:
        end(base, sink, f"r{number}")
        number += 1
        sink.telemetry_flush(0.05)

    assert sink.telemetry_flush(60)
    assert [f"r{each}" for each in range(number)] == api.runs
    (letter,) = outbox.aside()
    assert "poison" == letter.record.run_id
    assert "500" in letter.reason
    assert 0 == outbox.status().dead


def test_an_end_of_another_process_is_posted_whole(base, api, opened):
    """With agent, job and start of the line that the other process wrote."""
    sink = opened()
    base.write(base.run("r1", status="running", end_time=None, duration_ms=None, host="h1"))
    base.write(run := base.run("r1", agent_name="unknown", job_type=None, trigger_type="manual", duration_ms=None))
    sink.telemetry_run_ended(run)

    assert sink.telemetry_flush(60)

    posted = api.taken[0].run
    assert ("crawler", "crawl", "cli", "h1", 1000) == tuple(
        posted[name] for name in ("agent_name", "job_type", "trigger_type", "host", "duration_ms")
    )


def test_the_verdict_on_a_dead_run_is_posted_and_so_is_a_late_end(base, api, opened):
    """Two lines, two keys: the API hears that the run died, and that it did not."""
    sink = opened()
    base.write(verdict := base.run("r1", status="failed", verdict=True, status_detail="killed"))
    sink.telemetry_run_ended(verdict)
    end(base, sink, "r1")

    assert sink.telemetry_flush(60)
    assert ["failed", "success"] == [request.run["status"] for request in api.taken]
    assert 2 == len({request.key for request in api.taken})


def test_history_is_posted_only_when_that_is_asked_for(base, api, opened):
    """A sink that is set up today does not flood the API with last year."""
    base.write_runs("old")

    assert opened().telemetry_flush(60)
    assert [] == api.requests

    assert opened(backfill=True).telemetry_flush(60)
    assert ["old"] == api.runs


def test_without_any_other_sink_runs_are_kept_by_the_sink_itself(base, api, opened):
    """No journal: a private one under state/."""
    api.always = api.say(503)
    context = base.context(journal_dir=None)
    sink = opened(context)
    sink.telemetry_run_ended(base.run("r1"))
    assert not sink.telemetry_flush(0.1)
    sink.telemetry_close(1)
    api.always = None

    assert opened(context).telemetry_flush(60)
    assert ["r1"] == api.runs


def test_the_hooks_cost_the_agent_next_to_nothing_while_the_api_hangs(base, api, opened):
    """The thread waits for the server, not the agent."""
    api.always = api.hang
    sink = opened(timeout_s=30)
    end(base, sink, "r1")
    api.wait(lambda: api.requests)
    run = base.run("r2")

    costs = []
    for _ in range(300):
        started = time.perf_counter()
        sink.telemetry_run_ended(run)
        costs.append(time.perf_counter() - started)

    assert sorted(costs)[150] < 100e-6


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_posts_over_a_connection_of_its_own(base, api, opened):
    """On the parent's, each would read the other's answers."""
    peers = {}

    def act(handler):
        peers[api.requests[-1].run["run_id"]] = handler.client_address
        handler.answer(200)

    api.always = act
    sink = opened()
    end(base, sink, "r1")
    assert sink.telemetry_flush(60)

    pid = os.fork()
    if pid == 0:
        base.path = base.path / "of the child"  # so that nobody but the child can deliver what it writes
        base.writer = "w2"
        sink.telemetry_forked(base.context())
        end(base, sink, "r2")
        is_done = sink.telemetry_flush(60)
        sink.telemetry_close(1)
        os._exit(0 if is_done else 1)
    _, status = os.waitpid(pid, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    end(base, sink, "r3")
    assert sink.telemetry_flush(60)
    assert peers["r1"] == peers["r3"] != peers["r2"]


def test_closing_is_prompt_while_the_api_hangs(base, api, opened):
    """Two seconds in all; the run is posted by the next process."""
    api.script = [api.hang]
    sink = opened(timeout_s=30)
    end(base, sink, "r1")
    api.wait(lambda: api.requests)
    started = time.monotonic()

    sink.telemetry_close(60)

    assert time.monotonic() - started < 15  # else 30 s, with the request
    api.released.set()
    assert opened().telemetry_flush(60)
    assert {"r1"} == set(api.runs)


def test_no_descriptor_and_no_thread_is_left_behind(base, api, opened):
    """Opening, posting and closing again and again."""

    def cycle(number):
        sink = opened()
        end(base, sink, f"r{number}")
        assert sink.telemetry_flush(60)
        sink.telemetry_close(2)

    cycle(0)
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for number in range(1, 10):
        cycle(number)

    assert until(lambda: not [thread for thread in threading.enumerate() if "delivery" in thread.name])
    if before:
        # The server in this process keeps a few of its own until it notices that we hung up.
        assert len(os.listdir("/proc/self/fd")) <= before + 4


def test_the_token_is_nowhere(base, api, opened, caplog, capsys):
    """Not in files, not in log lines, not in health: with servers that echo it, redirect it, refuse it."""
    caplog.set_level(logging.DEBUG)

    def echo(status):
        return lambda handler: handler.answer(status, json.dumps(dict(handler.headers)).encode())

    api.script = [echo(500), echo(503), echo(422), echo(429), echo(200)]
    sink = opened(url=f"{api.url}?key={TOKEN}", headers={"X-Key": f"{TOKEN}-2"})
    end(base, sink, "r1", "r2", "r3")
    assert sink.telemetry_flush(60)
    api.always = echo(401)
    end(base, sink, "r4")
    sink.telemetry_flush(1)
    told = [sink, sink.telemetry_health(), sink.open_outbox(base.context()).status(), base.reports]

    assert any(f"Bearer {TOKEN}" == request.headers["authorization"] for request in api.requests)
    for text in (base.texts(), repr(told), "".join(capsys.readouterr())):
        assert TOKEN not in text
    # urllib3 logs the path of each request at DEBUG, query included; that is its own logger's business.
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if "urllib3" not in record.name)


def test_debug_output_of_the_http_library_shows_no_header(base, api, opened, caplog):
    """Whoever turns on all logging sees paths, and never the token."""
    caplog.set_level(logging.DEBUG)
    sink = opened()
    end(base, sink, "r1")

    assert sink.telemetry_flush(60)

    assert TOKEN not in caplog.text
    assert ["r1"] == api.runs
