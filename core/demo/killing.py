"""Start a process that records a run, and kill it in the middle, the way an operator or the kernel would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import define

from ...plugins.errors import TelemetryError
from ..config import TelemetryConfig

__all__ = ["Victim", "start_victim"]

_EVENTS = 12


@define
class Victim:
    """A process that reads files in a run, until it is killed."""

    process: subprocess.Popen[str]
    run_id: str

    def kill(self) -> None:
        """
        Kill it with SIGKILL (on Windows: terminate it) in mid run; returns when it is dead, and not reaped yet.

        Raises:
            TelemetryError: it died before it was killed.
        """
        for _ in range(_EVENTS):
            _next_line(self.process)
        self.process.kill()
        # Until its parent has waited for it, the system still tells how a process died, and so does the verdict.
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self.process.wait()

    def reap(self) -> None:
        """Let the system forget the process."""
        self.process.kill()
        self.process.communicate()


def start_victim(config: TelemetryConfig, folder: Path, files: Sequence[Path]) -> Victim:
    """
    Start the process and return when its run has begun.

    Raises:
        TelemetryError: it does not begin.
    """
    command = [sys.executable, "-P", "-m", f"{__package__}.victim", str(folder), *map(str, files)]
    process = subprocess.Popen(
        command, env={**os.environ, **_places(config)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return Victim(process, _next_line(process))


def _places(config: TelemetryConfig) -> dict[str, str]:
    """Return the variables that make a child write where we do, and post nothing."""
    return {
        "TELEMETRY_BASE_DIR": str(config.metrics_dir),
        "TELEMETRY_DB_PATH": str(config.database_path),
        "TELEMETRY_NDJSON_DIR": str(config.ndjson_dir),
        "TELEMETRY_TEST_MODE": "mock",
    }


def _next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        _, told = process.communicate()
        last = told.strip().splitlines()[-1:] or ["it said nothing"]
        raise TelemetryError(f"the process that was to be killed ended by itself: {last[0]}")
    return line
