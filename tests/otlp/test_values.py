"""Whatever an agent records, OTLP carries it: nothing is dropped by the encoder, nothing refused by a decoder."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.util import BoundedList
from otlp_server import faults_in, tellings, value_of

from telemetry.plugins import RunEvent, RunRecord
from telemetry.sinks.otlp.kin import Kin
from telemetry.sinks.otlp.logs import Origin, log_of_event, log_of_start
from telemetry.sinks.otlp.resources import Resources
from telemetry.sinks.otlp.spans import span_event, span_of
from telemetry.sinks.otlp.values import as_attributes, as_body, nanoseconds

texts = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud800", "Zürich 🚀", "\x00", "x" * 5000])
names = texts.filter(bool)
plain = st.none() | st.booleans() | st.integers() | st.floats() | texts
payloads = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))


def origin():
    """Return where the records of these tests belong."""
    return Origin("root", Resources({}).of_kin(Kin("a")), "key")


def decoded(message, kind):
    """Return *message* as a server reads it; what it would complain of fails the test."""
    read = kind()
    read.ParseFromString(message.SerializeToString())
    assert [] == faults_in(read)
    return tellings(read)


@settings(max_examples=150)
@given(payloads, names, names)
def test_any_event_is_carried(payload, event_type, run_id):
    """Every key of the payload arrives, in the body and in an event of a span."""
    event = RunEvent(run_id, event_type, "2026-11-23T10:00:00Z", payload)

    [log] = decoded(encode_logs([log_of_event(event, origin())]), ExportLogsServiceRequest)
    in_span = span_event(event, 5)

    assert as_body(payload) == value_of(log.told.body) or payload != payload or "nan" in repr(payload)
    assert (payload is not None) == ("local_telemetry.payload" in in_span.attributes)


@settings(max_examples=150)
@given(st.dictionaries(texts, payloads, max_size=5), names, names | st.none(), st.sampled_from(["success", "failed"]))
def test_any_run_is_carried(metrics, agent, error, status):
    """No attribute is lost on the way through the encoder, which drops what it cannot encode and goes on."""
    run = RunRecord(
        run_id="r",
        agent_name=agent,
        start_time="2026-11-23T10:00:00Z",
        status=status,
        metrics=metrics,
        attributes=metrics,
        error_summary=error,
    )

    events = BoundedList(128)
    events.append(span_event(RunEvent("r", "e", "now", metrics), 5))
    span = span_of(run, "parent", origin(), events)
    [told] = decoded(encode_spans([span]), ExportTraceServiceRequest)
    decoded(encode_logs([log_of_start(run, origin())]), ExportLogsServiceRequest)

    assert set(span.attributes) == set(told.attributes)


@pytest.mark.parametrize("levels", [5, 16, 17, 90, 400])
def test_depth_has_an_end(levels):
    """Decoders stop at a hundred messages inside each other; what is deeper arrives as JSON text."""
    payload = bottom = {}
    for _ in range(levels):
        bottom["a"] = bottom = {}

    [log] = decoded(encode_logs([log_of_event(RunEvent("r", "e", "now", payload), origin())]), ExportLogsServiceRequest)

    body, depth = value_of(log.told.body), 0
    while isinstance(body, dict) and body:
        body, depth = body["a"], depth + 1
    if isinstance(body, str):
        assert levels - 16 == json.dumps(json.loads(body)).count("a")
    assert min(levels, 16) == depth


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        ([1, 2], [1, 2]),
        ([1, 2**64], ["1", str(2**64)]),
        ([1, "a"], '[1,"a"]'),
        ([True, False], [True, False]),
        ([], "[]"),
        ({"a": 1}, '{"a":1}'),
        ("\ud800", "\\ud800"),
    ],
)
def test_an_attribute_is_plain_or_a_list_of_one_type(given, told):
    """All else is JSON text: few backends take more."""
    assert {"n": told} == as_attributes({"n": given, "nothing": None})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1970-01-01T00:00:00.000001Z", 1000),
        ("2026-11-23T10:00:00.123456+01:00", 1795424400123456000),
        ("1969-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_time_is_told_to_the_microsecond(text, told):
    """None for one that OTLP cannot tell."""
    assert told == nanoseconds(text)
