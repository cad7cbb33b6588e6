"""Stop the clock of all that is recorded, so that a test can name every time and duration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType

from ..plugins import clock
from ..plugins.ids import get_iso8601_timestamp, parse_time

__all__ = ["FrozenClock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class FrozenClock:
    """
    A clock that stands still until it is told to move; a context manager that puts it in place of the true one.

    It rules what records say: start, end and duration of runs, the times of events, new run ids. Waits, deadlines and
    the names of files go on by the true time.

    Args:
        at: an aware datetime, or ISO 8601 text; text without an offset is UTC.

    Raises:
        ValueError: *at* is no such moment.
    """

    def __init__(self, at: datetime | str = "2026-01-01T00:00:00Z") -> None:
        self._wall_us = _micros(at)
        self._steady_us = 0
        self._before: tuple[Callable[[], int], Callable[[], int]] | None = None

    @property
    def now(self) -> str:
        """The moment that is recorded now, as ISO 8601 text in UTC."""
        return get_iso8601_timestamp(self._wall_us / 1e6)

    def advance(self, seconds: float) -> None:
        """
        Let *seconds* pass.

        Raises:
            ValueError: *seconds* is below 0; `move_to()` sets a clock back.
        """
        if seconds < 0:
            raise ValueError(f"seconds is {seconds!r}; time only passes. A clock that is set back is move_to()")
        self._wall_us += round(seconds * 1e6)
        self._steady_us += round(seconds * 1e6)

    def move_to(self, at: datetime | str) -> None:
        """Set the clock to another moment, as an administrator would: durations of running runs do not see it."""
        self._wall_us = _micros(at)

    def __enter__(self) -> FrozenClock:
        """Put this clock in place."""
        if self._before is None:
            self._before = clock.time_ns, clock.monotonic_ns
        clock.time_ns, clock.monotonic_ns = self._time_ns, self._monotonic_ns
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put back the clock that was there before."""
        if self._before is not None:
            (clock.time_ns, clock.monotonic_ns), self._before = self._before, None

    def _time_ns(self) -> int:
        return self._wall_us * 1000

    def _monotonic_ns(self) -> int:
        return self._steady_us * 1000


def _micros(at: datetime | str) -> int:
    if isinstance(at, datetime) and at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; give it one, as datetime(2026, 1, 1, tzinfo=UTC)")
    moment = at if isinstance(at, datetime) else parse_time(at)
    return (moment - _EPOCH) // _MICROSECOND
