"""Record with this platform, with the sinks and modes that a benchmark asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from telemetry import TelemetryClient, TelemetryConfig

from .load import EVENT_TYPE, payload


def client_in(directory: Path, sinks: dict[str, dict[str, Any]], base: str | None = None) -> TelemetryClient:
    """Return a client with these *sinks*, as a user sets it up: by a configuration file."""
    lines = [f"base_dir = {json.dumps(base or str(directory / 'base'))}"]
    for name, options in sinks.items():
        lines += [f"[sinks.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    path = directory / "telemetry.toml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return TelemetryClient(TelemetryConfig.load(path))


class Events:
    """log_event() into the journal of mode *fsync*."""

    def __init__(self, directory: Path, *, fsync: str = "interval", base: str | None = None) -> None:
        self.client = client_in(directory, {"raw": {"type": "ndjson", "fsync": fsync}}, base)
        self.run_id = self.client.start_run("bench", "events")

    def call(self, number: int) -> None:
        """Log one event."""
        self.client.log_event(self.run_id, EVENT_TYPE, payload(number))

    def close(self) -> None:
        """End the run and close the client."""
        self.client.end_run(self.run_id)
        self.client.close()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers of all events of all runs."""
        with client_in(directory, {"raw": {"type": "ndjson"}}) as client:
            events = (event for run in client.runs(limit=1_000_000) for event in client.events(run.run_id))
            return {event.payload["n"] for event in events if event.event_type == EVENT_TYPE}


class Runs:
    """
    start_run() and end_run() with journal and database, as a user who wants runs has them.

    `write` is that of the database, None for a journal alone; `pause_s` the pause between two runs, which is not
    measured.
    """

    def __init__(
        self,
        directory: Path,
        *,
        fsync: str = "interval",
        write: str | None = "inline",
        base: str | None = None,
        api: dict[str, Any] | None = None,
        close_s: float = 30.0,
        pause_s: float = 0.0,
    ) -> None:
        sinks: dict[str, dict[str, Any]] = {"raw": {"type": "ndjson", "fsync": fsync}}
        if write is not None:
            sinks["db"] = {"type": "sqlite", "write": write}
        self._close_s = close_s
        self.pause_s = pause_s
        self.client = client_in(directory, sinks if api is None else {**sinks, "hq": {"type": "api", **api}}, base)

    def call(self, number: int) -> None:
        """Start a run and end it."""
        run_id = self.client.start_run("bench", f"job-{number}", agent_owner="me")
        self.client.end_run(run_id, items_succeeded=number)

    def close(self) -> None:
        """Close the client."""
        self.client.close(timeout_s=self._close_s)

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers of all runs that ended well."""
        with client_in(directory, {"raw": {"type": "ndjson"}, "db": {"type": "sqlite"}}) as client:
            return {run.items_succeeded for run in client.runs(limit=1_000_000) if run.status == "success"}


class Kept:
    """start_run() and end_run() of a client that has nowhere to write to."""

    def __init__(self, directory: Path) -> None:
        self.client = TelemetryClient(sinks={}, base_dir=directory)

    def call(self, number: int) -> None:
        """Start a run and end it."""
        run_id = self.client.start_run("bench", f"job-{number}", agent_owner="me")
        self.client.end_run(run_id, items_succeeded=number)

    def close(self) -> None:
        """Close the client."""
        self.client.close()


class Ends(Runs):
    """end_run() alone: the runs are started before, which is not measured."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, **options)
        self._open: list[str] = []

    def prepare(self, count: int) -> None:
        """Start *count* runs."""
        self._open += [self.client.start_run("bench", "job") for _ in range(count)]

    def call(self, number: int) -> None:
        """End one of them."""
        self.client.end_run(self._open.pop(), items_succeeded=number)
