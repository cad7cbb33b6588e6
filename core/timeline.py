"""Tell the events of a run as a story: when each came, how long after the one before, and how many there were."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from attrs import define, field, frozen

from ..plugins.ids import parse_time
from ..plugins.records import RunEvent

__all__ = ["Moment", "Timeline", "timeline_of"]


@frozen
class Moment:
    """
    One event in its place.

    `offset_ms` counts from the start of the run, `gap_ms` from the event before it (of the first from the start of
    the run); both None where a time cannot be read.
    """

    number: int
    event: RunEvent
    offset_ms: float | None
    gap_ms: float | None


@define
class Timeline:
    """
    The events of a run, those in the middle left out.

    `counts` counts all of them by type, and `total` too.
    """

    first: list[Moment] = field(factory=list)
    last: list[Moment] = field(factory=list)
    counts: Counter[str] = field(factory=Counter)

    @property
    def total(self) -> int:
        """How many events there are."""
        return self.counts.total()

    @property
    def left_out(self) -> int:
        """How many of them are in neither list."""
        return self.total - len(self.first) - len(self.last)

    def __iter__(self) -> Iterator[Moment]:
        yield from self.first
        yield from self.last


def timeline_of(start_time: str, events: Iterable[RunEvent], *, first: int, last: int) -> Timeline:
    """
    Return the timeline of *events*, which may be any number: only those that are shown stay in memory.

    Args:
        start_time: of the run, as stored.
        first: how many events from the beginning are kept.
        last: how many from the end.
    """
    timeline = Timeline()
    tail: deque[Moment] = deque(maxlen=last)
    for moment in _moments(start_time, events):
        timeline.counts[moment.event.event_type] += 1
        if len(timeline.first) < first:
            timeline.first.append(moment)
        else:
            tail.append(moment)
    timeline.last = list(tail)
    return timeline


def _moments(start_time: str, events: Iterable[RunEvent]) -> Iterator[Moment]:
    began_ms = before_ms = _milliseconds(start_time)
    for number, event in enumerate(events, start=1):
        at_ms = _milliseconds(event.timestamp)
        yield Moment(number, event, _difference(at_ms, began_ms), _difference(at_ms, before_ms))
        before_ms = at_ms


def _milliseconds(text: str) -> float | None:
    try:
        return parse_time(text).timestamp() * 1000
    except ValueError:
        return None  # an earlier writer's time; the event itself still counts


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier
