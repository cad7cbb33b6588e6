"""Contract tests: the sink in a client, as an agent uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ...core.client import TelemetryClient
from ...plugins.records import RunRecord
from .contract import Contract
from .driving import CLOSE_S, FLUSH_S, Driver

__all__ = ["Together"]

_SECRET = "ghp_" + "R2d2" * 9  # has the shape of a token, and is none
_OBJECTS = {
    "not a number": float("nan"),
    "infinite": float("inf"),
    "no float holds it": 10**400,
    "lone surrogate": "\ud800",
    "bytes": b"\xff",
    "keys that are no text": {1: 2, None: 3},
    "object": object(),
}


class Together(Contract):
    """A client with this sink alone."""

    def test_agent_is_recorded(self, base: Path) -> None:
        """A tracked run is stored with its end; no fault is counted."""
        sink, health = self._recorded(base, {"page": 1})

        assert not set(health["failed"]) - {"slow"}, health
        ends = [end for end in self._ends if self.expects(end)]
        assert {end.run_id for end in ends} <= self.kept(Driver(sink, base)).runs.keys()

    def test_secrets_arrive_nowhere(self, base: Path) -> None:
        """What the redactor takes out stands in no file of the sink's, and in nothing that it gives back."""
        sink, _ = self._recorded(base, {"api_key": _SECRET, "note": f"Authorization: Bearer {_SECRET}"})

        assert _SECRET not in repr(list(self.read_back(sink, base)))
        holders = [path for path in base.rglob("*") if path.is_file() and _SECRET.encode() in path.read_bytes()]
        assert [] == holders

    @pytest.mark.parametrize("kind", _OBJECTS)
    def test_any_object_is_survived(self, base: Path, kind: str) -> None:
        """Whatever an agent passes, the client has made it a plain value before the sink sees it."""
        sink, health = self._recorded(base, _OBJECTS[kind])

        assert not set(health["failed"]) - {"slow"}, health
        ends = [end for end in self._ends if self.expects(end)]
        assert {end.run_id for end in ends} <= self.kept(Driver(sink, base)).runs.keys()

    def _recorded(self, base: Path, payload: Any) -> tuple[Any, dict[str, Any]]:
        """Record a run that fails with *payload* in all places; return the sink, closed, and its health before."""
        sink = self.make_sink(base)
        client = TelemetryClient(sinks={"it": sink}, metrics_dir=base)
        run_id = client.start_run("agent", "job")
        client.log_event(run_id, "step", payload)
        client.set_metrics(run_id, value=payload)
        client.end_run(run_id, status="failed", error_summary=f"refused: {payload}", note=payload)
        client.flush(FLUSH_S)
        health: dict[str, Any] = client.status()["sinks"]["it"]
        client.close(CLOSE_S)
        self._ends = [RunRecord(run_id=run_id, agent_name="agent", start_time="t", end_time="t", status="failed")]
        return sink, health
