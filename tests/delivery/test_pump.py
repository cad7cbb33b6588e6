"""The pump, a step at a time: who delivers, when it is tried again, and what is written down."""

import gzip
import logging
import os
import shutil
import time

import pytest

from telemetry.plugins import MetricsUpdate, Refused, Retryable, RetryPolicy, RunEvent, encode_line
from telemetry.sinks.delivery.cursor import Cursor, load_cursor, save_cursor
from telemetry.sinks.delivery.dead import DeadLetters, Letters
from telemetry.sinks.delivery.locks import PathLock
from telemetry.sinks.delivery.outbox import status
from telemetry.sinks.delivery.places import Places
from telemetry.sinks.delivery.plan import Plan
from telemetry.sinks.delivery.pump import Pump
from telemetry.sinks.delivery.wants import Wants
from telemetry.sinks.journal import Journal


class Far:
    """The other side: takes what it is given, unless *answers* or *faults* say otherwise."""

    def __init__(self):
        self.taken = []
        self.tried = []
        self.down = None
        self.faults = {}

    def deliver(self, batch):
        self.tried += [item.record.run_id for item in batch]
        if self.down is not None:
            raise self.down
        for item in batch:
            if item.record.run_id in self.faults:
                raise self.faults[item.record.run_id]
        self.taken += [item.record.run_id for item in batch]


@pytest.fixture
def far():
    """Return the other side."""
    return Far()


@pytest.fixture
def pump(base, far, places):
    """Return a function that makes a pump as a new process would have it."""
    made = []

    def make(*, is_begun=True, context=None, **plan):
        one = Pump(Plan(far.deliver, **plan), places, context or base.context())
        made.append(one)
        if is_begun:
            one.begin()
        return one

    yield make
    for one in made:
        one.let_go()


def drained(pump):
    """Take steps until nothing is left but what is aside, resting never; return how many it took."""
    for number in range(1000):
        pump.rests_until = 0.0
        pause_s = pump.step()
        is_done = not pump.is_leading and pump.rests_until == 0.0
        if pause_s is None or (is_done and pump.ledger.aside.count):
            return number
    raise AssertionError("it never ends")


def aside_in(places):
    """Return the letters of what is out of the way."""
    return Letters(places.aside, places.aside_lock)


def settled_step(pump):
    """Take the next step that does something after a wake."""
    while 0 < (pause_s := pump.step()) <= 0.02:
        time.sleep(pause_s)


def test_what_is_written_after_the_start_is_delivered_in_order(base, far, pump):
    """And what was there before is not."""
    base.write_runs("old")
    one = pump()
    base.write_runs("r1", "r2", "r3")

    drained(one)

    assert ["r1", "r2", "r3"] == far.taken
    assert [("r1", True, 0), ("r2", True, 0), ("r3", True, 0)] == [(r.run_id, r.ok, r.attempts) for r in base.reports]
    assert not one.is_leading


def test_backfill_delivers_the_whole_journal(base, far, pump):
    """From the first line on."""
    base.write_runs("old")
    one = pump(is_backfill=True)

    drained(one)

    assert ["old"] == far.taken


def test_backfill_that_is_turned_on_later_works_too(base, far, pump):
    """Who sees the first runs arrive and wants the rest as well, gets it, once."""
    base.write_runs("old")
    first = pump()
    base.write_runs("r1")
    drained(first)

    drained(pump(is_backfill=True))
    drained(pump(is_backfill=True))

    assert ["r1", "old", "r1"] == far.taken


def test_lines_that_were_written_before_the_pump_first_ran_are_delivered(base, far, pump):
    """The process died too early: the next one knows where it began."""
    pump()
    base.write_runs("r1")

    drained(pump())

    assert ["r1"] == far.taken


@pytest.mark.parametrize("has_today", [True, False])
def test_a_sink_that_was_new_under_a_clock_that_was_ahead_gets_what_comes_after(base, far, pump, has_today):
    """The day of the newest file says nothing of when a line is written: what was there then is left out, no more."""
    base.write_runs("old")
    (today,) = base.raw.glob("events_*")
    ahead = base.raw / "events_20990101.ndjson"
    shutil.copy(today, ahead)
    (base.raw / "events_20200101.ndjson.gz").write_bytes(gzip.compress(today.read_bytes()))
    if not has_today:
        today.unlink()
    first = pump()
    with ahead.open("ab") as stream:
        stream.write(encode_line(base.run("ahead")))
    drained(first)

    base.write_runs("right")
    drained(pump())

    assert ["ahead", "right"] == far.taken


def test_a_cursor_of_an_earlier_version_leaves_out_by_name_as_it_did(base, far, pump, places):
    """It knows no more than a day; nothing of the history before it is delivered now."""
    base.write_runs("old")
    (today,) = base.raw.glob("events_*")
    shutil.copy(today, base.raw / "events_20200101.ndjson")
    places.prepare()
    places.cursor.write_text(f'{{"first_day":"{today.name[7:15]}","marks":[],"ahead":[],"trouble":null,"version":1}}')

    drained(pump())

    assert ["old"] == far.taken
    assert load_cursor(places.cursor).left_out is None


def test_nothing_is_delivered_twice_by_processes_that_end_well(base, far, pump):
    """Each goes on where the last one stopped."""
    pump()
    for number in range(3):
        base.write_runs(f"r{number}")
        drained(pump())

    assert ["r0", "r1", "r2"] == far.taken


def test_pauses_follow_the_policy_and_then_its_cap(base, far, pump):
    """1, 2, 4 seconds as the contract says, then longer."""
    one = pump(policy=RetryPolicy((1, 2, 4), cap_s=20))
    base.write_runs("r1")
    far.down = Retryable("down")
    pauses = []

    for _ in range(6):
        one.rests_until = 0.0
        pauses.append(one.step())

    assert [1, 2, 4, 8, 16, 20] == pauses
    assert [1, 2, 3, 4, 5, 6] == [report.attempts for report in base.reports]
    assert {False} == {report.ok for report in base.reports}


def test_a_policy_without_a_cap_goes_on_at_the_usual_one():
    """What waits is never given up."""
    plan = Plan(lambda batch: None, policy=RetryPolicy((1, 2)))

    assert [1, 2, 4, 8, 256, 300, 300] == [plan.pause_s(number, None) for number in (1, 2, 3, 4, 9, 10, 500)]


def test_a_policy_without_pauses_does_not_spin():
    """`delays_s = []` is allowed, and still bounded below."""
    plan = Plan(lambda batch: None, policy=RetryPolicy(()))

    assert 1 <= plan.pause_s(1, None)


@pytest.mark.parametrize(("asked_s", "pause_s"), [(30, 30), (0, 1), (1e9, 3600)])
def test_the_other_side_may_ask_for_a_longer_pause(base, far, pump, asked_s, pause_s):
    """Never a shorter one than ours, and never more than an hour."""
    one = pump()
    base.write_runs("r1")
    far.down = Retryable("429", retry_after_s=asked_s)

    assert pause_s == one.step()


def test_no_try_is_made_while_it_rests(base, far, pump):
    """A wake in between changes nothing."""
    one = pump()
    base.write_runs("r1")
    far.down = Retryable("down")
    one.step()

    left = [one.step() for _ in range(3)]

    assert 1 == len(far.tried)
    assert all(0 < seconds <= 1 for seconds in left)


def test_who_flushes_cuts_our_own_pause_short(base, far, pump):
    """But not one that the other side asked for."""
    one = pump()
    base.write_runs("r1")
    far.down = Retryable("down")
    one.step()
    one.progress.ask(is_hurried=True)

    one.step()
    assert 2 == len(far.tried)

    one.rests_until = 0.0
    far.down = Retryable("429", retry_after_s=60)
    one.step()
    one.progress.ask(is_hurried=True)
    one.step()
    assert 3 == len(far.tried)


def test_after_an_outage_everything_arrives_with_its_count(base, far, pump):
    """The run that failed three times says so; the others never failed."""
    one = pump()
    base.write_runs("r1", "r2")
    far.down = Retryable("down")
    for _ in range(3):
        one.rests_until = 0.0
        one.step()
    far.down = None

    drained(one)

    assert ["r1", "r2"] == far.taken
    assert [("r1", 3), ("r2", 0)] == [(r.run_id, r.attempts) for r in base.reports if r.ok]
    assert one.fault is None


def test_trouble_is_written_down_and_taken_over(base, far, pump, places):
    """The next process counts on, and the command line can show it."""
    one = pump()
    base.write_runs("r1")
    far.down = Retryable("503 no")
    one.step()
    one.let_go()
    trouble = load_cursor(places.cursor).trouble
    assert (1, "503 no", "r1") == (trouble.attempts, trouble.reason, trouble.run_id)

    two = pump()
    two.step()
    two.let_go()
    again = load_cursor(places.cursor).trouble
    assert (2, trouble.since) == (again.attempts, again.since)

    far.down = None
    drained(pump())
    assert load_cursor(places.cursor).trouble is None


def test_a_refused_record_lies_in_the_dead_letters_and_the_rest_passes(base, far, pump, places, caplog):
    """Its reason and its tries are kept with it, and the bus hears of it."""
    one = pump(batch=10)
    base.write_runs("r1", "bad", "r2")
    far.faults["bad"] = Refused("422: no such field")

    drained(one)

    assert ["r1", "r2"] == far.taken
    (letter,) = DeadLetters(places)
    assert ("422: no such field", 0, "bad") == (letter.reason, letter.attempts, letter.record.run_id)
    assert [("bad", False, "422: no such field")] == [(r.run_id, r.ok, r.reason) for r in base.reports if not r.ok]
    assert "run bad was refused" in caplog.text
    assert (2, 1) == (one.ledger.delivered, one.ledger.refused)


def test_a_record_that_always_fails_is_found_and_set_aside(base, far, pump, places):
    """500 for one record, 200 for the others: after eight rounds it is out of the way. Nobody waits or comes twice."""
    one = pump()
    base.write_runs("poison")
    far.faults["poison"] = Retryable("500")

    for number in range(4 + 8):
        base.write_runs(f"r{number}")
        one.rests_until = 0.0
        one.step()
    drained(one)

    assert [f"r{number}" for number in range(12)] == far.taken
    (letter,) = aside_in(places)
    assert ("poison", 12, "500") == (letter.record.run_id, letter.attempts, letter.reason)
    assert [] == list(DeadLetters(places))
    assert () == load_cursor(places.cursor).ahead


def test_a_suspect_holds_up_nobody(base, far, pump):
    """Its pauses are its own: what is new is tried when it comes. An outage is everybody's."""
    one = pump()
    base.write_runs("poison", "r1")
    far.faults["poison"] = Retryable("500")
    for _ in range(8):
        one.rests_until = 0.0
        one.step()
    assert ["r1"] == far.taken
    assert one.rests_until > 0.0

    base.write_runs("r2")
    assert one.hear()
    settled_step(one)
    assert ["r1", "r2"] == far.taken

    base.write_runs("r3")
    far.down = Retryable("down")
    assert one.hear()
    settled_step(one)
    assert not one.hear()


def test_it_leaves_the_agent_a_moment_before_it_works(base, far, pump):
    """What woke it has just written a line and wants to go on; and what ends meanwhile goes along."""
    one = pump()
    base.write_runs("r1")

    assert one.hear()
    assert not one.hear()
    assert 0 < one.step() <= 0.02
    assert [] == far.taken

    base.write_runs("r2")
    settled_step(one)
    assert ["r1", "r2"] == far.taken
    assert one.hear()


def test_who_asks_does_not_wait_for_that_moment(base, far, pump):
    """And a line that is written after the answer wakes it anew."""
    one = pump()
    base.write_runs("r1")
    one.hear()
    one.progress.ask(is_hurried=False)

    one.step()

    assert ["r1"] == far.taken
    assert one.hear()


def test_it_stays_a_while_for_the_next_run(base, far, pump):
    """Each new thread would cost the agent 0.1 ms; but who has delivered nothing has no reason to stay."""
    one = pump()
    assert one.step() is None

    base.write_runs("r1")
    assert 0.0 == one.step()
    assert 5.0 == one.step()
    assert one.step() is None


def test_what_is_done_behind_a_suspect_is_not_repeated_by_the_next_process(base, far, pump):
    """The cursor stands before the suspect; the keys of what was taken behind it stand beside."""
    one = pump()
    base.write_runs("poison", "r1", "r2")
    far.faults["poison"] = Retryable("500")
    for _ in range(6):
        one.rests_until = 0.0
        one.step()
    one.let_go()
    assert ["r1", "r2"] == far.taken
    base.write_runs("r3")
    del far.faults["poison"]

    drained(pump())

    assert ["r1", "r2", "poison", "r3"] == far.taken


def test_suspects_without_end_do_not_fill_the_cursor(base, far, pump, places):
    """Every fourth record is bad: what is kept in the cursor of done items stays small."""
    one = pump()
    most = 0
    for number in range(160):
        far.faults[f"r{number}"] = Retryable("500") if number % 4 == 0 else None
        if far.faults[f"r{number}"] is None:
            del far.faults[f"r{number}"]
        base.write_runs(f"r{number}")
        one.rests_until = 0.0
        one.step()
        most = max(most, len(load_cursor(places.cursor).ahead))

    assert [f"r{number}" for number in range(160) if number % 4] == far.taken
    assert most < 64
    assert len(list(aside_in(places))) > 30


def test_it_is_found_by_processes_that_live_for_one_try_each(base, far, pump, places):
    """A cron job has no time to count to eight: the count is kept on disk."""
    pump()
    base.write_runs("poison")
    far.faults["poison"] = Retryable("500")
    lives = 0

    while not list(aside_in(places)):
        lives += 1
        assert lives < 30
        base.write_runs(f"r{lives}")
        one = pump()
        one.step()
        one.let_go()

    assert 4 + 8 == lives
    assert [f"r{number}" for number in range(1, lives + 1)] == far.taken


def test_a_suspect_that_asks_for_a_pause_gets_it(base, far, pump):
    """Also from new runs: what the other side asks for is never cut short."""
    one = pump()
    base.write_runs("poison", "r1")
    far.faults["poison"] = Retryable("503")
    for _ in range(6):
        one.rests_until = 0.0
        one.step()
    far.faults["poison"] = Retryable("503", retry_after_s=60)
    one.rests_until = 0.0
    assert one.step() >= 60

    base.write_runs("r2")

    assert not one.hear()


def test_what_the_other_side_says_is_bounded(base, far, pump, places):
    """A stack trace of a megabyte stays out of the cursor, which is written each time."""
    one = pump()
    base.write_runs("r1")
    far.down = Retryable("line one\n" + "x" * 10**6)

    one.step()

    assert f"line one {'x' * 491}" == load_cursor(places.cursor).trouble.reason == one.fault


def test_several_poisoned_records_in_a_row_are_found(base, far, pump, places):
    """Patience grows with the failures, up to ten probes in a round."""
    one = pump()
    base.write_runs(*(f"p{number}" for number in range(6)), "good")
    for number in range(6):
        far.faults[f"p{number}"] = Retryable("500")
    for _ in range(40):
        one.rests_until = 0.0
        one.step()
        base.write_runs("probe")

    assert {f"p{number}" for number in range(6)} == {letter.record.run_id for letter in aside_in(places)}
    assert "good" in far.taken


def poisoned(far, *names):
    """Have the other side fail at these runs for ever; return their names."""
    far.faults.update((name, Retryable("500")) for name in names)
    return names


@pytest.mark.parametrize("count", [10, 63, 64, 65, 200])
def test_however_many_poisoned_records_come_first_they_hold_up_nobody(base, far, pump, places, count):
    """An answer is looked for behind them, soon: with the usual pauses all good ones are there after two minutes."""
    one = pump()
    base.write_runs(*poisoned(far, *(f"p{number}" for number in range(count))), *(f"r{number}" for number in range(30)))

    pauses_s = [rested(one) for _ in range(8)]

    assert sorted(f"r{number}" for number in range(30)) == sorted(far.taken)
    assert sum(pauses_s) < 120
    assert not places.dead_letters.exists()


def rested(pump):
    """Take a step as if its pause were over; return the next pause."""
    pump.rests_until = 0.0
    return pump.step() or 0.0


def test_poisoned_and_good_records_in_turn_lock_nothing_up(base, far, pump, places):
    """The window does not end at as many bad ones as it holds, and they go aside while good ones are taken."""
    one = pump()
    poisoned(far, *(f"p{number}" for number in range(80)))
    base.write_runs(*(f"{kind}{number}" for number in range(80) for kind in "pr"))

    for number in range(80, 240):
        rested(one)
        base.write_runs(f"r{number}")
    rested(one)

    assert sorted(f"r{number}" for number in range(240)) == sorted(far.taken)
    assert 80 == len(list(aside_in(places)))


def test_behind_many_poisoned_records_each_new_run_goes_at_once(base, far, pump):
    """Once they are suspects; their pauses are not those of others."""
    one = pump()
    base.write_runs(*poisoned(far, *(f"p{number}" for number in range(100))), *(f"r{number}" for number in range(30)))
    for _ in range(30):
        rested(one)
    assert one.rests_until > 0.0

    base.write_runs("new")
    assert one.hear()
    settled_step(one)

    assert "new" == far.taken[-1]


def test_processes_that_live_for_one_try_each_pass_many_poisoned_records(base, far, pump):
    """What is remembered on disk is enough to look far behind them."""
    pump()
    base.write_runs(*poisoned(far, *(f"p{number}" for number in range(100))))

    for number in range(20):
        base.write_runs(f"r{number}")
        one = pump()
        one.step()
        one.let_go()

    assert {f"r{number}" for number in range(20)} == set(far.taken)


def test_an_outage_costs_few_tries_and_strikes_nobody(base, far, pump, places):
    """However much waits and however long it lasts; then all arrive, in order."""
    one = pump()
    names = [f"r{number}" for number in range(300)]
    base.write_runs(*names)
    far.down = Retryable("503")

    for _ in range(15):
        rested(one)
        assert 0 == one.ledger.most_strikes
    assert len(far.tried) <= 15 * (10 + 1)
    assert not one.hear()

    far.down = None
    drained(one)

    assert names == far.taken
    assert not places.aside.exists()


def test_an_outage_buries_nothing(base, far, pump, places):
    """However long it lasts."""
    one = pump()
    base.write_runs("r1", "r2")
    far.down = Retryable("down")
    for _ in range(50):
        one.rests_until = 0.0
        one.step()
    assert [] == list(DeadLetters(places))

    far.down = None
    drained(one)

    assert ["r1", "r2"] == far.taken


def test_reports_of_one_round_are_bounded(base, far, pump):
    """Each is a line in the journal, and an outage of a large batch would write thousands."""
    one = pump(batch=50)
    base.write_runs(*(f"r{number}" for number in range(50)))
    far.down = Retryable("down")

    one.step()

    assert 10 == len(base.reports)


def test_only_ends_of_runs_are_reported(base, far, pump):
    """For an event sink each report would make a line of the journal for each line of it."""
    one = pump(wants=Wants(frozenset(("run", "event", "metrics"))))
    start = base.run("r1", status="running", end_time=None)
    base.write(start, RunEvent("r1", "step", "t"), MetricsUpdate("r1", "t", {"a": 1}), base.run("r1"))

    drained(one)

    assert 4 == len(far.taken)
    assert 1 == len(base.reports)


def test_who_does_not_lead_waits_and_takes_over(base, far, pump, places):
    """The leader died with work left: the next try finds the lock free."""
    one = pump()
    other = PathLock(places.lock)
    other.acquire()
    base.write_runs("r1")

    polls = []
    for _ in range(6):
        one.rests_until = 0.0
        polls.append(one.step())
    assert [0.5, 1.0, 2.0, 4.0, 5.0, 5.0] == polls
    assert [] == far.tried

    other.release()
    drained(one)
    assert ["r1"] == far.taken


def test_who_does_not_lead_stops_waiting_when_another_has_delivered(base, far, pump, places):
    """The cursor on disk tells."""
    first, second = pump(), pump()
    base.write_runs("r1")
    drained(first)
    lock = PathLock(places.lock)
    lock.acquire()

    assert second.step() is None
    lock.release()


def test_over_a_long_pause_another_process_may_try(base, far, pump, places):
    """It may have the token that works; over a short one it need not."""
    one, two = pump(), pump()
    base.write_runs("r1")
    far.down = Retryable("down")
    one.step()
    assert one.is_leading

    one.rests_until = 0.0
    far.down = Retryable("401", retry_after_s=3600)
    one.step()
    assert not one.is_leading

    far.down = None
    drained(two)
    assert ["r1"] == far.taken
    assert one.step() > 3000


def test_a_damaged_cursor_heals_itself(base, far, pump, places, caplog):
    """Everything is delivered again, under the same keys, and the broken file is kept."""
    one = pump()
    base.write_runs("r1")
    drained(one)
    places.cursor.write_bytes(b"{torn")

    drained(pump())

    assert ["r1", "r1"] == far.taken
    assert b"{torn" == (base.state / "hq.cursor.json.damaged").read_bytes()
    assert "delivered again" in caplog.text


def test_a_follower_leaves_a_damaged_cursor_to_the_leader(base, far, pump, places):
    """Only who holds the lock may write."""
    one = pump()
    lock = PathLock(places.lock)
    lock.acquire()
    places.cursor.write_bytes(b"{torn")

    assert 0.5 == one.step()
    assert b"{torn" == places.cursor.read_bytes()
    lock.release()


def test_a_cursor_of_a_later_version_stops_the_delivery_with_a_word(base, far, pump, places, caplog):
    """Nothing is overwritten, nothing delivered."""
    one = pump()
    base.write_runs("r1")
    places.cursor.write_bytes(b'{"version": 9}')

    assert 1 == one.step()

    assert "later version" in caplog.text
    assert [] == far.tried
    assert b'{"version": 9}' == places.cursor.read_bytes()
    assert not one.is_leading


def test_a_state_directory_that_is_a_file_is_survived(base, far, pump, caplog):
    """Said once, tried again, and delivered when it is mended; the start is kept in mind."""
    base.write_runs("old")
    base.state.write_text("in the way")
    one = pump(is_begun=False)
    with pytest.raises(NotADirectoryError):
        one.begin()
    base.write_runs("r1")
    assert [1, 2] == [one.step(), (setattr(one, "rests_until", 0.0), one.step())[1]]
    assert 1 == caplog.text.count("cannot deliver")
    assert "NotADirectoryError" in one.fault

    base.state.unlink()
    drained(one)

    assert ["r1"] == far.taken


def test_a_state_directory_that_vanishes_is_made_again(base, far, pump, places):
    """What was delivered today comes again, what is older does not."""
    one = pump()
    base.write_runs("r1")
    drained(one)
    for path in base.state.iterdir():
        path.unlink()
    base.state.rmdir()
    base.write_runs("r2")

    drained(one)

    assert "r2" == far.taken[-1]
    assert places.cursor.exists()


def test_dead_letters_that_cannot_be_written_lose_nothing(base, far, pump, places):
    """The refused record stays in the journal's keeping until it has a place."""
    one = pump(batch=3)
    base.write_runs("r1", "bad", "r2")
    far.faults["bad"] = Refused("422")
    places.dead_letters.mkdir(parents=True)

    assert 1 == one.step()
    places.dead_letters.rmdir()
    drained(one)

    assert ["bad"] == [letter.record.run_id for letter in DeadLetters(places)]
    assert {"r1", "r2"} == set(far.taken)


def test_a_slow_other_side_saves_the_cursor_often(base, pump, places, monkeypatch):
    """A kill repeats what was delivered in the last tenth of a second, not the whole backlog."""
    clock = iter(range(1000))
    one = pump()
    base.write_runs(*(f"r{number}" for number in range(20)))
    monkeypatch.setattr("telemetry.sinks.delivery.pump.time.monotonic", lambda: next(clock) / 10)

    one.step()

    assert 1 <= status(base.state, "hq", base.raw).pending < 20
    assert one.is_leading


def test_a_closed_pump_stops_and_lets_go(base, far, pump):
    """What is left is for the next process."""
    one = pump()
    base.write_runs("r1")
    far.down = Retryable("down")
    one.step()
    one.is_closed = True

    assert one.step() is None
    assert not one.is_leading


def test_the_own_journal_comes_first(base, far, pump, places):
    """What was kept there before a shared journal was set up, or retried, is not forgotten."""
    one = pump()
    own = Journal(places.journal, fsync="never")
    own.append(encode_line(base.run("kept")))
    own.close()
    base.write_runs("r1")

    drained(one)

    assert ["kept", "r1"] == far.taken


def test_a_foreign_end_is_delivered_complete(base, pump):
    """What another process knew of the run goes with it."""
    got = []
    places = Places(base.state, "hq2")
    one = Pump(Plan(lambda batch: got.extend(batch)), places, base.context(sink_name="hq2"))
    one.begin()
    base.write(base.run("r", status="running", end_time=None), base.run("r", agent_name="unknown", job_type=None))

    drained(one)

    assert ["crawler", "crawler"] == [item.record.agent_name for item in got]


def test_many_skipped_lines_move_the_cursor(base, far, pump, places):
    """Or each process would read a journal of events again, to deliver nothing."""
    one = pump()
    before = load_cursor(places.cursor)
    base.write(*(RunEvent("r", "step", "t", "x" * 200_000) for _ in range(6)))

    drained(one)

    assert before != load_cursor(places.cursor)
    assert [] == far.tried


def test_complaints_are_few(base, far, pump, caplog):
    """An outage fills no log: one line a minute."""
    caplog.set_level(logging.WARNING)
    one = pump()
    base.write_runs("r1")
    far.down = Retryable("down")
    for _ in range(20):
        one.rests_until = 0.0
        one.step()

    assert 1 == len(caplog.records)
    assert "sink hq: down; tried again in 1 s" in caplog.text


def test_files_of_the_delivery_are_private(base, far, pump):
    """0600 each, 0700 the directory."""
    one = pump()
    base.write_runs("r1", "bad")
    far.faults["bad"] = Refused("422")

    drained(one)

    modes = {path.name: path.stat().st_mode & 0o777 for path in base.state.iterdir()}
    assert {"hq.cursor.json", "hq.lock", "hq.dead.ndjson", "hq.dead.lock"} == set(modes)
    assert {0o600} == set(modes.values())
    assert 0o700 == os.stat(base.state).st_mode & 0o777


def test_a_later_start_never_replaces_the_first(base, pump, places):
    """Two processes begin at once: the lines of the one that came second are behind the first one's start."""
    pump()
    base.write_runs("r1")

    pump()

    assert Cursor() == load_cursor(places.cursor)
    save_cursor(places.cursor, other := Cursor("20261123"))
    pump()
    assert other == load_cursor(places.cursor)
