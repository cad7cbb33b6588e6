"""An OTLP backend that takes everything."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_server import Telling, faults_in, tellings
from served_apart import ServedApart


class Recorder(ServedApart):
    """The backend; every request is kept, what came twice included."""

    rules = """
import base64, itertools
CONTENT_TYPE, ANSWER, numbers = "application/x-protobuf", (200, b""), itertools.count()
KEEP = lambda headers, body: (next(numbers), base64.b64encode(body).decode())
"""

    def logs_at(self, path: str) -> Iterator[Telling]:
        """Yield the log records that were sent below *path*."""
        return self._tellings(f"{path}/v1/logs", ExportLogsServiceRequest)

    def spans_at(self, path: str) -> Iterator[Telling]:
        """Yield the spans that were sent below *path*."""
        return self._tellings(f"{path}/v1/traces", ExportTraceServiceRequest)

    def _tellings(self, path: str, kind: Any) -> Iterator[Telling]:
        for body in self.kept_at(path):
            message = kind.FromString(base64.b64decode(body))
            assert not (faults := faults_in(message)), faults
            yield from tellings(message)
