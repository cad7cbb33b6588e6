"""Be the process that is killed in the middle of a run: `python -m telemetry.core.demo.victim FOLDER FILE...`."""

from __future__ import annotations

import os
import sys
import time
from itertools import cycle
from pathlib import Path

from ..client import TelemetryClient
from .agent import facts_of

__all__ = ["main"]

_PAUSE_S = 0.03


def main(arguments: list[str]) -> None:
    """
    Read the files over and over, until somebody kills the process; tell the run's id, then the name of each file.

    Raises:
        BrokenPipeError: whoever was to kill it is gone itself.
    """
    folder, files = Path(arguments[0]), [Path(name) for name in arguments[1:]]
    with TelemetryClient() as client, client.track_run("demo-victim", "parse until killed") as run:
        _tell(run.run_id)
        for path in cycle(files):
            run.log_event("file_parsed", {"path": path.relative_to(folder).as_posix(), **facts_of(path)})
            run.increment("files")
            _tell(path.name)
            time.sleep(_PAUSE_S)


def _tell(line: str) -> None:
    # In this process standard output belongs to the demo, which listens at its other end.
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
