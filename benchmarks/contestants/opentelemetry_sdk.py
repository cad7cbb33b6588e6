"""Record with the OpenTelemetry SDK: a span an event, a batch processor, a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from .load import EVENT_TYPE, RUN_ID, payload


def _line(span: ReadableSpan) -> str:
    return span.to_json(indent=None) + "\n"


class Batched:
    """A span that is queued in memory; a thread writes the queue every five seconds, or when it is half full."""

    def __init__(self, directory: Path) -> None:
        self._file = (directory / "spans.ndjson").open("a", encoding="utf-8")
        self._provider = TracerProvider()
        self._provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=self._file, formatter=_line)))
        self._tracer = self._provider.get_tracer("bench")

    def call(self, number: int) -> None:
        """Record one event."""
        self._tracer.start_span(EVENT_TYPE, attributes={"run_id": RUN_ID, **payload(number)}).end()

    def close(self) -> None:
        """Shut the provider down, which writes what is queued."""
        self._provider.shutdown()
        self._file.close()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers in the file; what a death tore is passed over."""
        found = set()
        for line in (directory / "spans.ndjson").read_bytes().splitlines():
            if line.endswith(b"}"):
                found.add(json.loads(line)["attributes"]["n"])
        return found
