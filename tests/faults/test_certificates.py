"""A server whose certificate nobody vouches for gets nothing, and costs nothing but time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from loopback import Loopback, lent

from telemetry import TelemetryClient, TelemetryConfig
from telemetry.core.cli.main import run

SINKS = {"api": ("url", "ca", 1), "otlp": ("endpoint", "certificate", 2)}
"""Of each sink the option for the address, the one for the authorities, and the records that a run is for it."""


@pytest.fixture
def server(certificates: Certificates) -> Iterator[Loopback]:
    """Return a server that takes everything, over TLS alone."""
    with lent(Loopback) as start:
        yield start(tls=certificates.of_server())


@pytest.fixture(params=SINKS)
def set_up(request: pytest.FixtureRequest, server: Loopback, certificates: Certificates, tmp_path: Path) -> Any:
    """Return a function that writes the file of a set-up which trusts one authority, and returns its configuration."""
    if request.param == "otlp":
        pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")
    address, authorities, _ = SINKS[request.param]

    def set_up(trusted: str) -> TelemetryConfig:
        options = f'{address} = "{server.origin}"\n{authorities} = "{certificates / trusted}"\n'
        options += "retry = { delays_s = [600] }\n"  # flush() returns after the first try
        sinks = f'[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "{request.param}"\n{options}'
        file = tmp_path / "telemetry.toml"
        file.write_text(f'base_dir = "{tmp_path / "base"}"\n{sinks}')
        return TelemetryConfig.load(file)

    set_up.authorities, set_up.records = SINKS[request.param][1:]  # type: ignore[attr-defined]
    return set_up


@pytest.fixture
def said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs the command and returns all that it says."""

    def said(*words: str) -> str:
        run(["--config", str(tmp_path / "telemetry.toml"), *words])
        return "".join(capfd.readouterr())

    return said


def test_what_waits_for_a_certificate_is_delivered_when_it_is_trusted(
    set_up: Any, said: Callable[..., str], server: Loopback
):
    """Nothing is given up, every command that tells of it names the option, and the next process delivers all."""
    with TelemetryClient(set_up("another.pem")) as client:
        client.end_run(client.start_run("crawler", "nightly"))
        assert not client.flush(60)

    [status] = json.loads(said("outbox", "status", "--json"))
    assert (set_up.records, 0) == (status["pending"], status["dead"])
    for words in (["outbox", "status", "--json"], ["sinks", "--json"], ["doctor", "--json"]):
        told = said(*words)
        assert "certificate verify failed" in told
        assert f"set {set_up.authorities} to a file" in told
    assert [] == server.requests

    set_up("ca.pem")
    assert "hq: all delivered" in said("outbox", "flush")
    assert set_up.records == len(server.taken)
    assert 0 == json.loads(said("outbox", "status", "--json"))[0]["dead"]
