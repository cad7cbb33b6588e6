"""Offer fixtures to whoever runs pytest with us installed; whoever uses none pays for this file alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.client import TelemetryClient
    from ..plugins.records import RunRecord
    from ..sinks.memory import MemorySink
    from .clock import FrozenClock

# Nothing of ours is imported up here: pytest loads this file in every project of every user.
pytest.register_assert_rewrite("telemetry.testing.conformance")
_OURS = ("TELEMETRY_", "METRICS_API_", "AGENT_METRICS_", "AGENT_OWNER")


@pytest.fixture
def telemetry_memory() -> MemorySink:
    """Return a sink that keeps records in memory: `runs`, `events` and all `records`."""
    from ..sinks.memory import MemorySink

    return MemorySink()


@pytest.fixture
def telemetry_client(telemetry_memory: MemorySink, telemetry_home: Path) -> Iterator[TelemetryClient]:
    """
    Return a client that records into `telemetry_memory` and raises on input that it would mend elsewhere.

    While the test runs it is also the client behind `@track`.
    """
    from ..core.client import TelemetryClient
    from ..core.run import sharing

    with TelemetryClient(sinks={"memory": telemetry_memory}, strict=True) as client, sharing(client):
        yield client


@pytest.fixture
def telemetry_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Return a base directory for this test alone; clients that are built without arguments write there.

    Variables and files of whoever runs the test have no say, and nothing is posted.
    """
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("telemetry")
    (home / "telemetry.toml").touch()
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(home))
    monkeypatch.setenv("TELEMETRY_CONFIG", str(home / "telemetry.toml"))
    monkeypatch.setenv("TELEMETRY_TEST_MODE", "mock")
    return home


@pytest.fixture
def telemetry_clock() -> Iterator[FrozenClock]:
    """Return the clock of all records, stopped at 2026-01-01 00:00 UTC; `advance(seconds)` moves it."""
    from .clock import FrozenClock

    with FrozenClock() as clock:
        yield clock


@pytest.fixture
def assert_run(telemetry_memory: MemorySink) -> Callable[..., RunRecord]:
    """Return `telemetry.testing.assert_run` for what `telemetry_client` has recorded."""
    from .runs import assert_run as asserted

    def check(agent: str | None = None, job: str | None = None, **wanted: Any) -> RunRecord:
        return asserted(telemetry_memory, agent, job, **wanted)

    return check
