"""A server that is up and down makes no dead letter of a good record, whatever the pattern, and gets each of them."""

import itertools
import json
import random
import threading
import time
import urllib.error
import urllib.request

import pytest
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.plugins import Refused, Retryable, RetryPolicy, remote_sink
from telemetry.sinks.api import ApiSink
from telemetry.sinks.delivery.places import Places
from telemetry.sinks.delivery.plan import Plan
from telemetry.sinks.delivery.pump import Pump

AT_ONCE = RetryPolicy((0.0,), cap_s=0.0)
QUICK = RetryPolicy((0.001,), cap_s=0.002)
COUNT = 40
PATTERNS = {
    "every second is taken": [False, True],
    "two of three are taken": [True, True, False],
    "one in five is taken": [False] * 4 + [True],
    "one in ten is taken": [False] * 9 + [True],
    "up and down in blocks": [False] * 7 + [True] * 3,
}


def by_pattern(pattern, count):
    """Return an answer, True for taken, to each of *count* requests."""
    return list(itertools.islice(itertools.cycle(PATTERNS[pattern]), count))


def by_chance(seed, count):
    """The same for a server that is rarely up, or mostly, as *seed* has it."""
    chance = random.Random(seed)
    share = chance.choice((0.05, 0.1, 0.2, 0.5, 0.8))
    return [chance.random() < share for _ in range(count)]


class Flapping:
    """The other side: answers its n-th request as the n-th of *answers* says, and takes all when they are through."""

    def __init__(self, answers):
        self.answers = iter(answers)
        self.taken = []

    def deliver(self, batch):
        if not next(self.answers, True):
            raise Retryable("503 for a moment")
        self.taken += [item.record.run_id for item in batch]


def deliver_all(base, far, *, batch, count=COUNT):
    """Deliver one run after another, resting never; then the other side is well. Return the names of the runs."""
    pump = Pump(Plan(far.deliver, policy=AT_ONCE, batch=batch), Places(base.state, "hq"), base.context())
    pump.begin()
    names = [f"r{number}" for number in range(count)]
    for name in names:
        base.write_runs(name)
        for _ in range(4):
            pump.rests_until = 0.0
            pump.step()
    far.answers = iter(())
    end = time.monotonic() + 60
    while (pause_s := pump.step()) is not None:
        assert time.monotonic() < end
        time.sleep(min(pause_s, 0.01))
    pump.let_go()
    return names


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_pattern_of_failures_makes_a_dead_letter(base, pattern, batch):
    """All records arrive, each once, for what failed was not taken."""
    far = Flapping(by_pattern(pattern, 400))

    names = deliver_all(base, far, batch=batch)

    assert sorted(names) == sorted(far.taken)
    assert not Places(base.state, "hq").dead_letters.exists()


@pytest.mark.parametrize("seed", range(10))
def test_no_chance_makes_a_dead_letter(base, seed):
    """From a server that is nearly down to one that is mostly up."""
    far = Flapping(by_chance(seed, 600))

    names = deliver_all(base, far, batch=1 + seed % 7)

    assert sorted(names) == sorted(far.taken)
    assert not Places(base.state, "hq").dead_letters.exists()


@settings(max_examples=15, deadline=None)
@given(answers=st.lists(st.booleans(), max_size=300), batch=st.integers(1, 6))
def test_no_answers_at_all_make_a_dead_letter(fresh_base, answers, batch):
    """Whatever Hypothesis thinks of."""
    base, far = fresh_base(), Flapping(answers)

    names = deliver_all(base, far, batch=batch, count=12)

    assert sorted(names) == sorted(far.taken)
    assert not Places(base.state, "hq").dead_letters.exists()


@define(eq=False)
@remote_sink
class BatchSink:
    """Post several runs in one request, as JSON."""

    @frozen(kw_only=True)
    class Options:
        """What can be set."""

        url: str

    options: Options
    tries: list = field(factory=list)
    batch_size = 8
    retry_policy = QUICK

    def deliver(self, batch):
        self.tries.append(len(batch))
        body = json.dumps({"run_id": [item.record.run_id for item in batch]}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.options.url, body), timeout=10):
                return
        except urllib.error.HTTPError as error:
            with error:
                kind = Refused if error.code == 422 else Retryable
                raise kind(f"it answered {error.code}") from error
        except OSError as error:
            raise Retryable(str(error)) from error


def of_type(name, url):
    """Return a sink of ours that posts run by run, or one of a stranger that posts batches."""
    if name == "runs":
        return ApiSink(ApiSink.Options(url=url, retry=QUICK))
    return BatchSink(BatchSink.Options(url=url))


def runs_in(api):
    """Return the names of the runs that were taken, in order."""
    named = [request.run["run_id"] for request in api.taken]
    return [name for names in named for name in ([names] if isinstance(names, str) else names)]


def record(base, sink, numbers, pause_s=0.0):
    """End a run for each of *numbers*, as the bus does it."""
    for number in numbers:
        for run in base.write_runs(f"r{number}"):
            sink.telemetry_run_ended(run)
        time.sleep(pause_s)


def flush(sink):
    """Wait until all is delivered, those included that are out of the way for a moment."""
    end = time.monotonic() + 60
    while not sink.telemetry_flush(1) or sink.telemetry_health()["aside"]:
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def opened(base, api):
    """Return a function that opens a sink; all are closed at the end."""
    sinks = []

    def open_one(kind):
        sink = of_type(kind, api.url)
        sinks.append(sink)
        sink.telemetry_open(base.context())
        return sink

    yield open_one
    for sink in sinks:
        sink.telemetry_close(1)


@pytest.mark.parametrize("kind", ["runs", "batches"])
@pytest.mark.parametrize("seed", range(4))
def test_a_real_server_that_flaps_gets_every_run_once(base, api, opened, kind, seed):
    """It answers 503, 500 and 429, by chance; it takes nothing of what it does not answer with 200."""
    chance = random.Random(seed)
    faults = [api.say(status) for status in (500, 502, 503, 429, 408)]
    api.script = [api.take if taken else chance.choice(faults) for taken in by_chance(seed, 300)]
    sink = opened(kind)

    record(base, sink, range(COUNT), pause_s=0.005)
    flush(sink)

    assert sorted(f"r{number}" for number in range(COUNT)) == sorted(runs_in(api))
    assert 0 == sink.open_outbox(base.context()).status().dead


@pytest.mark.parametrize("kind", ["runs", "batches"])
def test_a_server_that_is_there_and_gone_gets_every_run(base, api, opened, kind):
    """Nobody listens, somebody does, and breaks off without an answer: then a run may come twice, under its key."""
    sink, is_through = opened(kind), threading.Event()

    def flap():
        chance = random.Random(7)
        while not is_through.is_set():
            api.always = chance.choice((api.take, api.say(503), api.reset))
            time.sleep(0.01)
            api.stop()
            time.sleep(0.01)
            api.start()
        api.always = None

    flapping = threading.Thread(target=flap)
    flapping.start()
    record(base, sink, range(COUNT), pause_s=0.02)
    is_through.set()
    flapping.join()
    flush(sink)

    assert {f"r{number}" for number in range(COUNT)} == set(runs_in(api))
    assert 0 == sink.open_outbox(base.context()).status().dead


def test_where_nobody_listens_no_batch_is_split_and_no_record_is_suspected(base, api, opened):
    """However long it lasts: one try of the first batch a round, and all in whole batches when somebody is there."""
    api.stop()
    sink = opened("batches")
    sink.telemetry_run_ended(base.write_runs(*(f"r{number}" for number in range(24)))[0])
    end = time.monotonic() + 30
    while len(sink.tries) < 15 and time.monotonic() < end:
        sink.telemetry_flush(0.05)
    assert len(sink.tries) >= 15

    api.start()
    flush(sink)

    assert {8} == set(sink.tries)
    assert [f"r{number}" for number in range(24)] == runs_in(api)
