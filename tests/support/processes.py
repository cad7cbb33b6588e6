"""Run programs beside a test; whoever still lives at its end is killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Processes", "lent_processes"]


class Processes:
    """Start programs of Python; the three streams of each are pipes."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, script: str, *arguments: object) -> subprocess.Popen[str]:
        """Start *script*."""
        program = [sys.executable, "-P", "-c", textwrap.dedent(script), *map(str, arguments)]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(program, text=True, **pipes)
        self._started.append(process)
        return process

    def start_ready(self, script: str, *arguments: object) -> subprocess.Popen[str]:
        """Start *script* and wait until it has printed `ready`."""
        process = self.start(script, *arguments)
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        return process

    def command(self, *arguments: object) -> subprocess.Popen[str]:
        """Start `telemetry` with *arguments*."""
        return self.start("from telemetry.core.cli.main import main; main()", *arguments)

    def end_all(self) -> None:
        """Kill and reap every process."""
        for process in self._started:
            process.kill()
            process.communicate()


@contextmanager
def lent_processes() -> Iterator[Processes]:
    """Lend what starts processes; none of them outlives this."""
    processes = Processes()
    try:
        yield processes
    finally:
        processes.end_all()
