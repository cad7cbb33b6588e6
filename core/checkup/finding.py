"""Hold what a check found: how bad it is, how that is known, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

__all__ = ["FAULT", "LEVELS", "NOTE", "OK", "WARNING", "Finding"]

OK, NOTE, WARNING, FAULT = "ok", "note", "warning", "fault"
LEVELS = (OK, NOTE, WARNING, FAULT)
"""From good to bad: a note is worth knowing, a warning will become a fault, a fault loses or hides records."""


@frozen
class Finding:
    """
    What one check says.

    `area` is the part that was looked at. `fix` mends it where that can be done without asking.
    """

    area: str
    level: str
    what: str
    evidence: str = ""
    cure: str = ""
    fix: Callable[[], None] | None = field(default=None, eq=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        names = ("area", "level", "what", "evidence", "cure")
        return {**{name: getattr(self, name) for name in names}, "can_fix": self.fix is not None}
