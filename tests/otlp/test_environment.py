"""What OpenTelemetry's own variables say holds: endpoint, headers, timeout, compression, certificates."""

import netrc
import time

import pytest
import requests
from patience import until

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")

from loopback import lent
from otlp_server import Backend

from telemetry import TelemetryConfig
from telemetry.core.config.checking import check
from telemetry.sinks.otlp.sink import OtlpSink


def one_run(client):
    """Record a run and its event."""
    with client.track_run("crawler", "nightly") as run:
        run.log_event("page", {"text": "x" * 2000})
    return run.run_id


@pytest.fixture
def other():
    """A second backend."""
    with lent(Backend) as start:
        yield start()


def test_the_endpoint_of_the_environment(open_client, backend, monkeypatch):
    """The base URL gets the path of each signal."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{backend.url}/base/")
    client = open_client()
    one_run(client)

    assert client.flush(60)
    assert {"/base/v1/logs", "/base/v1/traces"} == {request.path for request in backend.requests}


def test_each_signal_may_have_its_own(open_client, backend, other, monkeypatch):
    """The variable of a signal is used as it is, and goes before the general one."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{other.url}/elsewhere/v1/logs")
    client = open_client()
    one_run(client)

    assert client.flush(60)
    assert {"/v1/traces"} == {request.path for request in backend.requests}
    assert {"/elsewhere/v1/logs"} == {request.path for request in other.requests}


def test_an_option_goes_before_the_environment(open_client, backend, other, monkeypatch):
    """What is written in our own configuration was meant for this sink."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", other.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-from=environment")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    client = open_client(endpoint=backend.url, headers={"x-from": "option"}, compression="none")
    one_run(client)

    assert client.flush(60)
    assert [] == other.requests
    assert {("option", None)} == {(r.headers["x-from"], r.headers.get("content-encoding")) for r in backend.requests}


def test_headers_of_the_environment(open_client, backend, monkeypatch):
    """Url-encoded, for all signals or for one."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20tok-3f9a,x-team=a")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-team=b")
    client = open_client(endpoint=backend.url)
    one_run(client)

    assert client.flush(60)
    told = {r.is_logs: (r.headers.get("authorization"), r.headers["x-team"]) for r in backend.requests}
    assert {True: ("Bearer tok-3f9a", "a"), False: (None, "b")} == told


def test_a_netrc_replaces_no_header(open_client, backend, monkeypatch, isolated_environment):
    """requests would put the user's password for that host in the place of the token."""
    path = isolated_environment / ".netrc"
    path.write_text("machine 127.0.0.1 login me password hunter2\n")
    path.chmod(0o600)
    assert netrc.netrc(str(path)).authenticators("127.0.0.1")
    monkeypatch.setenv("NETRC", str(path))
    client = open_client(endpoint=backend.url, headers={"Authorization": "Bearer tok-3f9a"})
    one_run(client)

    assert client.flush(60)
    assert {"Bearer tok-3f9a"} == {request.headers["authorization"] for request in backend.requests}


@pytest.mark.parametrize(("protocol", "warnings"), [("grpc", 1), ("http/json", 1), ("http/protobuf", 0), ("", 0)])
def test_another_protocol_is_warned_of(open_client, backend, monkeypatch, caplog, protocol, warnings):
    """Only http/protobuf is spoken; the warning names the variable, and the delivery goes on."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    client = open_client(endpoint=backend.url)
    one_run(client)

    assert client.flush(60)
    assert warnings == caplog.text.count("OTEL_EXPORTER_OTLP_PROTOCOL is ")


@pytest.mark.parametrize("signals", [("TRACES",), ("LOGS",), ("TRACES", "LOGS")])
@pytest.mark.parametrize(("general", "own"), [("grpc", "http/protobuf"), ("http/protobuf", "grpc")])
def test_the_protocol_of_a_signal_counts_before_the_general_one(
    open_client, backend, monkeypatch, caplog, signals, general, own
):
    """Warned of is what is in force: the general one where a signal has none of its own."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", general)
    for signal in signals:
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", own)
    client = open_client(endpoint=backend.url)
    one_run(client)

    assert client.flush(60)
    warned = {name for name in ("TRACES_", "LOGS_", "") if f"OTEL_EXPORTER_OTLP_{name}PROTOCOL is " in caplog.text}
    of_signals = {f"{signal}_" for signal in signals}
    assert (of_signals if own == "grpc" else {""} if len(signals) == 1 else set()) == warned


@pytest.mark.parametrize(
    ("options", "warned"), [({}, 2), ({"logs": False}, 1), ({"traces": False}, 1), ({"protocol": "http/protobuf"}, 0)]
)
def test_check_tells_of_the_protocol_too(monkeypatch, tmp_path, options, warned):
    """Before an agent meets it, for the signals that are sent; it is no fault, for the delivery may well succeed."""
    protocol = options.pop("protocol", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", protocol)
    path = tmp_path / "telemetry.toml"
    lines = [f"{name} = {str(value).lower()}" for name, value in options.items()]
    path.write_text("\n".join(['[sinks.raw]\ntype = "ndjson"\n[sinks.hq]\ntype = "otlp"', *lines]))

    checked = check(TelemetryConfig.load(path))

    assert () == checked.faults
    assert warned == len([text for text in checked.warnings if "http/protobuf" in text and "sinks.hq (in" in text])
    assert warned == len(checked.warnings)


ENDPOINTS = {
    "gRPC's port": ({"endpoint": "http://h:4317"}, {}, ["endpoint names port 4317"]),
    "gRPC's port in a variable": (
        {},
        {"TRACES_ENDPOINT": "http://h:4317/v1/traces"},
        ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names port 4317"],
    ),
    "a path": ({"endpoint": "https://h/v1/traces/"}, {}, ["endpoint ends in '/v1/traces'"]),
    "a path in a variable": ({}, {"ENDPOINT": "https://h/v1/logs"}, ["OTEL_EXPORTER_OTLP_ENDPOINT ends in '/v1/logs'"]),
    "none": ({"endpoint": "https://h/otlp"}, {"ENDPOINT": "http://h:4317"}, []),
    "no port": ({}, {"ENDPOINT": "http://h:x"}, []),
}


@pytest.mark.parametrize(("options", "variables", "told"), ENDPOINTS.values(), ids=ENDPOINTS)
def test_check_tells_of_an_endpoint_that_is_not_one_for_posts(monkeypatch, options, variables, told):
    """The two that are written most often; what comes of them is a broken connection, or a 404."""
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)

    doubts = OtlpSink.check_options(OtlpSink.Options(**options))

    assert told == [doubt[: len(begin)] for doubt, begin in zip(doubts, told, strict=True)]


@pytest.mark.parametrize("how", ["gzip", "deflate"])
@pytest.mark.parametrize("where", ["environment", "option"])
def test_compression(open_client, backend, monkeypatch, how, where):
    """The same records in fewer bytes."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", how if where == "environment" else "none")
    client = open_client(endpoint=backend.url, **({"compression": how} if where == "option" else {}))
    one_run(client)

    assert client.flush(60)
    assert {how} == {request.headers["content-encoding"] for request in backend.requests}
    assert len(backend.requests[0].body) < 1500
    assert ["page"] == [log.told.event_name for log in backend.logs][1:]


def test_the_timeout_of_the_environment(open_client, backend, monkeypatch):
    """In seconds, as OpenTelemetry for Python reads it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    backend.script = [backend.hang]
    client = open_client(endpoint=backend.url)
    began = time.monotonic()
    one_run(client)

    assert client.flush(60)
    assert time.monotonic() - began < 9  # else 10 s, which are the default


def test_a_proxy_of_the_environment_is_used(open_client, backend, monkeypatch):
    """The request goes to the proxy, with the whole address."""
    monkeypatch.setenv("http_proxy", backend.url)
    client = open_client(endpoint="http://collector.example:4318")
    one_run(client)

    assert client.flush(60)
    assert "http://collector.example:4318/v1/logs" == backend.requests[0].path


@pytest.fixture
def secure(certificates):
    """Return a function that starts a backend with a certificate that nobody knows; it may ask the client for one."""
    with lent(lambda *, asks=False: Backend(tls=certificates.of_server(asks=asks))) as start:
        yield start


@pytest.mark.parametrize("where", ["environment", "option"])
def test_tls_with_an_authority_of_ones_own(open_client, secure, certificates, monkeypatch, where):
    """OTEL_EXPORTER_OTLP_CERTIFICATE, or the option."""
    backend, bundle = secure(), certificates / "ca.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", requests.certs.where())  # which is for other servers
    if where == "environment":
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(bundle))
    client = open_client(endpoint=backend.url, **({"certificate": bundle} if where == "option" else {}))
    one_run(client)

    assert client.flush(60)
    assert 1 == len(backend.spans)


def test_tls_that_nobody_vouches_for_is_not_used(open_client, secure):
    """What is recorded is kept, and the reason names the certificate."""
    backend = secure()
    client = open_client(endpoint=backend.url)
    one_run(client)

    assert until(lambda: client.status()["sinks"]["otlp"]["fault"])
    assert not client.flush(1)
    assert [] == backend.requests
    assert "certificate" in client.status()["sinks"]["otlp"]["fault"].lower()


@pytest.mark.parametrize("where", ["environment", "option"])
def test_a_backend_may_ask_for_our_certificate(open_client, secure, certificates, monkeypatch, where):
    """OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY, or the options."""
    backend = secure(asks=True)
    options = {
        "certificate": certificates / "ca.pem",
        "client_certificate": certificates / "client.pem",
        "client_key": certificates / "client.key",
    }
    if where == "environment":
        for name, path in options.items():
            monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name.upper()}", str(path))
        options = {}
    client = open_client(endpoint=backend.url, **options)
    one_run(client)

    assert client.flush(60)
    assert 1 == len(backend.spans)
