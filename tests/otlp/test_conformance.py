"""The sink keeps the contract that we hold others to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="tox's environment `coverage` has the exporters")

from telemetry.plugins import Record, RetryPolicy, RunRecord
from telemetry.sinks.otlp.sink import OtlpSink
from telemetry.testing import SinkConformance


@pytest.mark.slow
class TestOtlp(SinkConformance):
    """Each base directory has a path of its own at one backend, which takes runs as spans."""

    backend: Any

    @pytest.fixture(autouse=True)
    def _backend(self) -> Iterator[None]:
        # Not the fixture `backend`, which wants a time in each span: the contract has runs of the year 9999, and OTLP
        # ends in 2262.
        from otlp_server import Backend

        self.backend = Backend()
        self.backend.start()
        yield
        self.backend.stop()

    def make_sink(self, tmp_path: Path) -> Any:
        """Return one that sends runs below the name of the base directory."""
        endpoint = f"{self.backend.url}{tmp_path}"
        return OtlpSink(OtlpSink.Options(endpoint=endpoint, logs=False, retry=RetryPolicy((0.05,))))

    def read_back(self, sink: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
        """Yield the runs whose spans were taken there, each span id once."""
        from otlp_server import tellings

        seen: set[bytes] = set()
        for request in list(self.backend.taken):
            for span in tellings(request.message) if request.path == f"{tmp_path}/v1/traces" else ():
                if span.told.span_id not in seen:
                    seen.add(span.told.span_id)
                    yield {"run_id": span.run_id}

    def expects(self, record: Record) -> bool:
        """Only ends are spans."""
        return isinstance(record, RunRecord) and not record.is_running
