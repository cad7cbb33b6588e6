"""Make the floor of a run between runs of ours: the processor's caches are then as ours finds them."""

from __future__ import annotations

from pathlib import Path

from .ours import Runs
from .sqlite_floor import Floor


class Between:
    """A run of ours in the journal alone, then the floor's lines and rows."""

    def __init__(self, directory: Path) -> None:
        for name in ("ours", "floor"):
            (directory / name).mkdir(exist_ok=True)
        self._ours = Runs(directory / "ours", write=None)
        self._floor = Floor(directory / "floor")

    def call(self, number: int) -> None:
        """Do both."""
        self._ours.call(number)
        self._floor.call(number)

    def close(self) -> None:
        """Close both."""
        self._ours.close()
        self._floor.close()
