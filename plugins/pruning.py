"""Say in the journal that a run was pruned, so that no store that is built from it brings the run back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, field, frozen

from .checks import is_name, is_whole_or_none, text
from .ids import get_iso8601_timestamp

__all__ = ["RunPruned"]


@frozen(kw_only=True)
class RunPruned:
    """
    A run was taken out of every store because it was old.

    Lines about it that stand in the journal still, or come later, count no more. A run that begins anew under its id,
    at *before* or later, is another one.

    Args:
        timestamp: when it was pruned, ISO 8601 text.
        before: the day (UTC, `YYYY-MM-DD`) up to which runs were pruned.
    """

    run_id: str = field(validator=is_name)
    timestamp: str = field(factory=get_iso8601_timestamp, validator=is_name)
    before: str = field(validator=is_name)
    writer: str | None = text()
    seq: int | None = field(default=None, validator=is_whole_or_none)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, without those that say nothing."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunPruned:
        """Return what *values* describes; what is missing or of the wrong type is made text, or left out."""
        seq, writer = values.get("seq"), values.get("writer")
        return cls(
            run_id=str(values["run_id"]),
            timestamp=str(values.get("timestamp") or "unknown"),
            before=str(values.get("before") or "unknown"),
            writer=writer if isinstance(writer, str) else None,
            seq=seq if type(seq) is int else None,
        )
