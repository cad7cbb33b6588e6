"""Record with structlog and orjson to a file, set up as structlog's guide to performance advises."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import structlog

from .load import EVENT_TYPE, RUN_ID, payload


class Structlog:
    """One JSON line a call, written and flushed."""

    def __init__(self, directory: Path) -> None:
        self._file = (directory / "structlog.ndjson").open("ab")
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(20),
            logger_factory=structlog.BytesLoggerFactory(self._file),
            cache_logger_on_first_use=True,
        )
        self._logger = structlog.get_logger()

    def call(self, number: int) -> None:
        """Log one event."""
        self._logger.info(EVENT_TYPE, run_id=RUN_ID, payload=payload(number))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers in the file."""
        lines = (directory / "structlog.ndjson").read_bytes().splitlines()
        return {json.loads(line)["payload"]["n"] for line in lines}
