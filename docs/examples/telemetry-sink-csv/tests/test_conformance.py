"""Hold the sink to the contract of the platform."""

import csv

from telemetry_sink_csv import CsvSink

from telemetry.plugins import RunRecord
from telemetry.testing import SinkConformance

_TEXTS = ("run_id", "agent_name", "job_type", "status")
_NUMBERS = ("duration_ms", "items_succeeded", "items_failed")


class TestCsvSink(SinkConformance):
    """Rows are read as a spreadsheet would; of a run that has several the last one counts."""

    def make_sink(self, tmp_path):
        """Return a sink that writes below the base directory."""
        return CsvSink()

    def read_back(self, sink, tmp_path):
        """Yield each row with the values that stand in it as they were given."""
        csv.field_size_limit(1 << 30)
        for path in sorted((tmp_path / "csv").glob("*.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield {name: row[name] for name in _TEXTS} | {name: int(row[name] or 0) for name in _NUMBERS}

    def expects(self, record):
        """Only ends have a row."""
        return isinstance(record, RunRecord)
