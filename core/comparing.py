"""Put two runs side by side: what differs in their fields, metrics, attributes and events, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from ..plugins.records import RUN_FIELDS, RunRecord
from .figures import number_in

__all__ = ["Difference", "compared"]

_NEVER_EQUAL = frozenset(
    ("run_id", "writer", "seq", "created_at", "updated_at", "api_posted_at", "metrics", "attributes", "coerced")
)


@frozen
class Difference:
    """
    One thing that two runs have, with both values; None where a run has it not.

    `section` is `run`, `metrics`, `attributes` or `events`.
    """

    section: str
    name: str
    left: Any
    right: Any

    @property
    def is_equal(self) -> bool:
        """Whether both runs have the same."""
        return bool(self.left == self.right and type(self.left) is type(self.right))

    @property
    def change(self) -> float | None:
        """How much more the right one has, None unless both are numbers."""
        left, right = number_in(self.left), number_in(self.right)
        return None if left is None or right is None else right - left

    @property
    def share(self) -> float | None:
        """The change as a share of the left one, None where that is nothing."""
        left = number_in(self.left)
        return None if self.change is None or not left else self.change / abs(left)

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as plain values."""
        names = ("section", "name", "left", "right", "change", "share")
        return {name: getattr(self, name) for name in names}


def compared(
    left: RunRecord, right: RunRecord, left_events: Mapping[str, int], right_events: Mapping[str, int]
) -> Iterator[Difference]:
    """
    Yield everything that at least one of the runs has, equal or not, in the order of their fields.

    Args:
        left_events: how many events the left run has, by type; *right_events* likewise.
    """
    for name in RUN_FIELDS:
        if name not in _NEVER_EQUAL and (getattr(left, name), getattr(right, name)) != (None, None):
            yield Difference("run", name, getattr(left, name), getattr(right, name))
    yield from _both("metrics", left.metrics, right.metrics)
    yield from _both("attributes", left.attributes, right.attributes)
    yield from _both("events", left_events, right_events)


def _both(section: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys((*left, *right)):
        yield Difference(section, name, left.get(name), right.get(name))
