"""Take a record that fails while others are taken out of their way, and try it again at growing distances, for ever."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from attrs import evolve

from ...plugins.errors import Retryable
from ...plugins.ids import get_iso8601_timestamp, parse_time
from ...plugins.records import MetricsUpdate, Record, RunRecord
from .dead import DeadLetter, Letters
from .feed import Fed
from .places import Places

__all__ = ["Aside"]

_LONGEST_S = 86_400.0
_MOST_AT_ONCE = 256
_BEHIND = "waits for a record of its run that is aside"


class Aside:
    """
    The records that wait apart: `{state}/{sink}.aside.ndjson`.

    Each is tried again after *first_s*, then at twice the distance each time, at last once a day. What a run says of
    itself stays in order: behind a start or metrics that are aside, its end goes aside as well. Events do not wait,
    they carry their own time. Only the process that delivers changes anything here, but for `Outbox.retry_dead()`.

    Args:
        first_s: seconds until the first try, not negative.

    Attributes:
        count: how many there were at the last look.
    """

    def __init__(self, places: Places, first_s: float) -> None:
        self._path = places.aside
        self._letters = Letters(places.aside, places.aside_lock)
        self._first_s = first_s
        self.count = 0
        self._seen: tuple[int, int] | None = None
        self._firsts: dict[str, Record] = {}
        self._due_at: str | None = None

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield who is aside, oldest first, each once."""
        return iter(self._letters)

    def look(self) -> None:
        """Read who is aside, if that changed since the last look."""
        seen = _stamp_of(self._path)
        if seen != self._seen:
            letters = list(self._letters)
            self._seen, self.count = seen, len(letters)
            in_order = [letter.record for letter in letters if _is_in_order(letter.record)]
            self._firsts = {record.run_id: record for record in reversed(in_order)}
            self._due_at = _first_due(letters)

    def parted(self, waiting: Sequence[Fed]) -> tuple[list[tuple[Fed, Retryable]], list[Fed]]:
        """Return those that have to stay behind one of their run that is aside, with that as the reason; and others."""
        self.look()
        if not self._firsts:
            return [], list(waiting)
        behind = [fed for fed in waiting if self._is_behind(fed.item.record)]
        kept = {fed.item.key for fed in behind}
        return [(fed, Retryable(_BEHIND)) for fed in behind], [fed for fed in waiting if fed.item.key not in kept]

    def _is_behind(self, record: Record) -> bool:
        first = self._firsts.get(record.run_id) if _is_in_order(record) else None
        if first is None:
            return False
        # One that somebody queued again by its key stood before what is still aside, and must not get behind it.
        is_before = record.writer == first.writer and (record.seq or 0) <= (first.seq or 0)
        return not is_before

    @property
    def wait_s(self) -> float | None:
        """Seconds until the next one is due, None when none is aside."""
        return None if self._due_at is None else max(0.0, _seconds_of(self._due_at) - time.time())

    def add(self, put: Sequence[tuple[Fed, str, int]]) -> None:
        """
        Put records aside, each with the reason and the number of tries; on disk when this returns.

        Raises:
            OSError: they cannot be written.
            StoreError: another process does not let go of the file.
        """
        if put:
            when, again_at = _now(), get_iso8601_timestamp(time.time() + self._first_s)
            self._letters.add(
                [DeadLetter(when, why, tries, fed.item.key, fed.item.record, again_at) for fed, why, tries in put]
            )
            self.look()

    def due(self) -> Sequence[DeadLetter]:
        """Return those that are to be tried now, oldest first, 256 at most; none before the first of their run."""
        self.look()
        if self.wait_s != 0.0:
            return ()
        return list(islice(_ready(self._letters, _now()), _MOST_AT_ONCE))

    def settle(self, done: Collection[str], failed: Mapping[str, str], put_off: Collection[str]) -> None:
        """
        Forget those with a key in *done*; set a later time for those in *failed*, with the reason, and in *put_off*.

        Raises:
            OSError: the file cannot be written.
            StoreError: another process does not let go of it.
        """

        def settled(letter: DeadLetter) -> DeadLetter | None:
            if letter.key in done:
                return None
            if letter.key in failed:
                letter = evolve(letter, reason=failed[letter.key], attempts=letter.attempts + 1)
                return evolve(letter, again_at=self._later(letter))
            return evolve(letter, again_at=self._later(letter)) if letter.key in put_off else letter

        self._letters.revise(settled)
        self.look()

    def _later(self, letter: DeadLetter) -> str:
        # As far ahead as the record has been aside: each distance is twice the one before, and needs no count.
        been_s = min(time.time() - _seconds_of(letter.when), _LONGEST_S)
        return get_iso8601_timestamp(time.time() + max(self._first_s, been_s))


def _ready(letters: Iterable[DeadLetter], now: str) -> Iterator[DeadLetter]:
    """Yield the letters that are due at *now*, none before one of its run that is not."""
    held: set[str] = set()
    for letter in letters:
        is_in_order = _is_in_order(letter.record)
        if _due_at(letter, now) <= now and not (is_in_order and letter.record.run_id in held):
            yield letter
        elif is_in_order:
            held.add(letter.record.run_id)


def _first_due(letters: Iterable[DeadLetter]) -> str | None:
    """Return when the first of *letters* is due that has none of its run before it, None without any."""
    firsts: dict[str, DeadLetter] = {}
    for letter in letters:
        firsts.setdefault(letter.record.run_id if _is_in_order(letter.record) else letter.key, letter)
    now = _now()
    return min((_due_at(letter, now) for letter in firsts.values()), default=None)


def _is_in_order(record: Record) -> bool:
    return isinstance(record, RunRecord | MetricsUpdate)


def _due_at(letter: DeadLetter, now: str) -> str:
    # One that was put aside in the future was so by a clock that was wrong, and would wait for as long.
    return now if letter.when > now else letter.again_at or letter.when


def _seconds_of(moment: str) -> float:
    return parse_time(moment).timestamp()


def _now() -> str:
    return get_iso8601_timestamp(time.time())  # by the true time, whatever clock a test gives the records


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
