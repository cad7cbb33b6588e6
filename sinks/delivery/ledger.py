"""Book what became of each item: tell the bus, bury what is refused, and take out of the way what blocks the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from ...plugins.complaints import Complaints
from ...plugins.errors import Refused, Retryable, TelemetryError
from ...plugins.ids import get_iso8601_timestamp
from ...plugins.records import DeliveryReport, RunRecord
from .aside import Aside
from .cursor import Trouble
from .dead import DeadLetter, DeadLetters
from .feed import Fed
from .places import Places
from .rounds import Round

__all__ = ["Ledger"]

_MOST_STRIKES = 8
_MOST_CHARACTERS = 500
_MOST_TOLD = 10
"""How many failed runs one round reports: each is a line in the journal, and an outage may last for days."""


class Ledger:
    """
    The counts behind the reports.

    A record that fails while others are answered for gets a strike; at the eighth it is put aside. It is not given up
    for that: a server that is up and down fails good records as well. An outage gives no strikes.

    Args:
        aside: takes what gets out of the way.
        report: tells the bus what became of a run, None where nobody is to be told.

    Attributes:
        delivered: items taken since this object was made.
        refused: items buried since then.
    """

    def __init__(self, places: Places, aside: Aside, report: Callable[[DeliveryReport], None] | None) -> None:
        self._places = places
        self.aside = aside
        self._report = report
        self._dead_letters = DeadLetters(places)
        self._complaints = Complaints(logging.getLogger("telemetry.delivery"))
        self._tries: dict[str, int] = {}
        self._strikes: dict[str, int] = {}
        self.delivered = 0
        self.refused = 0

    def resume(self, trouble: Trouble | None) -> None:
        """Go on counting where the process before stopped."""
        if trouble is not None:
            self._tries[trouble.key] = max(trouble.attempts, self._tries.get(trouble.key, 0))
            if trouble.strikes:
                self._strikes[trouble.key] = max(trouble.strikes, self._strikes.get(trouble.key, 0))

    def clear(self) -> None:
        """Forget all counts of single records: nothing waits any more."""
        self._tries.clear()
        self._strikes.clear()

    def tries_of(self, fed: Fed) -> int:
        """Return how often *fed* has failed."""
        return self._tries.get(fed.item.key, 0)

    def are_suspects(self, failed: Sequence[Fed]) -> bool:
        """Return whether *failed* are records that failed while others were taken, and witnesses that are not new."""
        return self.is_suspect(failed[0]) and all(self.is_suspect(fed) or self.tries_of(fed) > 1 for fed in failed)

    def is_suspect(self, fed: Fed) -> bool:
        """Return whether *fed* failed while others were answered for."""
        return fed.item.key in self._strikes

    @property
    def most_strikes(self) -> int:
        """The strikes of the record that has most, 0 when none is suspected."""
        return max(self._strikes.values(), default=0)

    def book_taken(self, taken: Iterable[Fed]) -> None:
        """Count and report what was delivered."""
        for fed in taken:
            self.delivered += 1
            self._tell(fed, attempts=self._forget(fed))

    def book_failed(self, found: Round) -> None:
        """Count and report what failed; what has its last strike is to go aside."""
        failed, found.failed = found.failed, []
        for number, (fed, error) in enumerate(failed):
            key = fed.item.key
            self._tries[key] = self._tries.get(key, 0) + 1
            if key in found.passed_by:
                self._strikes[key] = self._strikes.get(key, 0) + 1
            if self._strikes.get(key, 0) >= _MOST_STRIKES:
                found.aside.append((fed, error))
                continue
            found.failed.append((fed, error))
            if number < _MOST_TOLD:
                self._tell(fed, is_ok=False, attempts=self._tries[key])

    def set_aside(self, put: Sequence[tuple[Fed, Retryable]]) -> None:
        """
        Write *put* to the records aside, then report those that failed; others only wait for them.

        Raises:
            OSError: they cannot be written.
            StoreError: another process does not let go of them.
        """
        self.aside.add([(fed, _words_of(why), self.tries_of(fed)) for fed, why in put])
        for fed, why in put:
            if tries := self._forget(fed):
                self._tell(fed, is_ok=False, attempts=tries)
                self._complaints.say(
                    "aside",
                    "sink %s: run %s failed while others were taken, and is tried again later: %s",
                    *(self._places.sink, fed.item.record.run_id, _words_of(why)),
                )

    def book_visit(self, letters: Sequence[DeadLetter], found: Round) -> None:
        """
        Book what became of *letters*, which were aside: only what was taken or refused leaves.

        Raises:
            OSError: it cannot be written down; then they are tried again.
            StoreError: another process does not let go of them.
        """
        self._tries.update((letter.key, letter.attempts) for letter in letters)
        self.bury(found.refused)
        answered = [*found.taken, *(fed for fed, _ in found.refused)]
        failed = {fed.item.key: _words_of(why) for fed, why in found.failed}
        # None was answered for: that is an outage, and to try the rest of them at once would tell nothing.
        put_off = [] if answered else [letter.key for letter in letters]
        self.aside.settle([fed.item.key for fed in answered], failed, put_off)
        self.book_taken(found.taken)
        for letter in letters:
            self._tries.pop(letter.key, None)

    def bury(self, refused: Sequence[tuple[Fed, Refused]]) -> None:
        """
        Write *refused* to the dead letters, then report it.

        Raises:
            OSError: they cannot be written.
            StoreError: another process does not let go of them.
        """
        if not refused:
            return
        now = get_iso8601_timestamp()
        self._dead_letters.add(
            [DeadLetter(now, _words_of(why), self.tries_of(fed), fed.item.key, fed.item.record) for fed, why in refused]
        )
        for fed, why in refused:
            self.refused += 1
            self._tell(fed, is_ok=False, attempts=self._forget(fed), reason=_words_of(why))
            self._complaints.say(
                "refused",
                "sink %s: run %s was refused and lies in %s: %s",
                *(self._places.sink, fed.item.record.run_id, self._places.dead_letters, _words_of(why)),
            )

    def trouble(self, found: Round, known: Trouble | None, retry_at: str) -> Trouble:
        """Return what holds the delivery up after *found*; *known* is what did before."""
        fed, error = found.failed[0]
        return Trouble(
            since=known.since if known is not None else get_iso8601_timestamp(),
            attempts=self.tries_of(fed),
            strikes=self._strikes.get(fed.item.key, 0),
            reason=_words_of(error),
            run_id=fed.item.record.run_id,
            key=fed.item.key,
            retry_at=retry_at,
        )

    def _tell(self, fed: Fed, *, is_ok: bool = True, attempts: int, reason: str | None = None) -> None:
        # Reports speak of runs that ended: events would make a line of the journal for every line of it.
        record = fed.item.record
        if self._report is not None and isinstance(record, RunRecord) and not record.is_running:
            now = get_iso8601_timestamp()
            self._report(DeliveryReport(record.run_id, now, self._places.sink, is_ok, attempts, reason))

    def _forget(self, fed: Fed) -> int:
        self._strikes.pop(fed.item.key, None)
        return self._tries.pop(fed.item.key, 0)


def _words_of(error: TelemetryError) -> str:
    # One line of bounded length: it stands in log lines, in the journal, and in files that are written again and again.
    return " ".join(str(error).split())[:_MOST_CHARACTERS]
