"""One bad record holds up nothing but itself, and nothing of a run overtakes what comes before it."""

import errno
import socket
import urllib.error

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import Refused, Retryable, RunEvent, Unreachable
from telemetry.sinks.delivery.feed import Fed
from telemetry.sinks.delivery.item import Item
from telemetry.sinks.delivery.rounds import Round
from telemetry.sinks.delivery.turns import in_turn, witnesses_of


def fed(number, run=None):
    """Return an item that was read."""
    record = RunEvent(run or f"run{number}", "e", "t", None, "w", number + 1)
    return Fed(Item(f"k{number}", record), ("f", "h"), number, number + 1)


def keys(several):
    """Return the keys of items."""
    return [one.item.key for one in several]


def new_round(deliver, batch=1, patience=1, is_over=lambda: False):
    """Return a round that has not begun."""
    return Round(deliver, batch, patience, is_over)


def refusing(*bad):
    """Return a deliver() that refuses each batch with one of *bad* in it, and notes what it took."""

    def deliver(batch):
        culprits = [item.key for item in batch if item.key in bad]
        if culprits:
            raise Refused(f"{culprits[0]} is bad")
        deliver.taken += [item.key for item in batch]

    deliver.taken = []
    return deliver


@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_a_refused_batch_is_split_until_the_culprits_stand_alone(count, batch, data):
    """Exactly the bad ones are refused, each with its reason; all others are taken, in order."""
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    deliver = refusing(*(f"k{number}" for number in bad))
    found = new_round(deliver, batch)

    found.run([fed(number) for number in range(count)])

    good = [f"k{number}" for number in range(count) if number not in bad]
    assert good == deliver.taken == keys(found.taken)
    assert [(f"k{number}", f"k{number} is bad") for number in sorted(bad)] == [
        (one.item.key, str(why)) for one, why in found.refused
    ]
    assert [] == found.failed


@given(st.integers(2, 30), st.integers(1, 6), st.integers(1, 4), st.data())
def test_nothing_of_a_run_overtakes_a_failed_record_of_it(count, batch, patience, data):
    """In order per run, whatever fails and however patient the round is."""
    failing = data.draw(st.sets(st.integers(0, count - 1)))
    waiting = [fed(number, run=f"run{number % 3}") for number in range(count)]

    def deliver(batch):
        if any(item.record.seq - 1 in failing for item in batch):
            raise Retryable("no")

    found = new_round(deliver, batch, patience)
    found.witnesses = witnesses_of(waiting, lambda one: one.offset % 5)
    found.run(in_turn(waiting, lambda one: one.offset % 7 == 0, patience))

    for run in ("run0", "run1", "run2"):
        done = [one.offset for one in found.taken if one.item.record.run_id == run]
        stuck = [one.offset for one, _ in found.failed if one.item.record.run_id == run]
        assert not done or not stuck or max(done) < min(stuck)
    assert set(keys(found.taken)).isdisjoint(keys(one for one, _ in found.failed))


def test_a_failure_ends_the_round():
    """The API is down: one request tells it, the rest is not tried."""
    calls = []

    def deliver(batch):
        calls.append(batch)
        raise Retryable("down")

    found = new_round(deliver)
    found.run([fed(number) for number in range(10)])

    assert 1 == len(calls)
    assert ["k0"] == keys(one for one, _ in found.failed)


def test_a_patient_round_tells_a_bad_record_from_an_outage():
    """The one that fails while others are taken is passed by; those behind it are delivered."""

    def deliver(batch):
        if batch[0].key == "k1":
            raise Retryable("500")

    found = new_round(deliver, patience=2)
    found.run([fed(number) for number in range(5)])

    assert ["k0", "k2", "k3", "k4"] == keys(found.taken)
    assert {"k1"} == found.passed_by


def test_in_an_outage_nobody_is_passed_by():
    """All fail: that is no fault of the records, and the round ends after as many as its patience."""
    calls = []

    def deliver(batch):
        calls.append(batch)
        raise Retryable("down")

    found = new_round(deliver, patience=3)
    found.run([fed(number) for number in range(10)])

    assert 3 == len(calls)
    assert set() == found.passed_by


class Choosy:
    """The other side: answers 500 to all but those with a number in *good*, and notes whom it was asked to take."""

    def __init__(self, *good):
        self.good, self.tried = good, []

    def deliver(self, batch):
        (number,) = (int(item.key[1:]) for item in batch)
        self.tried.append(number)
        if number not in self.good:
            raise Retryable("500")


def test_a_witness_that_is_taken_shows_that_it_is_no_outage():
    """The round goes on behind the bad ones, each of which is passed by; and it asks the next when it would end."""
    far, waiting = Choosy(8, 9), [fed(number) for number in range(10)]
    found = new_round(far.deliver, patience=3)
    found.witnesses = witnesses_of(waiting, lambda one: 0)

    found.run(waiting)

    assert [0, 1, 2, 9, 3, 4, 5, 8, 6, 7] == far.tried
    assert {f"k{number}" for number in range(6)} == found.passed_by


def test_in_an_outage_one_witness_is_asked():
    """And ends the round."""
    far, waiting = Choosy(), [fed(number) for number in range(10)]
    found = new_round(far.deliver, patience=3)
    found.witnesses = witnesses_of(waiting, lambda one: 0)

    found.run(waiting)

    assert ([0, 1, 2, 9], set()) == (far.tried, found.passed_by)


def test_where_nobody_listens_no_witness_is_asked():
    """That is an outage by one try."""
    calls, waiting = [], [fed(number) for number in range(10)]

    def deliver(batch):
        calls.append(batch)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    found = new_round(deliver, patience=3)
    found.witnesses = witnesses_of(waiting, lambda one: 0)

    found.run(waiting)

    assert 1 == len(calls)


def test_witnesses_are_the_first_of_their_runs_and_those_that_were_asked_least():
    """The newest before others, so that what came since the last round is asked first."""
    waiting = [fed(number, run=f"run{number % 6}") for number in range(12)]
    tries = {"k5": 2, "k3": 1, "k0": 7}

    witnesses = witnesses_of(waiting, lambda one: tries.get(one.item.key, 0))

    assert ["k4", "k2", "k1", "k3", "k5", "k0"] == keys(witnesses)


@pytest.mark.parametrize(
    ("suspects", "order"),
    [
        ((), [0, 1, 2, 3, 4, 5]),
        ((4, 5), [4, 0, 5, 1, 2, 3]),
        ((0, 1, 2, 3), [0, 1, 4, 2, 3, 5]),
        ((0, 1, 2, 3, 4), [0, 1, 5, 2, 3, 4]),
        ((0, 1, 2, 3, 4, 5), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_suspects_are_spread_among_the_others(suspects, order):
    """So that they have answers after them, and do not pass for an outage."""
    turns = in_turn([fed(number) for number in range(6)], lambda one: one.offset in suspects, 4)

    assert order == [one.offset for one in turns]


def test_a_round_ends_when_it_has_taken_enough():
    """However much waits."""
    found = new_round(refusing())
    found.most = 3

    found.run([fed(number) for number in range(10)])

    assert ["k0", "k1", "k2"] == keys(found.taken)


def refused_connection():
    """Return what a stranger raises who could not connect, in the ways that people write it."""
    bare = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    chained = Retryable("no connection", 7.0)
    chained.__cause__ = urllib.error.URLError(bare)
    return [bare, urllib.error.URLError(bare), urllib.error.URLError(socket.gaierror(-2, "no such host")), chained]


@pytest.mark.parametrize("number", range(4))
def test_where_nobody_listens_the_round_ends_and_no_record_is_suspected(number):
    """However patient it is, and although another record was taken before and one is refused after."""
    error, calls = refused_connection()[number], []

    def deliver(batch):
        calls.append(batch)
        if len(calls) > 1:
            raise error

    found = new_round(deliver, patience=10)
    found.run([fed(number) for number in range(10)])

    assert (2, ["k0"], ["k1"]) == (len(calls), keys(found.taken), keys(one for one, _ in found.failed))
    assert (True, set()) == (found.is_unreachable, found.passed_by)
    assert isinstance(found.failed[0][1], Unreachable)
    assert getattr(error, "retry_after_s", None) == found.failed[0][1].retry_after_s


@pytest.mark.parametrize(
    "error", [TimeoutError("slow"), ConnectionResetError(errno.ECONNRESET, "reset"), OSError("?"), KeyError(111)]
)
def test_a_connection_that_breaks_may_be_the_fault_of_a_record(error):
    """Some servers die of one; so the round goes on."""
    found = new_round(failing_with(error), patience=2)

    found.run([fed(number) for number in range(3)])

    assert (False, 2) == (found.is_unreachable, len(found.failed))


def test_a_refusal_shows_that_the_other_side_answers():
    """A record that fails beside one that is refused is suspect too."""

    def deliver(batch):
        raise Retryable("500") if batch[0].key == "k0" else Refused("422")

    found = new_round(deliver, patience=2)
    found.run([fed(0), fed(1)])

    assert {"k0"} == found.passed_by


def test_deliver_may_report_item_by_item():
    """What it names failed, the rest of the batch was taken; keys that it invents are ignored."""
    found = new_round(lambda batch: {"k0": Refused("bad"), "k2": Retryable("later"), "x": Refused("?")}, batch=4)

    found.run([fed(number) for number in range(8)])

    assert ["k1", "k3"] == keys(found.taken)
    assert [("k0", "bad")] == [(one.item.key, str(why)) for one, why in found.refused]
    assert [("k2", "later")] == [(one.item.key, str(why)) for one, why in found.failed]


def test_an_outage_in_the_middle_of_a_split_leaves_the_rest_untried():
    """Half of a refused batch is not refused because the other half met an outage."""
    answers = iter([Refused("one of these"), Retryable("down")])

    def deliver(batch):
        raise next(answers)

    found = new_round(deliver, batch=4)
    found.run([fed(number) for number in range(4)])

    assert ([], [], ["k0", "k1"]) == (found.taken, found.refused, keys(one for one, _ in found.failed))


def test_a_round_ends_when_time_is_up_but_does_something_before():
    """The first batch always goes: progress is made however short the time is."""
    deliver = refusing()
    found = new_round(deliver, is_over=lambda: True)

    found.run([fed(number) for number in range(5)])

    assert ["k0"] == deliver.taken


class Unspeakable(Exception):
    """An error that cannot say what it is."""

    def __str__(self):
        raise RuntimeError("no words")


def failing_with(error):
    """Return a deliver() that raises *error*."""

    def deliver(batch):
        raise error

    return deliver


def test_whatever_deliver_raises_is_a_failure_that_may_pass():
    """A fault in a sink's code ends neither the pump nor the process, and loses nothing."""
    for error in (KeyError("price"), SystemExit(3), Unspeakable(), RecursionError()):
        found = new_round(failing_with(error))

        found.run([fed(0)])

        ((_, why),) = found.failed
        assert isinstance(why, Retryable)
        assert type(error).__name__ in str(why)


def test_an_answer_that_is_none_is_no_success():
    """Delivery is what deliver() says plainly; `True` or a list says nothing."""
    for answer in (True, ["k0"], 0):
        found = new_round(lambda batch, answer=answer: answer)

        found.run([fed(0)])

        assert [] == found.taken
        assert type(answer).__name__ in str(found.failed[0][1])


def test_an_error_of_an_unknown_kind_is_tried_again():
    """A mapping may hold what it wants; only `Refused` gives a record up."""
    found = new_round(lambda batch: {"k0": "odd"})

    found.run([fed(0)])

    assert "odd" == str(found.failed[0][1])


def test_keyboard_interrupts_pass():
    """They belong to the agent."""
    found = new_round(failing_with(KeyboardInterrupt()))

    try:
        found.run([fed(0)])
    except KeyboardInterrupt:
        passed = True

    assert passed
