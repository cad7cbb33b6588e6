"""Hold the link between a run and a git commit, as it goes to the journal and into the table `commits`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, field, fields, frozen

from .checks import as_texts, is_name, is_texts, is_whole_or_none, text

__all__ = ["CommitLink"]

_NUMBERS = frozenset(("files_changed", "insertions", "deletions", "seq"))


def _number() -> Any:
    return field(default=None, validator=is_whole_or_none)


@frozen(kw_only=True)
class CommitLink:
    """
    A git commit that belongs to a run; what is not known of it is None.

    `timestamp` is when the link was made, `commit_date` when the commit was, both ISO 8601 text.
    """

    run_id: str = field(validator=is_name)
    timestamp: str = field(validator=is_name)
    commit_hash: str = field(validator=is_name)
    agent_name: str | None = text()
    repo: str | None = text()
    branch: str | None = text()
    commit_date: str | None = text()
    author: str | None = text()
    message: str | None = text()
    files_changed: int | None = _number()
    insertions: int | None = _number()
    deletions: int | None = _number()
    writer: str | None = text()
    seq: int | None = _number()
    coerced: tuple[str, ...] = field(default=(), validator=is_texts)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, without those that say nothing."""
        return {name: value for name, value in asdict(self, recurse=False).items() if value is not None and value != ()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CommitLink:
        """
        Return the link that *values* describes; a detail of the wrong type is made text, or left out as a number.

        Raises:
            InvalidRecord: run_id or commit_hash is missing.
        """
        known = {name: _fitting(name, values[name]) for name in _NAMES if values.get(name) is not None}
        known.setdefault("timestamp", "unknown")
        for name in ("run_id", "commit_hash"):
            known.setdefault(name, None)
        return cls(**known, coerced=as_texts(values.get("coerced") or values.get("_coerced")))


_NAMES = tuple(attribute.name for attribute in fields(CommitLink) if attribute.name != "coerced")


def _fitting(name: str, value: Any) -> Any:
    if name not in _NUMBERS:
        return value if isinstance(value, str) else str(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
