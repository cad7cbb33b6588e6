"""Give the otlp sink a strict backend, and agents that record for it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import lent_processes

from telemetry import TelemetryClient
from telemetry.plugins import RetryPolicy
from telemetry.sinks.ndjson import NdjsonSink

QUICK = RetryPolicy((0.01, 0.01), cap_s=0.02)


@pytest.fixture
def backend() -> Iterator[Any]:
    """A backend that takes everything unless it is told otherwise; what broke the protocol fails the test."""
    from loopback import lent
    from otlp_server import Backend

    with lent(Backend) as start:
        yield start()


@pytest.fixture
def open_client(tmp_path: Path) -> Iterator[Callable[..., TelemetryClient]]:
    """Return a function that opens a client with a journal and an otlp sink; what is open at the end is closed."""
    from telemetry.sinks.otlp.sink import OtlpSink

    opened: list[TelemetryClient] = []

    def open_one(*, base: Path | None = None, **options: Any) -> TelemetryClient:
        otlp = OtlpSink(OtlpSink.Options(**{"retry": QUICK, **options}))
        sinks = {"raw": NdjsonSink(NdjsonSink.Options(fsync="never")), "otlp": otlp}
        opened.append(TelemetryClient(sinks=sinks, metrics_dir=base or tmp_path / "base"))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close(1)


@pytest.fixture
def client(open_client: Callable[..., TelemetryClient], backend: Any) -> TelemetryClient:
    """A client whose otlp sink sends to the backend."""
    return open_client(endpoint=backend.url)


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python programs in processes of their own; what still runs at the end is killed."""
    with lent_processes() as processes:
        yield processes.start
