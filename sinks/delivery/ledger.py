"""Book what became of each item: tell the bus, bury what is refused, and find the record that blocks the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from ...plugins.complaints import Complaints
from ...plugins.errors import Refused, Retryable, TelemetryError
from ...plugins.ids import get_iso8601_timestamp
from ...plugins.records import DeliveryReport, RunRecord
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

    A record that fails while others are answered for gets a strike; at the eighth it is taken for one that the other
    side cannot digest, and buried. An outage gives no strikes.

    Attributes:
        delivered: items taken since this object was made.
        refused: items buried since then.
    """

    def __init__(self, places: Places, report: Callable[[DeliveryReport], None]) -> None:
        self._places = places
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
        """Count and report what failed; what has its last strike is refused from now on."""
        failed, found.failed = found.failed, []
        for number, (fed, error) in enumerate(failed):
            key = fed.item.key
            self._tries[key] = self._tries.get(key, 0) + 1
            if key in found.passed_by:
                self._strikes[key] = self._strikes.get(key, 0) + 1
            if self._strikes.get(key, 0) >= _MOST_STRIKES:
                found.refused.append((fed, _given_up(error)))
                continue
            found.failed.append((fed, error))
            if number < _MOST_TOLD:
                self._tell(fed, is_ok=False, attempts=self._tries[key])

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
        if isinstance(record, RunRecord) and not record.is_running:
            now = get_iso8601_timestamp()
            self._report(DeliveryReport(record.run_id, now, self._places.sink, is_ok, attempts, reason))

    def _forget(self, fed: Fed) -> int:
        self._strikes.pop(fed.item.key, None)
        return self._tries.pop(fed.item.key, 0)


def _words_of(error: TelemetryError) -> str:
    # One line of bounded length: it stands in log lines, in the journal, and in files that are written again and again.
    return " ".join(str(error).split())[:_MOST_CHARACTERS]


def _given_up(error: Retryable) -> Refused:
    return Refused(f"given up: failed {_MOST_STRIKES} times while other records were taken; at last: {error}")
