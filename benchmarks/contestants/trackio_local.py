"""Record with Trackio, which keeps its own SQLite store."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from .load import payload


def _module(directory: Path) -> Any:
    os.environ["TRACKIO_DIR"] = str(directory / "trackio")  # read at import
    import trackio

    return trackio


class Events:
    """A trackio.log() a call, in one run."""

    def __init__(self, directory: Path) -> None:
        self._trackio = _module(directory)
        self._trackio.init(project="bench", name="run", auto_log_gpu=False)

    def call(self, number: int) -> None:
        """Log one step."""
        self._trackio.log(payload(number))

    def close(self) -> None:
        """Finish the run, which waits for what is queued."""
        self._trackio.finish()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers in the store."""
        import orjson

        found = set()
        for path in (directory / "trackio").glob("*.db"):
            with closing(sqlite3.connect(path)) as connection:
                found |= {orjson.loads(text)["n"] for (text,) in connection.execute("SELECT metrics FROM metrics")}
        return found
