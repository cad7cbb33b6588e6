"""Record with MLflow and its SQLite store."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

import mlflow

_FILE = "mlflow.db"


class Events:
    """A log_metric() a call, in one run; what comes next to an event there."""

    def __init__(self, directory: Path) -> None:
        mlflow.set_tracking_uri(f"sqlite:///{directory / _FILE}")
        mlflow.set_experiment("bench")
        mlflow.start_run(run_name="bench")

    def call(self, number: int) -> None:
        """Log one metric."""
        mlflow.log_metric("n", number, step=number)

    def close(self) -> None:
        """End the run."""
        mlflow.end_run()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers among the metrics."""
        with closing(sqlite3.connect(directory / _FILE)) as connection:
            return {int(value) for (value,) in connection.execute("SELECT value FROM metrics WHERE key = 'n'")}


class Runs:
    """A run a call, started and ended, with one metric."""

    def __init__(self, directory: Path) -> None:
        mlflow.set_tracking_uri(f"sqlite:///{directory / _FILE}")
        mlflow.set_experiment("bench")

    def call(self, number: int) -> None:
        """Start a run, log its number and end it."""
        with mlflow.start_run(run_name=f"job-{number}"):
            mlflow.log_metric("n", number)

    def close(self) -> None:
        """Nothing is open."""

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers of the runs that have ended."""
        asked = "SELECT m.value FROM metrics m JOIN runs r USING (run_uuid) WHERE m.key = 'n' AND r.status = 'FINISHED'"
        with closing(sqlite3.connect(directory / _FILE)) as connection:
            return {int(value) for (value,) in connection.execute(asked)}
