"""Say what became of one record on its way to the sinks."""

from __future__ import annotations

from attrs import frozen

__all__ = ["COMPLETE", "DROPPED", "Delivery"]


@frozen
class Delivery:
    """
    What became of one record: the sinks that did not take it, and whether a processor dropped it.

    A sink with a thread of its own counts as having taken what it queued.
    """

    failed: tuple[str, ...] = ()
    is_dropped: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether every sink took the record."""
        return not self.failed and not self.is_dropped


COMPLETE = Delivery()
DROPPED = Delivery(is_dropped=True)
