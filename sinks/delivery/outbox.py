"""Look into a delivery from outside, in any process: what waits, what is dead, and how to try it again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from ...plugins.context import SinkContext
from ...plugins.errors import StoreError
from ...plugins.lines import encode_line
from ...plugins.records import Record, RunRecord
from ..journal import Journal
from .cursor import Cursor, Trouble, load_cursor
from .dead import DeadLetter, DeadLetters, Letters
from .feed import Fed, Feed
from .places import Places
from .rewinding import rewind
from .sources import Source, sources_of
from .wants import Wants

__all__ = ["Outbox", "OutboxStatus", "dead_letters", "retry_dead", "status"]

_PAGE = 1000
_PAGE_BYTES = 4 << 20


@frozen
class OutboxStatus:
    """
    How the delivery of one sink stands.

    Args:
        pending: records that wait.
        oldest: time of the first of them, ISO 8601 text in UTC; None when nothing waits.
        aside: records that failed while others were taken, and wait apart; they are not among the pending.
        dead: dead letters.
        trouble: what holds the delivery up, None when nothing does.
        has_begun: whether the sink was ever opened here.
    """

    sink: str
    pending: int
    oldest: str | None
    aside: int
    dead: int
    trouble: Trouble | None
    has_begun: bool


@frozen
class Outbox:
    """
    The three functions below for one sink, with all that they want to know.

    `reports` says whether the journal tells of each run that the sink took.
    """

    context: SinkContext
    wants: Wants
    reports: bool = True
    is_backfill: bool = False

    def status(self) -> OutboxStatus:
        """Return how the delivery stands."""
        return status(self.context.state_dir, self.context.sink_name, self.context.journal_dir, self.wants)

    def first_day_needed(self) -> str | None:
        """Return the day (UTC, `YYYYMMDD`) of the shared journal with the first line to deliver, None without any."""
        cursor = self._cursor()
        if self.context.journal_dir is None or cursor is None:
            return None
        shared = sources_of(self._places, self.context.journal_dir, cursor)[-1]
        first = next(_waiting([shared], cursor, self.wants), None)
        return None if first is None else first.spot[0][len("events_") :][:8]

    def ends(self) -> dict[str, int | None]:
        """Return where each file that is delivered ends now; None where nothing can be added any more."""
        return {
            source.name_of(file): None if file.is_closed else file.size
            for source in sources_of(self._places, self.context.journal_dir, Cursor())
            for file in source.files()
        }

    def left_of(self, ends: Mapping[str, int | None]) -> Iterator[str]:
        """Yield the keys of the records that wait and stood before *ends*, which `ends()` gave, oldest first."""
        cursor = self._cursor()
        sources = sources_of(self._places, self.context.journal_dir if cursor else None, cursor or Cursor())
        for fed in _waiting(sources, cursor or Cursor(), self.wants):
            end = ends.get(fed.spot[0], 0)
            if end is None or fed.offset < end:
                yield fed.item.key

    @property
    def _places(self) -> Places:
        return Places(self.context.state_dir, self.context.sink_name)

    def _cursor(self) -> Cursor | None:
        """Return where the delivery begins, None when the sink was never opened here."""
        cursor = _cursor_in(self._places)
        if self.is_backfill and (cursor is None or cursor.first_day):
            return Cursor()  # as the pump does: such a sink begins with the whole journal
        return cursor

    def rewind(self, day: str) -> None:
        """Have the shared journal delivered again from *day* (`YYYYMMDD`, UTC, empty for all of it) on."""
        rewind(self.context.state_dir, self.context.sink_name, day)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Yield the dead letters, oldest first."""
        return dead_letters(self.context.state_dir, self.context.sink_name)

    def aside(self) -> Iterator[DeadLetter]:
        """Yield what is out of the way and tried again by itself, oldest first."""
        return iter(_aside_in(self._places))

    def retry_dead(self, keys: Collection[str] | None = None) -> int:
        """Queue dead letters again, and what is aside; return how many."""
        return retry_dead(self.context.state_dir, self.context.sink_name, keys)


def status(state_dir: Path, sink: str, journal_dir: Path | None = None, wants: Wants | None = None) -> OutboxStatus:
    """
    Return how the delivery of *sink* stands; reads what waits, writes nothing.

    Args:
        state_dir: `{base}/state`.
        journal_dir: where the journal lies, None when no sink keeps one.
        wants: which records the sink takes; ended runs when left out.

    Raises:
        StoreError: the cursor is damaged, or a later version wrote it.
    """
    places = Places(state_dir, sink)
    cursor = _cursor_in(places)
    pending, oldest = _counted(places, cursor or Cursor(), journal_dir if cursor else None, wants or _ENDED_RUNS)
    aside, dead = (sum(1 for _ in letters) for letters in (_aside_in(places), DeadLetters(places)))
    trouble = cursor.trouble if cursor else None
    return OutboxStatus(sink, pending, oldest, aside, dead, trouble, cursor is not None)


def dead_letters(state_dir: Path, sink: str) -> Iterator[DeadLetter]:
    """Yield the dead letters of *sink*, oldest first."""
    return iter(DeadLetters(Places(state_dir, sink)))


def retry_dead(state_dir: Path, sink: str, keys: Collection[str] | None = None) -> int:
    """
    Queue dead letters again, and what is aside, under their old keys; return how many.

    The next pump that wakes delivers them.

    Args:
        keys: of the letters; all when None.

    Raises:
        OSError: they cannot be written.
        StoreError: another process does not let go of the dead letters.
    """
    places = Places(state_dir, sink)
    kinds = (_aside_in(places), DeadLetters(places))
    return sum(letters.retry(keys, lambda chosen: _requeue(places, chosen)) for letters in kinds)


def _aside_in(places: Places) -> Letters:
    return Letters(places.aside, places.aside_lock)


def _requeue(places: Places, letters: Sequence[DeadLetter]) -> None:
    journal = Journal(places.journal)
    try:
        for letter in letters:
            journal.append(encode_line(letter.record))
    finally:
        journal.close()


def _cursor_in(places: Places) -> Cursor | None:
    try:
        return load_cursor(places.cursor)
    except ValueError as error:
        raise StoreError(f"{error}; the next process that delivers makes it anew") from error


def _counted(places: Places, cursor: Cursor, journal_dir: Path | None, wants: Wants) -> tuple[int, str | None]:
    """Return how many records wait, and the time of the first."""
    waiting = _waiting(sources_of(places, journal_dir, cursor), cursor, wants)
    first = next(waiting, None)
    return (0, None) if first is None else (1 + sum(1 for _ in waiting), _time_of(first.item.record))


def _waiting(sources: Sequence[Source], cursor: Cursor, wants: Wants) -> Iterator[Fed]:
    """Yield what waits behind *cursor*."""
    feed = Feed(sources, cursor.marks, wants)
    done = set(cursor.ahead)
    size = 1  # often only the first is asked for
    try:
        while page := feed.read(size, _PAGE_BYTES):
            yield from (fed for fed in page if fed.item.key not in done)
            size = _PAGE
    finally:
        feed.close()


def _time_of(record: Record) -> str:
    if isinstance(record, RunRecord):
        return record.end_time or record.start_time
    return record.timestamp


def _is_ended_run(record: Record) -> bool:
    return isinstance(record, RunRecord) and not record.is_running


_ENDED_RUNS = Wants(test=_is_ended_run)
