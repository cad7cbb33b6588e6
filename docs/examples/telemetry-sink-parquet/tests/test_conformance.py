"""Hold the sink to the contract of the platform."""

import duckdb
from telemetry_sink_parquet import ParquetSink

from telemetry.plugins import RetryPolicy
from telemetry.testing import SinkConformance

_KEPT = "run_id, agent_name, job_type, status, duration_ms, items_succeeded, items_failed, error_summary"


class TestParquetSink(SinkConformance):
    """The files are read as everybody reads them."""

    def make_sink(self, tmp_path):
        """Return a sink that writes below the base directory, and does not wait long after a fault."""
        return ParquetSink(ParquetSink.Options(retry=RetryPolicy((0.05,))))

    def read_back(self, sink, tmp_path):
        """Yield each row."""
        with duckdb.connect(config={"threads": 1}) as database:
            for path in sorted((tmp_path / "parquet").glob("*.parquet")):
                rows = database.execute(f"SELECT {_KEPT} FROM read_parquet(?) ORDER BY end_time", [str(path)])
                names = [column[0] for column in rows.description]
                yield from (dict(zip(names, row, strict=True)) for row in rows.fetchall())

    def expects(self, record):
        """Only ends have a row."""
        return ParquetSink().wants(record)
