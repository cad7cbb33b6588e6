"""A sink that composes a Delivery gets durable delivery in a thread of its own, and costs its caller nothing."""

import os
import signal
import sys
import threading
import time

import pytest
from patience import until

from telemetry.plugins import MetricsUpdate, Refused, Retryable, RetryPolicy
from telemetry.sinks.delivery import Delivery
from telemetry.sinks.delivery import delivery as delivery_module
from telemetry.sinks.journal import journal_files, read_records

QUICK = RetryPolicy((0.01,), cap_s=0.02)


class Far:
    """The other side of a delivery, in memory."""

    def __init__(self):
        self.taken = []
        self.tries = 0
        self.tried_at = 0.0
        self.fault = None
        self.gate = threading.Event()
        self.gate.set()

    def deliver(self, batch):
        self.tries += 1
        self.tried_at = time.monotonic()
        self.gate.wait(30)
        if self.fault is not None:
            raise self.fault
        self.taken += [item.record.run_id for item in batch]


@pytest.fixture
def far():
    """Return the other side."""
    return Far()


@pytest.fixture
def opened(base, far):
    """Return a function that opens a delivery; what is open at the end is closed."""
    made = []

    def open_one(context=None, **options):
        delivery = Delivery(far.deliver, **{"policy": QUICK, **options})
        made.append(delivery)
        delivery.open(context or base.context())
        return delivery

    yield open_one
    far.gate.set()
    for delivery in made:
        delivery.close(1)


def end(base, delivery, *names):
    """Write the ends of runs to the journal and tell the delivery, as the bus does."""
    for run in base.write_runs(*names):
        delivery.take(run)


def test_runs_are_delivered_when_they_end(base, far, opened):
    """The hook wakes the thread; flush() waits for it."""
    delivery = opened()

    end(base, delivery, "r1", "r2")

    assert delivery.flush(60)
    assert ["r1", "r2"] == far.taken
    counts = {"posted": 2, "refused": 0, "aside": 0}
    assert {**counts, "is_leading": False, "fault": None, "retry_in_s": 0.0} == delivery.health()


def test_what_an_earlier_process_left_is_delivered_at_open(base, far, opened):
    """Nobody has to end a run first."""
    far.fault = Retryable("down")
    first = opened()
    end(base, first, "r1")
    assert not first.flush(0.1)
    first.close(1)
    far.fault = None

    opened()

    assert until(lambda: far.taken)
    assert ["r1"] == far.taken


@pytest.mark.parametrize("deadline_s", [0.0, 1.0])
def test_who_is_closed_in_a_pause_lets_the_next_one_deliver(base, far, opened, deadline_s):
    """Also when nobody waits for its thread to end, as a client that is closed in a hurry does not."""
    far.fault = Retryable("down")
    first = opened(policy=RetryPolicy((4,), cap_s=4))
    end(base, first, "r1")
    assert not first.flush(0.1)
    assert first.health()["is_leading"]
    first.close(deadline_s)
    far.fault = None

    assert opened().flush(5)
    assert ["r1"] == far.taken


def test_flush_is_patient_until_its_deadline(base, far, opened):
    """It waits for the next try, if that comes in time."""
    delivery = opened(policy=RetryPolicy((0.2,), cap_s=0.2))
    far.fault = Retryable("down")
    threading.Timer(0.1, lambda: setattr(far, "fault", None)).start()

    end(base, delivery, "r1")

    assert delivery.flush(60)
    assert ["r1"] == far.taken


def test_flush_returns_early_when_the_next_try_comes_too_late(base, far, opened):
    """Nobody waits for what is certain."""
    delivery = opened(policy=RetryPolicy((3600,), cap_s=3600))
    far.fault = Retryable("down")
    end(base, delivery, "r1")
    started = time.monotonic()

    assert not delivery.flush(60)

    assert time.monotonic() - started < 30
    assert "down" == delivery.health()["fault"]
    assert delivery.health()["retry_in_s"] > 60


def test_flush_of_a_hanging_delivery_ends_at_its_deadline(base, far, opened):
    """The thread goes on by itself."""
    delivery = opened()
    far.gate.clear()
    end(base, delivery, "r1")

    assert not delivery.flush(0.1)

    far.gate.set()
    assert delivery.flush(60)


def test_close_delivers_what_is_pending(base, far, opened):
    """A short process with a healthy API leaves nothing."""
    delivery = opened()
    end(base, delivery, *(f"r{number}" for number in range(20)))

    delivery.close(2)

    assert 20 == len(far.taken)


def test_close_does_not_wait_for_another_try(base, far, opened):
    """What failed a moment ago is left to the next process, though the time for closing would do."""
    delivery = opened(policy=RetryPolicy((1.8,), cap_s=1.8))
    far.fault = Retryable("down")
    end(base, delivery, "r1")
    assert until(lambda: delivery.health()["retry_in_s"])
    far.fault = None

    delivery.close(2)

    assert ([], 1) == (far.taken, far.tries)


@pytest.mark.parametrize(("deadline_s", "longest_s"), [(0.1, 3600), (3600, 2.0)])
def test_close_leaves_a_hanging_request_behind(base, far, opened, deadline_s, longest_s, monkeypatch):
    """Two seconds at most, whatever the caller would grant; nothing is lost, the next one delivers."""
    assert 2.0 == delivery_module._LONGEST_CLOSE_S
    monkeypatch.setattr(delivery_module, "_LONGEST_CLOSE_S", longest_s)
    delivery = opened()
    far.gate.clear()
    end(base, delivery, "r1")
    started = time.monotonic()

    delivery.close(deadline_s)

    assert time.monotonic() - started < 15  # else as long as the request hangs: 30 s
    far.gate.set()
    assert opened().flush(60)
    assert {"r1"} == set(far.taken)


def test_a_closed_delivery_does_no_more(base, far, opened):
    """Records that come late stay in the journal."""
    delivery = opened()
    delivery.close(1)

    end(base, delivery, "r1")
    assert not delivery.flush(0.05)

    assert [] == far.taken
    assert opened().flush(60)
    assert ["r1"] == far.taken


def test_a_read_only_client_delivers_nothing_and_writes_nothing(base, far, opened):
    """Looking at runs must not post them."""
    base.write_runs("r1")

    delivery = opened(base.context(is_read_only=True))
    delivery.wake()

    assert delivery.flush(1)
    delivery.forked(base.context(is_read_only=True))
    delivery.close(1)
    assert ([], {}) == (far.taken, delivery.health())
    assert not base.state.exists()


def test_waking_costs_next_to_nothing(base, far, opened):
    """While the API is down the caller pays a look at the clock, not a thread that wakes up, tries and fails."""
    delivery = opened(policy=RetryPolicy((60,), cap_s=60))
    far.fault = Retryable("down")
    end(base, delivery, "r1")
    delivery.flush(0.5)
    run = base.run("r2")
    tries = far.tries

    best = min(_cost_us(lambda: delivery.take(run)) for _ in range(5))

    # 0.6 us here; the bound leaves room for a machine that measures coverage, and none for starting a thread.
    assert best < 30
    assert tries == far.tries


def _cost_us(act, times=2000):
    started = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - started) / times * 1e6


def test_a_delivery_with_nothing_to_do_has_no_thread(base, opened):
    """An idle process is as it was without us."""
    delivery = opened()
    delivery.flush(60)

    assert until(lambda: not [thread.name for thread in threading.enumerate() if "delivery-hq" in thread.name])


def test_without_a_shared_journal_it_keeps_one_of_its_own(base, far, opened):
    """Records are on disk before the hook returns, and complete ends that another process wrote."""
    context = base.context(journal_dir=None)
    far.fault = Retryable("down")
    delivery = opened(context)

    delivery.take(base.run("r1", status="running", end_time=None))
    delivery.take(MetricsUpdate("r1", "t", {"a": 1}, {}, "w1", 90))
    delivery.take(base.run("r1"))

    (file,) = journal_files(base.state / "hq")
    assert 3 == len(list(read_records(file)))
    delivery.close(1)
    far.fault = None
    assert opened(context, wants=lambda record: not record.is_running).flush(60)
    assert ["r1"] == far.taken


def test_what_was_kept_alone_is_delivered_when_there_is_a_shared_journal(base, far, opened):
    """Changing the configuration in between loses nothing."""
    far.fault = Retryable("down")
    alone = opened(base.context(journal_dir=None))
    alone.take(base.run("r1"))
    alone.close(1)
    far.fault = None

    both = opened()
    end(base, both, "r2")

    assert both.flush(60)
    assert {"r1", "r2"} == set(far.taken)


def test_two_clients_of_one_process_deliver_each_run_once(base, far, opened):
    """They share the base directory; one leads, the other waits for it."""
    one, two = opened(), opened()
    for number in range(10):
        end(base, one if number % 2 else two, f"r{number}")

    assert one.flush(60)
    assert two.flush(60)
    assert [f"r{number}" for number in range(10)] == far.taken


def test_many_threads_may_flush_at_once(base, far, opened):
    """Each gets its answer."""
    delivery = opened()
    answers = []

    def work(number):
        end(base, delivery, f"r{number}")
        answers.append(delivery.flush(60))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [True] * 8 == answers
    assert {f"r{number}" for number in range(8)} == set(far.taken)
    assert 8 == len(far.taken)


def test_a_refused_run_does_not_make_a_flush_fail(base, far, opened):
    """It is settled: it lies in the dead letters."""
    delivery = opened()
    far.fault = Refused("422")
    end(base, delivery, "r1")

    assert delivery.flush(60)
    assert 1 == delivery.health()["refused"]
    assert ["r1"] == [letter.record.run_id for letter in delivery.open_outbox(base.context()).dead_letters()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("has_journal", [True, False])
def test_runs_of_a_forked_child_and_of_its_parent_arrive_once_each(base, tmp_path, has_journal):
    """Either may deliver what the other wrote; neither repeats it. The child has a thread and a lock of its own."""
    taken = tmp_path / "taken"
    context = base.context() if has_journal else base.context(journal_dir=None)

    def deliver(batch):
        with taken.open("a") as stream:
            stream.writelines(f"{item.record.run_id}\n" for item in batch)

    delivery = Delivery(deliver, policy=QUICK)
    delivery.open(context)
    end(base, delivery, "r1")
    assert delivery.flush(60)

    pid = os.fork()
    if pid == 0:
        base.writer = "w2"
        delivery.forked(context)
        end(base, delivery, "r2")
        is_done = delivery.flush(60)
        delivery.close(1)
        os._exit(0 if is_done else 1)
    _, status = os.waitpid(pid, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    end(base, delivery, "r3")
    assert delivery.flush(60)
    delivery.close(1)
    assert "r1\nr2\nr3\n" == taken.read_text()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # the other thread is the agent's own
def test_a_fork_while_another_thread_writes_leaves_no_lock_behind(base, far, opened):
    """The child's own journal begins anew: a lock that the other thread held would never be released there."""
    context = base.context(journal_dir=None)
    delivery = opened(context)
    is_over = threading.Event()

    def write():
        while not is_over.is_set():
            delivery.take(base.run("parent"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        codes = [_exit_code_of_a_writing_child(base, delivery, context) for _ in range(20)]
    finally:
        is_over.set()
        writer.join()

    assert [0] * 20 == codes


def _exit_code_of_a_writing_child(base, delivery, context):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)  # ends a child that hangs
        delivery.forked(context)
        delivery.take(base.run("child"))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # the parent's thread hangs on purpose
def test_a_forked_child_ends_promptly_while_its_parent_hangs(base, far, opened):
    """The parent leads and waits for the other side; its child leaves its runs to it and goes."""
    delivery = opened()
    far.gate.clear()
    end(base, delivery, "r1")
    assert until(lambda: far.tries)

    pid = os.fork()
    if pid == 0:
        base.writer = "w2"
        delivery.forked(base.context())
        end(base, delivery, "r2")
        delivery_module._LONGEST_CLOSE_S = 60
        started = time.monotonic()
        delivery.close(60)
        os._exit(0 if time.monotonic() - started < 15 else 1)
    _, status = os.waitpid(pid, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    far.gate.set()
    assert delivery.flush(60)
    assert ["r1", "r2"] == far.taken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_a_fork_during_an_outage_leaves_the_parent_delivering(base, far, opened):
    """The thread is stopped before the fork, so Python 3.12 and later do not warn, and started again after it."""
    delivery = opened()
    far.fault = Retryable("down")
    end(base, delivery, "r1")
    delivery.flush(0.05)

    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    far.fault = None

    assert delivery.flush(60)
    assert ["r1"] == far.taken


def test_a_state_directory_that_cannot_be_made_is_told_and_tried_again(base, far, opened):
    """open() raises, so the bus counts it; the runs arrive when the place is mended."""
    base.path.mkdir()
    base.state.write_text("in the way")
    delivery = Delivery(far.deliver, policy=QUICK)

    with pytest.raises(NotADirectoryError):
        delivery.open(base.context())
    end(base, delivery, "r1")
    base.state.unlink()

    assert delivery.flush(60)
    assert ["r1"] == far.taken
    delivery.close(1)


def test_the_library_of_the_other_side_is_not_imported_by_the_delivery():
    """requests takes longer to import than all of us; only the sink's own deliver() does it."""
    import subprocess

    program = "import sys, telemetry.sinks.api; print({'requests', 'urllib3'} & set(sys.modules))"

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert "set()" == told.strip()


def test_a_sink_may_keep_to_itself_what_it_took(base, opened, far):
    """Without reports the bus hears of nothing, taken or refused, and the delivery goes on all the same."""
    heard = []
    delivery = opened(base.context(report=heard.append), reports=False)
    end(base, delivery, "r1")
    assert delivery.flush(60)
    far.fault = Refused("no")
    end(base, delivery, "r2")
    assert delivery.flush(60)

    assert [] == heard
    assert (1, 1) == (delivery.health()["posted"], delivery.health()["refused"])
    assert not delivery.open_outbox(base.context()).reports


def test_an_end_may_come_as_it_stands(base):
    """A sink that folds by itself is not given the start's fields again in the end that another process wrote."""
    got = []
    start = base.run("r1", status="running", job_type="crawl", end_time=None, duration_ms=None)
    foreign = base.run("r1", job_type=None, agent_name="unknown", trigger_type="manual")
    for completes in (True, False):
        delivery = Delivery(
            lambda batch: got.extend(item.record.job_type for item in batch if not item.record.is_running),
            is_backfill=True,
            completes=completes,
        )
        if completes:
            base.write(start, foreign)
        delivery.open(base.context(sink_name=f"hq{completes}"))
        assert delivery.flush(60)
        delivery.close(1)

    assert ["crawl", None] == got


def test_a_sink_hears_that_nothing_is_left(base, opened, far, monkeypatch):
    """Some seconds after the last delivery, once, in the delivery's thread: not between one batch and the next."""
    monkeypatch.setattr("telemetry.sinks.delivery.pump._LINGER_S", 0.2)
    idle = []
    delivery = opened(on_idle=lambda: idle.append((threading.current_thread(), time.monotonic())))
    end(base, delivery, "r1")
    assert delivery.flush(60)

    assert until(lambda: idle)
    [(thread, at)] = idle
    assert at - far.tried_at >= 0.2
    assert threading.main_thread() is not thread
