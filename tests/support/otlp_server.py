"""An OTLP backend on 127.0.0.1 that takes nothing on trust, and misbehaves on command."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from typing import Any

from attrs import frozen
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc.status_pb2 import Status
from loopback import Act, Handler, Loopback, Post
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

PROTOBUF = "application/x-protobuf"
UNPACKED = {"": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}


@frozen
class Request(Post):
    """What a client sent, decoded."""

    message: Any

    @property
    def is_logs(self) -> bool:
        return isinstance(self.message, logs.ExportLogsServiceRequest)


@frozen
class Telling:
    """A span or a log record, with the attributes of its own and those of who speaks."""

    told: Any
    attributes: dict[str, Any]
    resource: dict[str, Any]
    schema_url: str
    scope: str

    @property
    def run_id(self) -> str:
        return self.attributes["local_telemetry.run_id"]


class Backend(Loopback):
    """A backend that checks each message by the protocol's words."""

    success = (200, b"", {"Content_Type": PROTOBUF})

    @property
    def url(self) -> str:
        return self.origin

    def understood(self, post: Post) -> Request:
        path, headers = post.path, post.headers
        message = logs.ExportLogsServiceRequest() if path.endswith("/v1/logs") else traces.ExportTraceServiceRequest()
        if not path.endswith(("/v1/logs", "/v1/traces")):
            self.faults.append(f"a POST to {path}")
        if headers.get("content-type") != PROTOBUF:
            self.faults.append(f"Content-Type {headers.get('content-type')}")
        message.ParseFromString(UNPACKED[headers.get("content-encoding", "")](post.body))
        self.faults += faults_in(message)
        return Request(path, headers, post.body, post.at, message)

    @property
    def spans(self) -> list[Telling]:
        """All spans that were taken, repetitions included."""
        return [telling for request in self.taken if not request.is_logs for telling in tellings(request.message)]

    @property
    def logs(self) -> list[Telling]:
        """All log records that were taken, repetitions included."""
        return [telling for request in self.taken if request.is_logs for telling in tellings(request.message)]

    # -- what it can do

    def refuse(self, status: int, words: str, **headers: str) -> Act:
        """Answer with the message that OTLP has for faults."""
        return self.say(status, Status(message=words).SerializeToString(), Content_Type=PROTOBUF, **headers)

    def reject(self, count: int, words: str = "") -> Act:
        """Answer with success, but for *count* records."""

        def act(handler: Handler) -> None:
            if handler.path.endswith("logs"):
                answer = logs.ExportLogsServiceResponse()
                answer.partial_success.rejected_log_records = count
            else:
                answer = traces.ExportTraceServiceResponse()
                answer.partial_success.rejected_spans = count
            answer.partial_success.error_message = words
            handler.answer(200, answer.SerializeToString(), Content_Type=PROTOBUF)

        return act


def value_of(value: Any) -> Any:
    """Return what an AnyValue holds."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(inner) for inner in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: value_of(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


def values_of(pairs: Iterable[Any]) -> dict[str, Any]:
    """Return attributes as a dict."""
    return {pair.key: value_of(pair.value) for pair in pairs}


def tellings(message: Any) -> list[Telling]:
    """Return the spans or log records in a request."""
    found = []
    for group in getattr(message, "resource_spans", None) or getattr(message, "resource_logs", ()):
        resource = values_of(group.resource.attributes)
        for scope in getattr(group, "scope_spans", None) or getattr(group, "scope_logs", ()):
            told = getattr(scope, "spans", None) or getattr(scope, "log_records", ())
            found += [
                Telling(one, values_of(one.attributes), resource, scope.schema_url, scope.scope.name) for one in told
            ]
    return found


def faults_in(message: Any) -> list[str]:
    """Return where *message* breaks the protocol, its data model or its conventions."""
    found = [] if len(UnknownFieldSet(message)) == 0 else ["unknown fields"]
    every = tellings(message)
    found += [] if every else ["an empty request"]
    for telling in every:
        found += [f"{fault}: {telling.told}"[:2000] for fault in _faults_of(telling)]
    return found


def _faults_of(telling: Telling) -> Iterable[str]:
    told = telling.told
    if len(told.trace_id) != 16 or not any(told.trace_id) or len(told.span_id) != 8 or not any(told.span_id):
        yield "no ids"
    if len(telling.attributes) != len(told.attributes):
        yield "an attribute twice"
    if any(not key or value is None for key, value in telling.attributes.items()):
        yield "an attribute without name or value"
    if not telling.resource.get("service.name"):
        yield "no service.name"
    if not telling.schema_url.startswith("https://opentelemetry.io/schemas/") or telling.scope != "local-telemetry":
        yield "no scope"
    is_span = hasattr(told, "start_time_unix_nano")
    yield from _faults_of_span(told, telling.attributes) if is_span else _faults_of_log(told)


def _faults_of_span(span: Any, attributes: dict[str, Any]) -> Iterable[str]:
    if not span.name:
        yield "no name"
    # A start that OTLP cannot tell (before 1970) stands in the attributes.
    least = 0 if "local_telemetry.start_time" in attributes else 1
    if not least <= span.start_time_unix_nano <= span.end_time_unix_nano:
        yield "no times"
    if len(span.parent_span_id) not in (0, 8) or span.parent_span_id == span.span_id:
        yield "no parent"


def _faults_of_log(record: Any) -> Iterable[str]:
    if not record.event_name:
        yield "no event_name"
    if not record.severity_number or not record.severity_text:
        yield "no severity"
