"""Say where a benchmark works, which peers it may call in, and how much of the whole it is to do."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from .environments import Environments

__all__ = ["Setting"]


@frozen
class Setting:
    """
    What every benchmark is given.

    Attributes:
        directory: an empty one of its own, on the disk that is measured.
        share: of the full count of calls, rows and rounds; below 1 the figures say less and come sooner.
    """

    directory: Path
    environments: Environments
    share: float = 1.0

    def count(self, full: int, least: int = 1) -> int:
        """Return this setting's share of *full*."""
        return max(least, int(full * self.share))
