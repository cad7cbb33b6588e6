"""The command line sees from outside how a delivery stands, and can have dead letters tried again."""

import pytest

from telemetry.plugins import Refused, Retryable, RetryPolicy, RunEvent, StoreError
from telemetry.sinks.delivery import Delivery, dead_letters, retry_dead, status
from telemetry.sinks.delivery.wants import Wants


@pytest.fixture
def deliver(base):
    """Deliver what waits with this fault, as a process of its own would; return what was taken."""

    def act(fault=None):
        taken = []

        def far(batch):
            if fault is not None:
                raise fault
            taken.extend(item.record.run_id for item in batch)

        delivery = Delivery(far, policy=RetryPolicy((60,), cap_s=60))
        delivery.open(base.context())
        delivery.flush(60)
        delivery.close(1)
        return taken

    return act


def test_a_sink_that_was_never_opened_has_nothing(base):
    """And nothing is made by looking."""
    told = status(base.state, "hq", base.raw)

    assert (0, None, 0, None, False) == (told.pending, told.oldest, told.dead, told.trouble, told.has_begun)
    assert not base.state.exists()


def test_status_counts_what_waits_and_says_why(base, deliver):
    """Pending records, the time of the oldest, the trouble in words."""
    deliver()
    base.write(base.run("r0", status="running", end_time=None), RunEvent("r0", "step", "t"))
    base.write(base.run("r1", end_time="2026-11-23T11:00:00+00:00"), base.run("r2"))

    deliver(Retryable("503 Service Unavailable"))

    told = status(base.state, "hq", base.raw)
    assert (2, "2026-11-23T11:00:00+00:00", 0, True) == (told.pending, told.oldest, told.dead, told.has_begun)
    assert (1, "503 Service Unavailable", "r0") == (told.trouble.attempts, told.trouble.reason, told.trouble.run_id)


def test_what_is_done_behind_a_suspect_does_not_count_as_waiting(base):
    """Only the suspect does."""
    base.write_runs("poison", "r1", "r2")

    def far(batch):
        if batch[0].record.run_id == "poison":
            raise Retryable("500")

    delivery = Delivery(far, policy=RetryPolicy((0.001,), cap_s=0.001), is_backfill=True)
    delivery.open(base.context())
    assert not delivery.flush(0.5)
    delivery.close(1)

    assert 1 == status(base.state, "hq", base.raw).pending


def test_status_counts_what_the_sink_takes(base, deliver):
    """An event sink has events waiting."""
    deliver()
    base.write(RunEvent("r0", "step", "2026-11-23T09:00:00+00:00"), base.run("r1"))

    told = status(base.state, "hq", base.raw, Wants(frozenset(("event",))))

    assert (1, "2026-11-23T09:00:00+00:00") == (told.pending, told.oldest)


def test_dead_letters_are_listed_and_retried(base, deliver):
    """They are delivered by the next process under the keys that they had, and are then gone."""
    deliver()
    base.write_runs("r1", "r2")
    deliver(Refused("422: nope"))
    letters = list(dead_letters(base.state, "hq"))
    assert [("r1", "422: nope"), ("r2", "422: nope")] == [(one.record.run_id, one.reason) for one in letters]

    assert 1 == retry_dead(base.state, "hq", [letters[1].key])

    assert (1, 1) == ((told := status(base.state, "hq", base.raw)).pending, told.dead)
    assert ["r2"] == deliver()
    assert (0, 1) == ((told := status(base.state, "hq", base.raw)).pending, told.dead)


def test_the_sink_itself_opens_its_outbox(base):
    """With all that the functions want to know."""
    delivery = Delivery(lambda batch: None, kinds=("event",))
    outbox = delivery.open_outbox(base.context())
    base.write(RunEvent("r0", "step", "t"))

    assert (False, 0) == (outbox.status().has_begun, outbox.status().pending)
    delivery.open(base.context())
    delivery.close(1)
    base.write(RunEvent("r0", "step", "t"))

    assert (True, 1) == (outbox.status().has_begun, outbox.status().pending)
    assert ([], 0) == (list(outbox.dead_letters()), outbox.retry_dead())


def test_a_damaged_cursor_is_told_and_left_to_the_pump(base):
    """Reading writes nothing."""
    base.state.mkdir(parents=True)
    (base.state / "hq.cursor.json").write_bytes(b"{")

    with pytest.raises(StoreError, match="makes it anew"):
        status(base.state, "hq", base.raw)

    assert b"{" == (base.state / "hq.cursor.json").read_bytes()
