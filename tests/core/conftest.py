"""Lend the tests of the core a sink that remembers, a client on it, and the warnings that were given."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from telemetry import RunRecord, TelemetryClient, hookimpl
from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, RunEvent
from telemetry.plugins.complaints import Complaints


class RememberingSink:
    """Keep every record in the order in which it came; runs in the agent's thread."""

    runs_inline = True

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.contexts: list[Any] = []
        self.calls: list[str] = []

    @hookimpl
    def telemetry_open(self, context: Any) -> None:
        self.calls.append("open")
        self.contexts.append(context)

    @hookimpl
    def telemetry_run_started(self, run: RunRecord) -> None:
        self.records.append(run)

    @hookimpl
    def telemetry_event_logged(self, event: RunEvent) -> None:
        self.records.append(event)

    @hookimpl
    def telemetry_metrics_set(self, update: MetricsUpdate) -> None:
        self.records.append(update)

    @hookimpl
    def telemetry_run_ended(self, run: RunRecord) -> None:
        self.records.append(run)

    @hookimpl
    def telemetry_delivery_reported(self, report: DeliveryReport) -> None:
        self.records.append(report)

    @hookimpl
    def telemetry_commit_linked(self, commit: CommitLink) -> None:
        self.records.append(commit)

    @hookimpl
    def telemetry_flush(self, deadline_s: float) -> bool:
        self.calls.append("flush")
        return True

    @hookimpl
    def telemetry_forked(self, context: Any) -> None:
        self.records.clear()
        self.contexts.append(context)

    @hookimpl
    def telemetry_close(self, deadline_s: float) -> None:
        self.calls.append("close")

    def of(self, kind: type) -> list[Any]:
        """Return the records of one kind."""
        return [record for record in self.records if type(record) is kind]

    @property
    def runs(self) -> list[RunRecord]:
        """The starts and ends."""
        return self.of(RunRecord)

    @property
    def events(self) -> list[RunEvent]:
        """The events."""
        return self.of(RunEvent)

    @property
    def updates(self) -> list[MetricsUpdate]:
        """What `set_metrics()` set."""
        return self.of(MetricsUpdate)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test hear complaints that another test has heard within the same minute."""
    from telemetry.core import bus, shield

    for module in (bus, shield):
        if hasattr(module, "_complaints"):
            monkeypatch.setattr(module, "_complaints", Complaints(module._complaints._log))


@pytest.fixture
def remembering() -> Callable[[], RememberingSink]:
    """Return what makes a sink that remembers."""
    return RememberingSink


@pytest.fixture
def sink() -> RememberingSink:
    """Return the sink of `client`."""
    return RememberingSink()


@pytest.fixture
def build() -> Iterator[Callable[..., TelemetryClient]]:
    """Return what builds a client on the sinks given by name; it is closed behind the test."""
    clients: list[TelemetryClient] = []

    def built(config: Any = None, *, overrides: Any = None, **sinks: object) -> TelemetryClient:
        clients.append(TelemetryClient(config, sinks=sinks, **(overrides or {})))
        return clients[-1]

    yield built
    for client in clients:
        client.close()


@pytest.fixture
def client(sink: RememberingSink, build: Callable[..., TelemetryClient]) -> TelemetryClient:
    """Return a client whose only sink is `sink`."""
    return build(memory=sink)


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what returns the warnings that our loggers gave so far."""

    def warned() -> list[str]:
        ours = [record for record in caplog.records if record.name.startswith("telemetry")]
        return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]

    return warned


@pytest.fixture
def until() -> Callable[..., bool]:
    """Return what waits until a claim comes true, and tells whether it did."""

    def waited(claim: Callable[[], bool], limit_s: float = 60.0) -> bool:
        end = time.monotonic() + limit_s
        while not (is_true := claim()) and time.monotonic() < end:
            time.sleep(0.002)
        return is_true

    return waited


@pytest.fixture
def no_new_threads() -> Iterator[None]:
    """Check that the test leaves no thread of ours behind."""
    yield
    end = time.monotonic() + 60
    while (ours := _our_threads()) and time.monotonic() < end:
        time.sleep(0.01)
    assert [] == ours


def _our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("telemetry")]
