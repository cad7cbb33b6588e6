"""The same thing is said at most once a minute, and what was held back is counted."""

import logging

import pytest
from attrs import define

from telemetry.plugins.complaints import PAUSE_S, Complaints

LOG = logging.getLogger("telemetry.test")


@define
class FakeClock:
    """Seconds that the test moves."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still until it is moved."""
    return FakeClock()


def test_the_same_complaint_is_logged_once_a_minute(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """Within a minute it is held back; then it is said again, with the number of those held back."""
    complaints = Complaints(LOG, clock)

    said = [complaints.say("disk", "disk is %d %% full", 99)]
    clock.now_s += PAUSE_S - 0.1
    said += [complaints.say("disk", "disk is %d %% full", 99) for _ in range(3)]
    clock.now_s += 0.1
    said += [complaints.say("disk", "disk is %d %% full", 100)]

    assert [True, False, False, False, True] == said
    assert ["disk is 99 % full", "disk is 100 % full (3 more like this in the last minute)"] == caplog.messages


def test_different_complaints_do_not_hold_each_other_back(caplog: pytest.LogCaptureFixture) -> None:
    """The key says what counts as the same."""
    complaints = Complaints(LOG)

    complaints.say("a", "first")
    complaints.say("b", "second")

    assert ["first", "second"] == caplog.messages


def test_a_complaint_is_a_warning_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    """A log handler that writes JSON gets the facts by name."""
    Complaints(LOG).say("a", "sink %s failed", "db", sink="db")

    (record,) = caplog.records
    assert (logging.WARNING, "telemetry.test", "db") == (record.levelno, record.name, record.__dict__["sink"])


def test_keys_without_end_do_not_fill_the_memory(clock: FakeClock) -> None:
    """A key may hold a name that an agent made up."""
    complaints = Complaints(LOG, clock)

    for number in range(5_000):
        complaints.say(f"run {number}", "gone")

    assert len(complaints._said) <= 1_000


def test_a_handler_that_complains_itself_is_no_endless_loop() -> None:
    """A log handler may send warnings to the same client that has just warned."""
    complaints, said = Complaints(LOG), []

    class Echo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(complaints.say("a", "again"))

    echo = Echo()
    LOG.addHandler(echo)
    try:
        said.append(complaints.say("a", "first"))
    finally:
        LOG.removeHandler(echo)

    assert [False, True] == said
