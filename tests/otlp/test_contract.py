"""The otlp sink keeps the contract that every sink is held to."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra otlp")

from otlp_recorder import Recorder
from otlp_server import value_of

from telemetry.plugins import MetricsUpdate, Record, RetryPolicy
from telemetry.sinks.otlp.logs import RUN_STARTED
from telemetry.sinks.otlp.sink import OtlpSink
from telemetry.testing import SinkConformance

FIELDS = ("job_type", "trigger_type", "status", "duration_ms", "error_summary", "output_summary", "parent_run_id")


def run_in(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return what a span or the log record of a start tells of its run."""
    told = {name: attributes.get(f"local_telemetry.{name}") for name in FIELDS}
    known = {name: value for name, value in told.items() if value is not None}
    run_id, agent = attributes["local_telemetry.run_id"], attributes["gen_ai.agent.name"]
    return {"run_id": run_id, "agent_name": agent, **known}


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    """Return a backend that takes everything."""
    with Recorder() as server:
        yield server


class TestOtlp(SinkConformance):
    """In front of a backend that takes everything."""

    sink_type: ClassVar[Any] = OtlpSink
    backend: Recorder

    @pytest.fixture(autouse=True)
    def _backend(self, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.backend = recorder
        # The exporter draws a pause at each post, in the sink's thread; hypothesis forbids that while it draws.
        monkeypatch.setattr("random.uniform", random.Random(7).uniform)

    def make_sink(self, tmp_path: Path) -> Any:
        """Return one that sends below the name of the base directory."""
        url = f"http://127.0.0.1:{self.backend.port}{tmp_path}"
        return self.sink_type(self.sink_type.Options(endpoint=url, retry=RetryPolicy((0.05,))))

    def read_back(self, sink: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
        """Yield what was sent there, each `log.record.uid` once."""
        seen: set[str] = set()
        # A request groups its records by who speaks, so only within a run they stand in their order.
        for log in sorted(self.backend.logs_at(str(tmp_path)), key=lambda log: log.told.time_unix_nano):
            uid = log.attributes["log.record.uid"]
            if uid in seen:
                continue
            seen.add(uid)
            if log.told.event_name == RUN_STARTED:
                yield run_in(log.attributes)
            else:
                yield {"run_id": log.run_id, "event_type": log.told.event_name, "payload": value_of(log.told.body)}
        yield from (run_in(span.attributes) for span in self.backend.spans_at(str(tmp_path)))

    def expects(self, record: Record) -> bool:
        """What is set in mid run comes with the end."""
        return not isinstance(record, MetricsUpdate)
