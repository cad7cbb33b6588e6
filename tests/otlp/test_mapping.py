"""Runs are spans, starts and events are log records, each under the names that backends know."""

import logging

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from otlp_server import tellings, value_of

from telemetry import TelemetryClient
from telemetry.core.log_handler import RunLogHandler
from telemetry.plugins import RetryPolicy, RunRecord
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.otlp.ids import span_id_of, trace_id_of
from telemetry.sinks.otlp.kin import Kin
from telemetry.sinks.otlp.logs import Origin
from telemetry.sinks.otlp.resources import Resources
from telemetry.sinks.otlp.sink import OtlpSink
from telemetry.sinks.otlp.spans import span_of
from telemetry.sinks.sqlite.sink import SqliteSink


def ids_of(telling):
    """Return trace and span id as numbers."""
    return int.from_bytes(telling.told.trace_id, "big"), int.from_bytes(telling.told.span_id, "big")


def test_a_run_is_a_span_with_ids_out_of_its_run_id(client, backend):
    """Whoever knows the run id can name trace and span, in every process and after every replay."""
    with client.track_run("crawler", "nightly", "scheduler", agent_owner="team-a", product="search") as run:
        run.set_metrics(items_succeeded=3, score=0.5, labels=["a", "b"], table={"x": [1, None]})
    assert client.flush(60)

    [span] = backend.spans
    record = client.get_run(run.run_id)
    assert ("nightly", b"", 1) == (span.told.name, span.told.parent_span_id, span.told.kind)
    assert (trace_id_of(run.run_id), span_id_of(run.run_id)) == ids_of(span)
    assert record.started_at.timestamp() == pytest.approx(span.told.start_time_unix_nano / 1e9, abs=1e-6)
    assert record.ended_at.timestamp() == pytest.approx(span.told.end_time_unix_nano / 1e9, abs=1e-6)
    assert {
        "gen_ai.agent.name": "crawler",
        "local_telemetry.run_id": run.run_id,
        "local_telemetry.job_type": "nightly",
        "local_telemetry.trigger_type": "scheduler",
        "local_telemetry.status": "success",
        "local_telemetry.duration_ms": record.duration_ms,
        "local_telemetry.items_succeeded": 3,
        "local_telemetry.product": "search",
        "local_telemetry.writer": record.writer,
        "local_telemetry.metrics.score": 0.5,
        "local_telemetry.metrics.labels": ["a", "b"],
        "local_telemetry.metrics.table": '{"x":[1,null]}',
    } == span.attributes
    assert {
        "service.name": "crawler",
        "service.namespace": "team-a",
        "host.name": record.host,
        "telemetry.sdk.name": "local-telemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": span.resource["telemetry.sdk.version"],
    } == span.resource


def test_the_ids_are_these():
    """Written down: a change of the rule would tear every trace that a backend has."""
    run_id = "20261123T100000Z-crawler-7d7850d0"

    assert "d22930348ffc4d850cb455af771d9bbc" == f"{trace_id_of(run_id):032x}"
    assert "e3ef3d20eb9ce7b4" == f"{span_id_of(run_id):016x}"


def test_a_child_stands_below_its_parent_in_the_trace_of_the_outermost(client, backend):
    """Grandchildren too, though a run only knows its parent; and all their events."""
    with client.track_run("crawler", "outer") as outer, outer.child("middle") as middle, middle.child("inner") as inner:
        inner.log_event("page")
    assert client.flush(60)

    spans = {span.told.name: span for span in backend.spans}
    assert {trace_id_of(outer.run_id)} == {ids_of(telling)[0] for telling in (*backend.spans, *backend.logs)}
    assert spans["outer"].told.span_id == spans["middle"].told.parent_span_id
    assert spans["middle"].told.span_id == spans["inner"].told.parent_span_id
    assert [span_id_of(inner.run_id)] == [ids_of(log)[1] for log in backend.logs if log.told.event_name == "page"]


def test_a_child_in_a_later_process_finds_the_trace(open_client, backend):
    """Its parent's start is read out of the journal again, and that of its parent's parent."""
    first = open_client(endpoint=backend.url)
    outer = first.start_run("crawler", "outer")
    middle = first.start_run("crawler", "middle", parent_run_id=outer)
    assert first.flush(60)
    first.close()

    second = open_client(endpoint=backend.url)
    inner = second.start_run("helper", "inner", parent_run_id=middle)
    second.log_event(middle, "late", 1)
    second.end_run(inner)
    assert second.flush(60)

    assert {trace_id_of(outer)} == {ids_of(telling)[0] for telling in (*backend.logs, *backend.spans)}
    assert ["crawler"] == [log.resource["service.name"] for log in backend.logs if log.told.event_name == "late"]


def test_a_parent_that_nobody_recorded_gives_the_trace(client, backend):
    """A run on another machine may be the parent: both sides name the same trace without asking."""
    run_id = client.start_run("crawler", "job", parent_run_id="20261123T100000Z-elsewhere-00000000")
    client.end_run(run_id)
    assert client.flush(60)

    [span] = backend.spans
    assert trace_id_of("20261123T100000Z-elsewhere-00000000") == ids_of(span)[0]
    assert span_id_of("20261123T100000Z-elsewhere-00000000").to_bytes(8, "big") == span.told.parent_span_id


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}])
def test_runs_that_are_their_own_ancestors_end_the_search(client, backend, parents):
    """What a hostile or broken agent says of its parents costs nothing but that."""
    for run_id, parent in parents.items():
        client.start_run("crawler", "job", run_id=run_id, parent_run_id=parent)
    for run_id in parents:
        client.end_run(run_id)

    assert client.flush(60)
    assert len(parents) == len(backend.spans)


def test_figures_of_language_models_have_the_conventions_names(client, backend):
    """Tokens, model, provider and price on the run, and on each call; a call of a tool names the tool."""
    with client.track_run("writer", "draft") as run:
        details = {"provider": "anthropic", "temperature": 0, "response_id": "msg_1"}
        run.log_llm_call("small", tokens_in=900, tokens_out=12, tokens_cached=100, cost_usd=0.25, **details)
        with run.tool("search", tool_call_id="call_7"):
            pass
    assert client.flush(60)

    usage = {
        "gen_ai.request.model": "small",
        "gen_ai.usage.input_tokens": 900,
        "gen_ai.usage.output_tokens": 12,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cost": 0.25,
    }
    [span] = backend.spans
    logs = {log.told.event_name: log.attributes for log in backend.logs}
    assert usage | {"gen_ai.operation.name": "invoke_agent"} == {
        name: span.attributes[name] for name in (*usage, "gen_ai.operation.name")
    }
    assert {**usage, "gen_ai.provider.name": "anthropic", "gen_ai.request.temperature": 0.0} | {
        "gen_ai.response.id": "msg_1"
    } == {name: value for name, value in logs["llm_call"].items() if name.startswith("gen_ai.")}
    assert {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": "call_7",
    } == {name: value for name, value in logs["tool_started"].items() if name.startswith("gen_ai.")}


def test_a_figure_of_another_type_keeps_our_name(client, backend):
    """A text where a backend expects a number would make it drop the attribute, or the span."""
    with client.track_run("writer") as run:
        run.set_metrics(tokens_in="many", tokens_out=12.0, cost_usd=True, model=7)
    assert client.flush(60)

    [span] = backend.spans
    assert 12 == span.attributes["gen_ai.usage.output_tokens"]
    assert ["many", True, 7] == [
        span.attributes[f"local_telemetry.metrics.{name}"] for name in ("tokens_in", "cost_usd", "model")
    ]


@pytest.mark.parametrize(("status", "code"), [("success", 1), ("partial", 0), ("failed", 2)])
def test_the_status_of_a_run_is_the_spans(client, backend, status, code):
    """success is OK, failed is ERROR, and what lies between is left to be read in the attribute."""
    run_id = client.start_run("crawler")
    client.end_run(run_id, status=status, error_summary="3 of 9" if status != "success" else None)
    assert client.flush(60)

    [span] = backend.spans
    assert (code, status) == (span.told.status.code, span.attributes["local_telemetry.status"])
    assert ("3 of 9" if status == "failed" else "") == span.told.status.message


def test_an_exception_is_told_as_backends_show_it(client, backend):
    """Type, message and traceback stand in the span and in its event `exception`."""
    with pytest.raises(ValueError, match="no route"), client.track_run("crawler"):
        raise ValueError("no route: 10.0.0.1")
    assert client.flush(60)

    [span] = backend.spans
    [event] = span.told.events
    wanted = {"exception.type": "ValueError", "exception.message": "no route: 10.0.0.1"}
    assert {**wanted, "error.type": "ValueError"} == {n: span.attributes[n] for n in (*wanted, "error.type")}
    assert ("exception", span.told.end_time_unix_nano) == (event.name, event.time_unix_nano)
    assert "Traceback" in span.attributes["exception.stacktrace"]
    assert "local_telemetry.attributes.traceback" not in span.attributes


def test_a_run_that_began_is_told_at_once(client, backend):
    """A crash leaves no end: then this log record is what there is."""
    run_id = client.start_run("crawler", "nightly")
    assert client.flush(60)

    [log] = backend.logs
    assert [] == backend.spans
    assert ("local_telemetry.run_started", "INFO") == (log.told.event_name, log.told.severity_text)
    assert (run_id, "running") == (log.run_id, log.attributes["local_telemetry.status"])
    assert "crawler started nightly" == log.told.body.string_value


def test_an_event_is_a_log_record_with_its_type_as_name(client, backend):
    """The payload is the body in its own structure; the key tells repetitions for what they are."""
    payload = {"url": "https://a.example", "n": 1, "ok": True, "size": 0.5, "none": None, "deep": [{"a": []}]}
    with client.track_run("crawler") as run:
        run.log_event("page", payload)
        run.log_event("bare")
    assert client.flush(60)

    logs = {log.told.event_name: log for log in backend.logs}
    assert payload == value_of(logs["page"].told.body)
    assert None is value_of(logs["bare"].told.body)
    assert run.run_id == logs["page"].run_id
    assert len(backend.logs) == len({log.attributes["log.record.uid"] for log in backend.logs})
    assert logs["page"].told.time_unix_nano == logs["page"].told.observed_time_unix_nano


def test_severities_follow_what_was_logged(client, backend):
    """Records of `logging` keep their level, and a tool that failed is an error."""
    logger = logging.getLogger("an.agent")
    handler = RunLogHandler(logging.DEBUG)
    logger.addHandler(handler)
    with client.track_run("crawler") as run:
        logger.warning("slow")
        logger.critical("stop")
        with pytest.raises(KeyError), run.tool("search"):
            raise KeyError("q")
    logger.removeHandler(handler)
    assert client.flush(60)

    told = [(log.told.event_name, log.told.severity_number, log.attributes.get("error.type")) for log in backend.logs]
    assert [("log", 13, None), ("log", 21, None), ("tool_started", 9, None), ("tool_ended", 17, "KeyError")] == told[1:]


def test_events_can_stand_in_the_span(open_client, backend):
    """For backends that take traces alone: the last 128 of a run, and the count of what is left out."""
    client = open_client(endpoint=backend.url, logs=False, span_events=True)
    with client.track_run("crawler", "many") as many, client.track_run("other", "few") as few:
        for number in range(200):
            many.log_event("page", {"n": number})
        few.log_llm_call("small", tokens_in=9)
    assert client.flush(60)

    spans = {span.told.name: span.told for span in backend.spans}
    assert [] == backend.logs
    assert (128, 72) == (len(spans["many"].events), spans["many"].dropped_events_count)
    assert '{"n":199}' == spans["many"].events[-1].attributes[0].value.string_value
    assert ["llm_call"] == [event.name for event in spans["few"].events]
    assert {"gen_ai.request.model", "gen_ai.usage.input_tokens", "local_telemetry.payload"} <= {
        pair.key for pair in spans["few"].events[0].attributes
    }


def test_times_that_otlp_cannot_tell_are_told_as_text():
    """A run before 1970, one whose clock was set back, and one whose times are no times."""
    origin = Origin("r", Resources({}).of_kin(Kin("a")), "k")

    def span(**values):
        run = RunRecord(**{"run_id": "r", "agent_name": "a", "status": "success", **values})
        [telling] = tellings(encode_spans([span_of(run, None, origin)]))
        return telling

    old = span(start_time="1969-12-31T23:59:59Z", end_time="1970-01-01T00:00:01Z")
    back = span(start_time="2026-11-23T10:00:00Z", end_time="2026-11-23T09:00:00Z")
    word = span(start_time="yesterday", end_time=None, run_id="20261123T100000Z-a-00000000", duration_ms=5)
    assert (10**9, "1969-12-31T23:59:59Z") == (
        old.told.start_time_unix_nano,
        old.attributes["local_telemetry.start_time"],
    )
    assert back.told.start_time_unix_nano == back.told.end_time_unix_nano
    assert (5_000_000, "yesterday") == (
        word.told.end_time_unix_nano - word.told.start_time_unix_nano,
        word.attributes["local_telemetry.start_time"],
    )


def test_what_is_set_for_the_resource_wins(open_client, backend, monkeypatch):
    """The environment adds to what records say, the options replace it; OTEL_SERVICE_NAME would name them all alike."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,host.name=wrong,a=b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "whoever-sends")
    client = open_client(endpoint=backend.url, resource={"a": "c", "service.namespace": "ours"})
    client.end_run(client.start_run("crawler", agent_owner="team-a", host="web-1"))
    assert client.flush(60)

    [span] = backend.spans
    assert {
        "deployment.environment.name": "prod",
        "host.name": "web-1",
        "a": "c",
        "service.name": "crawler",
        "service.namespace": "ours",
    }.items() <= span.resource.items()


def test_a_run_that_crashed_gets_its_span_by_the_verdict(child, backend, tmp_path):
    """The next client finds the dead process; what it says of the run is a span that failed."""
    program = """
import os, sys
from telemetry import TelemetryClient
client = TelemetryClient(metrics_dir=sys.argv[1])
run_id = client.start_run("crawler", "nightly")
client.log_event(run_id, "page", 1)
print(run_id, flush=True)
os.kill(os.getpid(), 9)
"""
    run_id = child(program, tmp_path / "base").communicate(timeout=30)[0].strip()

    otlp = OtlpSink(OtlpSink.Options(endpoint=backend.url, backfill=True, retry=RetryPolicy((0.01,))))
    sinks = {"ndjson": NdjsonSink(NdjsonSink.Options()), "sqlite": SqliteSink(SqliteSink.Options()), "otlp": otlp}
    with TelemetryClient(sinks=sinks, metrics_dir=tmp_path / "base") as client:
        client.start_run("crawler", "next")
        backend.wait(lambda: backend.spans)
        assert client.flush(60)

    [span] = backend.spans
    assert (run_id, True, 2) == (span.run_id, span.attributes["local_telemetry.is_verdict"], span.told.status.code)
    assert ["local_telemetry.run_started", "page"] == [
        log.told.event_name for log in backend.logs if log.run_id == run_id
    ]
