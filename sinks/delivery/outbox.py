"""Look into a delivery from outside, in any process: what waits, what is dead, and how to try it again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from attrs import frozen

from ...plugins.context import SinkContext
from ...plugins.errors import StoreError
from ...plugins.lines import encode_line
from ...plugins.records import Record, RunRecord
from ..journal import Journal
from .cursor import Cursor, Trouble, load_cursor
from .dead import DeadLetter, DeadLetters
from .feed import Feed, Wants
from .places import Places
from .sources import sources_of

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
        dead: dead letters.
        trouble: what holds the delivery up, None when nothing does.
        has_begun: whether the sink was ever opened here.
    """

    sink: str
    pending: int
    oldest: str | None
    dead: int
    trouble: Trouble | None
    has_begun: bool


@frozen
class Outbox:
    """The three functions below for one sink, with all that they want to know."""

    context: SinkContext
    wants: Wants

    def status(self) -> OutboxStatus:
        """Return how the delivery stands."""
        return status(self.context.state_dir, self.context.sink_name, self.context.journal_dir, self.wants)

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Yield the dead letters, oldest first."""
        return dead_letters(self.context.state_dir, self.context.sink_name)

    def retry_dead(self, keys: Collection[str] | None = None) -> int:
        """Queue dead letters again; return how many."""
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
    dead = sum(1 for _ in DeadLetters(places))
    trouble = cursor.trouble if cursor else None
    return OutboxStatus(sink, pending, oldest, dead, trouble, cursor is not None)


def dead_letters(state_dir: Path, sink: str) -> Iterator[DeadLetter]:
    """Yield the dead letters of *sink*, oldest first."""
    return iter(DeadLetters(Places(state_dir, sink)))


def retry_dead(state_dir: Path, sink: str, keys: Collection[str] | None = None) -> int:
    """
    Queue dead letters again, under their old keys; return how many. The next pump that wakes delivers them.

    Args:
        keys: of the letters; all when None.

    Raises:
        OSError: they cannot be written.
        StoreError: another process does not let go of the dead letters.
    """
    places = Places(state_dir, sink)
    return DeadLetters(places).retry(keys, lambda letters: _requeue(places, letters))


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
    feed = Feed(sources_of(places, journal_dir, cursor.first_day), cursor.marks, wants)
    count, oldest = 0, None
    done = set(cursor.ahead)
    while page := feed.read(_PAGE, _PAGE_BYTES):
        waiting = [fed for fed in page if fed.item.key not in done]
        count += len(waiting)
        if oldest is None and waiting:
            oldest = _time_of(waiting[0].item.record)
    return count, oldest


def _time_of(record: Record) -> str:
    if isinstance(record, RunRecord):
        return record.end_time or record.start_time
    return record.timestamp


def _is_ended_run(record: Record) -> bool:
    return isinstance(record, RunRecord) and not record.is_running


_ENDED_RUNS = Wants(test=_is_ended_run)
