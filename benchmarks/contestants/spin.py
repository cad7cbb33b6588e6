"""Do nothing but count for as long as a run takes: what is left of a p99 is the scheduler's."""

from __future__ import annotations

import time
from pathlib import Path

_CALL_NS = 80_000


class Spin:
    """Spend 80 microseconds of processor time a call, and write nothing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def call(self, number: int) -> None:
        """Count up until the time is spent."""
        end = time.thread_time_ns() + _CALL_NS
        while time.thread_time_ns() < end:
            number += 1

    def close(self) -> None:
        """Do nothing."""
