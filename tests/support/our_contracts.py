"""Say to the conformance kit how each of our sinks is made and read."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from collector import Collector

from telemetry.plugins import RetryPolicy, RunRecord
from telemetry.sinks.api import ApiSink
from telemetry.sinks.journal import journal_files, read_records
from telemetry.sinks.memory import MemorySink
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.sqlite.sink import SqliteSink
from telemetry.testing import SinkConformance


class MemoryContract(SinkConformance):
    """Records in memory."""

    is_durable = False
    sink_type: ClassVar[Any] = MemorySink

    def make_sink(self, tmp_path: Path) -> Any:
        """Return a new one."""
        return self.sink_type()

    def read_back(self, sink: Any, tmp_path: Path) -> list[Any]:
        """Return what it holds."""
        return list(sink.records)


class NdjsonContract(SinkConformance):
    """The journal."""

    sink_type: ClassVar[Any] = NdjsonSink

    def make_sink(self, tmp_path: Path) -> Any:
        """Return one that leaves the syncing to the system: the tests kill processes, not machines."""
        return self.sink_type(self.sink_type.Options(fsync="never"))

    def read_back(self, sink: Any, tmp_path: Path) -> list[Any]:
        """Return its lines."""
        return [found.record for file in journal_files(tmp_path / "raw") for found in read_records(file)]


class SqliteContract(SinkConformance):
    """The database, read as every reader reads it."""

    sink_type: ClassVar[Any] = SqliteSink

    def make_sink(self, tmp_path: Path) -> Any:
        """Return a new one."""
        return self.sink_type()


class ApiContract(SinkConformance):
    """The sink that posts, in front of a server that takes everything; a test has `collector` as a fixture."""

    sink_type: ClassVar[Any] = ApiSink
    api: Collector

    @pytest.fixture(autouse=True)
    def _api(self, collector: Collector) -> None:
        self.api = collector

    def make_sink(self, tmp_path: Path) -> Any:
        """Return one that posts below the name of the base directory."""
        url = f"http://127.0.0.1:{self.api.port}{tmp_path}"
        return self.sink_type(self.sink_type.Options(url=url, token="hush", retry=RetryPolicy((0.05,))))

    def read_back(self, sink: Any, tmp_path: Path) -> list[Any]:
        """Return what the server was posted there, each idempotency key once."""
        return list(self.api.taken_at(str(tmp_path)))

    def expects(self, record: Any) -> bool:
        """Only ends are posted."""
        return isinstance(record, RunRecord) and not record.is_running
