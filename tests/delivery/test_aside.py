"""A record that fails while others are taken waits apart, in order with its run, and comes back by itself."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from telemetry.plugins import MetricsUpdate, Refused, Retryable, RetryPolicy, RunEvent
from telemetry.plugins.ids import parse_time
from telemetry.sinks.delivery import retry_dead, status
from telemetry.sinks.delivery.aside import Aside
from telemetry.sinks.delivery.dead import DeadLetter, DeadLetters, Letters
from telemetry.sinks.delivery.item import key_of
from telemetry.sinks.delivery.plan import Plan
from telemetry.sinks.delivery.pump import Pump
from telemetry.sinks.delivery.wants import Wants

FIRST_S = 0.05
EVERYTHING = Wants(frozenset(("run", "event", "metrics")), completes=False)


class Far:
    """The other side: takes what it is given, unless *faults* has the run, or all is *down*."""

    def __init__(self):
        self.taken, self.faults, self.down = [], {}, None

    def deliver(self, batch):
        for item in batch:
            error = self.down or self.faults.get(item.record.run_id)
            if error is not None:
                raise error
        self.taken += [name_of(item.record) for item in batch]


def name_of(record):
    """Return run and kind of *record*, in short."""
    return (
        f"{record.run_id}:{record.status}" if hasattr(record, "status") else f"{record.run_id}:{type(record).__name__}"
    )


@pytest.fixture
def far():
    """Return the other side."""
    return Far()


@pytest.fixture
def pump(base, far, places):
    """Return a pump whose records aside are tried again after 50 ms."""
    plan = Plan(far.deliver, policy=RetryPolicy((0.0,), cap_s=FIRST_S), wants=EVERYTHING)
    one = Pump(plan, places, base.context())
    one.begin()
    yield one
    one.let_go()


def letters_in(places):
    """Return the letters of those aside."""
    return list(Letters(places.aside, places.aside_lock))


def step(pump):
    """Take a step, whatever pause there is."""
    pump.rests_until = 0.0
    return pump.step()


def put_aside(base, pump, places, *records, count=1):
    """Write *records* and go on, with other runs between, until *count* of them are aside."""
    base.write(*records)
    number = 0
    while len(letters_in(places)) < count:
        base.write_runs(f"other{number}")
        step(pump)
        number += 1
        assert number < 100


def wait_until(pump, is_so):
    """Take steps until *is_so*."""
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        step(pump)
        time.sleep(0.005)


def test_what_is_aside_comes_back_by_itself(base, far, pump, places):
    """As soon as the other side takes it: with its count, once, and nothing is left of it."""
    far.faults["bad"] = Retryable("500")
    put_aside(base, pump, places, base.run("bad"))
    assert "bad:success" not in far.taken
    assert pump.ledger.aside.wait_s is not None
    del far.faults["bad"]

    wait_until(pump, lambda: not letters_in(places))

    assert 1 == far.taken.count("bad:success")
    (report,) = [one for one in base.reports if one.run_id == "bad" and one.ok]
    assert report.attempts >= 8
    assert pump.ledger.aside.wait_s is None
    assert not places.dead_letters.exists()


def test_one_comes_back_from_behind_many_that_fail_for_ever(base, far, pump, places):
    """Ten failures in a row look like an outage, so that none of them says whether the others are taken."""
    names = [f"bad{number}" for number in range(12)]
    far.faults.update((name, Retryable("500")) for name in (*names, "unlucky"))
    put_aside(base, pump, places, *map(base.run, (*names, "unlucky")), count=13)
    del far.faults["unlucky"]

    wait_until(pump, lambda: "unlucky:success" in far.taken)

    assert set(names) == {letter.record.run_id for letter in letters_in(places)}


def test_it_stays_aside_for_as_long_as_it_fails(base, far, pump, places):
    """Its tries go on, its reason is the last one, and it never becomes a dead letter."""
    far.faults["bad"] = Retryable("500")
    put_aside(base, pump, places, base.run("bad"))
    (first,) = letters_in(places)
    far.faults["bad"] = Retryable("KeyError")

    wait_until(pump, lambda: letters_in(places)[0].attempts > first.attempts + 2)

    (last,) = letters_in(places)
    assert ("KeyError", first.when, first.key) == (last.reason, last.when, last.key)
    assert not places.dead_letters.exists()
    assert 1 == status(base.state, "hq", base.raw).aside


def test_one_that_is_refused_after_all_becomes_a_dead_letter(base, far, pump, places):
    """Then the other side has said that it will never take it."""
    far.faults["bad"] = Retryable("500")
    put_aside(base, pump, places, base.run("bad"))
    far.faults["bad"] = Refused("422")

    wait_until(pump, lambda: not letters_in(places))

    (letter,) = DeadLetters(places)
    assert ("bad", "422") == (letter.record.run_id, letter.reason)


def test_what_a_run_says_of_itself_stays_in_order(base, far, pump, places):
    """Behind its start, its end waits as well, whenever that comes; an event does not, it has its own time."""
    far.faults["bad"] = Retryable("500")
    start = base.run("bad", status="running", end_time=None, duration_ms=None)
    put_aside(base, pump, places, start)
    del far.faults["bad"]
    far.down = Retryable("down")
    base.write(
        MetricsUpdate(run_id="bad", timestamp="2026-11-23T10:00:00+00:00", fields={"n": 1}, writer="w1", seq=901),
        RunEvent("bad", "page", "2026-11-23T10:00:00+00:00", None, "w1", 902),
        base.run("bad"),
    )
    wait_until(pump, lambda: len(letters_in(places)) == 3)
    far.down = None

    wait_until(pump, lambda: not letters_in(places))

    mine = [name for name in far.taken if name.startswith("bad")]
    assert ["bad:running", "bad:MetricsUpdate", "bad:success"] == [name for name in mine if "Event" not in name]
    assert 1 == mine.count("bad:RunEvent")


def test_an_outage_puts_all_of_them_off(base, far, pump, places):
    """And is not taken for a fault of any."""
    for number in range(3):
        far.faults[f"bad{number}"] = Retryable("500")
    put_aside(base, pump, places, *(base.run(f"bad{number}") for number in range(3)), count=3)
    before = {letter.key: letter.again_at for letter in letters_in(places)}
    far.faults.clear()
    far.down = Retryable("down")

    wait_until(pump, lambda: all(letter.again_at > before[letter.key] for letter in letters_in(places)))
    far.down = None

    wait_until(pump, lambda: not letters_in(places))
    assert {"bad0:success", "bad1:success", "bad2:success"} <= set(far.taken)


def test_the_next_process_takes_them_over(base, far, pump, places):
    """They lie on disk, readable by their owner alone; it tells of none that it has tried before their time."""
    far.faults["bad"] = Retryable("500")
    put_aside(base, pump, places, base.run("bad"))
    pump.let_go()
    far.faults.clear()
    plan = Plan(far.deliver, policy=RetryPolicy((0.0,), cap_s=FIRST_S), wants=EVERYTHING)
    other = Pump(plan, places, base.context())
    other.begin()

    wait_until(other, lambda: not letters_in(places))

    other.let_go()
    assert 1 == far.taken.count("bad:success")


def test_the_file_is_private(base, far, pump, places):
    """0600, as all that holds records."""
    far.faults["bad"] = Retryable("500")

    put_aside(base, pump, places, base.run("bad"))

    assert 0o600 == places.aside.stat().st_mode & 0o777


def test_retry_queues_it_at_once(base, far, pump, places):
    """Who has mended the other side need not wait."""
    far.faults["bad"] = Retryable("500")
    put_aside(base, pump, places, base.run("bad"))
    far.faults.clear()

    assert 1 == retry_dead(base.state, "hq")

    assert [] == letters_in(places)
    wait_until(pump, lambda: "bad:success" in far.taken)


def test_one_that_is_queued_again_is_not_put_behind_those_that_waited_for_it(base, far, pump, places):
    """By its key alone: the end of its run is still aside, and comes after it."""
    far.faults["bad"] = Retryable("500")
    put_aside(base, pump, places, base.run("bad", status="running", end_time=None, duration_ms=None))
    base.write(base.run("bad"))
    wait_until(pump, lambda: len(letters_in(places)) == 2)
    start = letters_in(places)[0]
    Letters(places.aside, places.aside_lock).revise(lambda letter: evolve(letter, again_at="2999-01-01T00:00:00+00:00"))
    far.faults.clear()

    assert 1 == retry_dead(base.state, "hq", [start.key])

    wait_until(pump, lambda: "bad:running" in far.taken)
    assert ["bad:success"] == [name_of(letter.record) for letter in letters_in(places)]


def letter_of(run, *, put_s_ago, due_in_s):
    """Return the letter of *run*, put aside that many seconds ago."""
    now = datetime.now(UTC)
    when, again_at = now - timedelta(seconds=put_s_ago), now + timedelta(seconds=due_in_s)
    texts = [moment.isoformat(timespec="microseconds") for moment in (when, again_at)]
    return DeadLetter(texts[0], "500", 8, key_of(run), run, texts[1])


@pytest.mark.parametrize(("put_s_ago", "wait_s"), [(1, 300), (300, 300), (600, 600), (7200, 7200), (10**6, 86400)])
def test_each_distance_is_twice_the_one_before_up_to_a_day(base, places, put_s_ago, wait_s):
    """As long again as it has been aside."""
    run = base.run("bad")
    places.prepare()
    Letters(places.aside, places.aside_lock).add([letter_of(run, put_s_ago=put_s_ago, due_in_s=-1)])
    aside = Aside(places, 300.0)
    assert [key_of(run)] == [letter.key for letter in aside.due()]

    aside.settle([], {key_of(run): "again"}, [])

    assert () == aside.due()
    assert wait_s - 10 < aside.wait_s <= wait_s + 10


def test_a_clock_that_was_wrong_holds_nothing_back(base, places):
    """Put aside next year: it is due now, and not next year."""
    places.prepare()
    run = base.run("bad")
    Letters(places.aside, places.aside_lock).add([letter_of(run, put_s_ago=-(10**7), due_in_s=10**7 + 300)])
    aside = Aside(places, 300.0)

    assert [key_of(run)] == [letter.key for letter in aside.due()]


def test_a_torn_line_costs_only_itself(base, places):
    """A crash in the middle of a line, or a hand that wrote a time which is none."""
    places.prepare()
    run = base.run("bad")
    good = letter_of(run, put_s_ago=10, due_in_s=-1)
    Letters(places.aside, places.aside_lock).add([evolve(good, again_at="soon"), good])
    with places.aside.open("ab") as stream:
        stream.write(b'{"when": "2026')
    aside = Aside(places, 300.0)

    assert [good] == list(aside.due())
    aside.settle([good.key], {}, [])

    assert [] == letters_in(places)
    assert 2 == places.aside.read_bytes().count(b"\n")
    assert parse_time(good.again_at) < datetime.now(UTC)
