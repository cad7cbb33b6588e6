"""Send a batch of one signal through OpenTelemetry's own exporter, once, and say what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define, field
from opentelemetry import context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ...plugins.errors import Refused, Retryable
from .judging import Verdict, judged
from .listening import ListeningSession
from .options import OtlpOptions

__all__ = ["Wire", "logs_wire", "traces_wire"]

# Every instrumentation of requests looks for it, and would make spans of our posts.
_SUPPRESSED = context._SUPPRESS_INSTRUMENTATION_KEY


@define(eq=False)
class Wire:
    """
    One signal's way to the backend.

    Args:
        exporter: one of OpenTelemetry's.
        session: the one that the exporter posts through.
        response: the message with which its server answers.
    """

    exporter: Any
    session: ListeningSession
    response: Any = field(repr=False)
    _is_closed: bool = field(init=False, default=False)

    def send(self, batch: Sequence[Any]) -> Verdict:
        """Send *batch*; returns within the exporter's timeout."""
        self.session.heard = None
        with _unseen():
            self.exporter.export(batch)
        heard = self.session.heard
        if heard is None and self._is_closed:
            return Verdict(Retryable("the sink was closed meanwhile"))
        if heard is None:
            return Verdict(Refused("OpenTelemetry's exporter could not encode it, or it is larger than 64 MB"))
        return Verdict(heard) if isinstance(heard, Retryable) else judged(heard, len(batch), self.response)

    def close(self) -> None:
        """Let go of the connection."""
        self._is_closed = True
        self.exporter.shutdown()


@contextmanager
def _unseen() -> Iterator[None]:
    token = context.attach(context.set_value(_SUPPRESSED, True))
    try:
        yield
    finally:
        context.detach(token)


def traces_wire(options: OtlpOptions) -> Wire:
    """Return the way for spans."""
    session = ListeningSession()
    return Wire(OTLPSpanExporter(**_arguments(options, "traces", session)), session, ExportTraceServiceResponse)


def logs_wire(options: OtlpOptions) -> Wire:
    """Return the way for log records."""
    session = ListeningSession()
    return Wire(OTLPLogExporter(**_arguments(options, "logs", session)), session, ExportLogsServiceResponse)


def _arguments(options: OtlpOptions, signal: str, session: ListeningSession) -> dict[str, Any]:
    paths = {
        "certificate_file": options.certificate,
        "client_certificate_file": options.client_certificate,
        "client_key_file": options.client_key,
    }
    return {
        "endpoint": f"{options.endpoint.rstrip('/')}/v1/{signal}" if options.endpoint else None,
        "headers": {name: value.reveal() for name, value in options.headers.items()} or None,
        "timeout": options.timeout_s,
        "compression": Compression(options.compression) if options.compression else None,
        "session": session,
        **{name: str(path) if path is not None else None for name, path in paths.items()},
    }
