"""Prove that TLS is what was asked for: nothing goes to a server that is not trusted, and nothing is lost by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is installed in the tox environment `coverage`")

from certificates import Certificates
from postgres_server import Server
from tls_proxy import TlsProxy

from telemetry import TelemetryClient, TelemetryConfig
from telemetry.core.cli.main import run
from telemetry.plugins import RunRecord

Runs = Callable[..., RunRecord]
Rows = Callable[..., list[Any]]


VARIABLES = ("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing count that stands in the environment of whoever runs the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stored(rows: Rows) -> Rows:
    """Return `rows`, which reads around the server with TLS, for tests that set variables."""

    def stored() -> list[Any]:
        with pytest.MonkeyPatch.context() as patch:
            for name in VARIABLES:
                patch.delenv(name, raising=False)
            return rows()

    return stored


WAYS = ["query", "connect", "environment"]


@pytest.fixture(params=WAYS)
def told(request: pytest.FixtureRequest, secure_url: str) -> Iterator[Callable[..., Any]]:
    """Return a function that gives parameters of TLS in one of the ways of the page, and returns the options."""

    def told(**parameters: str) -> dict[str, Any]:
        if request.param == "environment":
            for name, value in parameters.items():
                patch.setenv(f"PG{name.upper()}", value)
            return {"url": secure_url}
        if request.param == "connect":
            return {"url": secure_url, "connect": parameters}
        return {"url": "&".join([secure_url, *(f"{name}={value}" for name, value in parameters.items())])}

    with pytest.MonkeyPatch.context() as patch:
        yield told


def test_a_server_that_is_known_is_delivered_to(
    told: Callable[..., Any], secure: TlsProxy, certificates: Certificates, new_host: Any, a_run: Runs, stored: Rows
):
    """By verify-full and the right root, however that is said."""
    host = new_host(**told(sslmode="verify-full", sslrootcert=str(certificates / "ca.pem")))

    assert host.deliver(a_run())
    assert [("r1", "running")] == stored()
    assert secure.secured > 0


def test_a_server_that_is_not_known_gets_nothing(
    told: Callable[..., Any], secure: TlsProxy, certificates: Certificates, new_host: Any, a_run: Runs, stored: Rows
):
    """The fault says what to set; when that is set, all of it is delivered."""
    host = new_host(**told(sslmode="verify-full", sslrootcert=str(certificates / "another.pem")))
    host.write(a_run("r1"))

    assert "set sslrootcert" in host.refusal().partition("certificate verify failed")[2]
    assert 0 == secure.secured

    host.options |= told(sslmode="verify-full", sslrootcert=str(certificates / "ca.pem"))
    assert host.deliver(a_run("r2", seq=2))
    assert [("r1", "running"), ("r2", "running")] == stored()


CURES = {
    "no root": ({"sslmode": "verify-full"}, "root.crt", "sslrootcert"),
    "another name": ({"sslmode": "verify-full", "sslrootcert": "ca", "host": "localhost"}, "localhost", "hostaddr"),
    "a wrong word": ({"sslmode": "verify_full"}, "verify_full", "sslmode"),
}


@pytest.mark.parametrize(("given", "what", "cure"), CURES.values(), ids=CURES)
def test_each_refusal_says_what_to_do(
    given: dict[str, str], what: str, cure: str, secure_url: str, certificates: Certificates, new_host: Any, a_run: Runs
):
    """Named is what was found, and the parameter that mends it."""
    given = {name: str(certificates / f"{value}.pem") if value == "ca" else value for name, value in given.items()}
    host = new_host(url=secure_url, connect=given)
    host.write(a_run())

    fault = host.refusal()

    assert what in fault
    assert cure in fault


def test_a_server_without_tls_is_refused_where_it_is_required(url: str, server: Server, new_host: Any, a_run: Runs):
    """Not one byte of a record goes there in the clear."""
    host = new_host(url=f"{url}&sslmode=require")
    host.write(a_run())

    assert "set ssl = on" in host.refusal().partition("does not support SSL")[2]


def test_a_server_may_ask_for_our_certificate(
    url: str, server: Server, certificates: Certificates, new_host: Any, a_run: Runs, rows: Rows
):
    """Without one the fault names the parameters; with it all is delivered."""
    connect = {"sslmode": "verify-full", "sslrootcert": str(certificates / "ca.pem")}
    ours = {"sslcert": str(certificates / "client.pem"), "sslkey": str(certificates / "client.key")}
    with TlsProxy(server.port, certificates.of_server(asks=True)) as asking:
        host = new_host(url=url.replace(f":{server.port}/", f":{asking.port}/"), connect=connect)
        host.write(a_run())

        assert "set sslcert" in host.refusal().partition("certificate required")[2]
        assert 0 == asking.secured

        host.options["connect"] = {**connect, **ours}
        assert host.deliver()
    assert [("r1", "running")] == rows()


def test_the_command_line_over_tls(
    secure_url: str, certificates: Certificates, new_host: Any, a_run: Runs, tmp_path: Path, capfd: Any
):
    """A set-up with a wrong root keeps its records and says why; mended, it delivers them, and a reader finds them."""
    file = tmp_path / "telemetry.toml"

    def set_up(root: str) -> TelemetryConfig:
        connect = f'connect = {{ sslmode = "verify-full", sslrootcert = "{certificates / root}" }}'
        retry = "retry = { delays_s = [600] }"  # flush() returns after the first try
        sinks = (
            f'[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "postgres"\nurl = "{secure_url}"\n{connect}\n{retry}\n'
        )
        file.write_text(f'base_dir = "{tmp_path / "base"}"\n{sinks}')
        return TelemetryConfig.load(file)

    def said(*words: str) -> str:
        run(["--config", str(file), *words])
        return "".join(capfd.readouterr())

    with TelemetryClient(set_up("another.pem")) as client:
        client.end_run(client.start_run("crawler", "nightly"))
        assert not client.flush(60)
    [status] = json.loads(said("outbox", "status", "--json"))
    assert (2, 0) == (status["pending"], status["dead"])
    for words in (["outbox", "status", "--json"], ["sinks", "--json"], ["doctor", "--json"]):
        text = said(*words)
        assert "certificate verify failed" in text
        assert "set sslrootcert" in text

    set_up("ca.pem")
    assert "hq: all delivered" in said("outbox", "flush")
    root = f"&sslmode=verify-full&sslrootcert={certificates.folder}"
    assert "crawler" in said("--store", f"{secure_url}{root}/ca.pem", "runs")
    refused = said("--store", f"{secure_url}{root}/another.pem", "runs")
    assert "crawler" not in refused
    assert "set sslrootcert" in refused
