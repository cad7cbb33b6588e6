"""Log records inside a run become its events."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator

import pytest

from telemetry import RunLogHandler, TelemetryClient, hookimpl
from telemetry.plugins.records import RunEvent
from telemetry.sinks.memory import MemorySink


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger of an agent that records from INFO upwards."""
    logger = logging.getLogger("agent.of.this.test")
    handler = RunLogHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.removeHandler(handler)


def _logged(sink: MemorySink) -> list[RunEvent]:
    return [event for event in sink.events if event.event_type == "log"]


def test_a_log_record_inside_a_run_becomes_its_event(log):
    """Level, logger, message, place and extra are in the payload."""
    sink = MemorySink()

    with TelemetryClient(sinks={"memory": sink}).track_run("agent", "job") as run:
        log.warning("page %d is empty", 7, extra={"url": "a.example"})

    (event,) = _logged(sink)
    assert run.run_id == event.run_id
    assert {
        "level": "WARNING",
        "logger": "agent.of.this.test",
        "message": "page 7 is empty",
        "file": "test_log_handler.py",
        "url": "a.example",
    } == {name: value for name, value in event.payload.items() if name != "line"}


def test_an_error_comes_with_its_traceback(log):
    """log.exception() keeps the traceback in the event."""
    sink = MemorySink()

    with TelemetryClient(sinks={"memory": sink}).track_run("agent", "job"):
        try:
            raise KeyError("missing")
        except KeyError:
            log.exception("cannot go on")

    (event,) = _logged(sink)
    assert event.payload["error"].endswith("KeyError: 'missing'")


def test_what_is_outside_or_too_low_is_left_out(log):
    """No run, a level below, or a logger of the platform: no event."""
    sink = MemorySink()
    client = TelemetryClient(sinks={"memory": sink})
    handler = log.handlers[0]

    log.error("outside")
    with client.track_run("agent", "job"):
        log.debug("too low")
        handler.handle(logging.makeLogRecord({"name": "telemetry.bus", "levelno": 40, "msg": "ours"}))

    assert [] == _logged(sink)


def test_arguments_that_do_not_fit_are_kept(log, capsys):
    """A wrong format string costs neither the record nor a traceback on standard error."""
    sink = MemorySink()

    with TelemetryClient(sinks={"memory": sink}).track_run("agent", "job"):
        # Straight to the handler, since pytest's own one raises here.
        record = logging.LogRecord("agent", logging.INFO, "agent.py", 1, "%d pages", ("many",), None)
        log.handlers[0].handle(record)

    (event,) = _logged(sink)
    assert "%d pages ('many',)" == event.payload["message"]
    assert "" == capsys.readouterr().err


def test_what_logs_meanwhile_is_not_held(log):
    """
    No lock of `logging` is held while an event is recorded.

    Whoever waits for that lock may be the one for whom the recording waits: a signal handler that logs inside a sync.
    """
    ended: list[bool] = []

    class Waits:
        runs_inline = True

        @hookimpl
        def telemetry_event_logged(self, event: RunEvent) -> None:
            other = threading.Thread(target=log.warning, args=("outside of the run",), daemon=True)
            other.start()
            other.join(30)
            ended.append(not other.is_alive())

    with TelemetryClient(sinks={"waits": Waits()}).track_run("agent", "job"):
        log.warning("inside")

    assert [True] == ended


def test_a_filter_counts(log):
    """Filters of the handler leave records out, or put others in their place, as logging says."""
    sink = MemorySink()

    def shouted(record: logging.LogRecord) -> bool | logging.LogRecord:
        if record.msg == "one":
            return False
        louder = logging.makeLogRecord(vars(record))
        louder.msg = "TWO"
        return louder

    log.handlers[0].addFilter(shouted)
    with TelemetryClient(sinks={"memory": sink}).track_run("agent", "job"):
        log.warning("one")
        log.warning("two")

    expected = ["TWO"] if sys.version_info >= (3, 12) else ["two"]  # before, a filter could only leave out
    assert expected == [event.payload["message"] for event in _logged(sink)]
