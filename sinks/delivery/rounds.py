"""Try to deliver what waits, once: in order per run, and such that one bad record holds up nothing but itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import define, field

from ...plugins.errors import Refused, Retryable, TelemetryError, Unreachable
from .border import Deliver, errors_of
from .feed import Fed

__all__ = ["MOST_PROBES", "Round"]

MOST_PROBES = 10
"""The most items that a round tries one after another while none is answered for."""


@define
class Round:
    """
    One walk along the waiting items; what came of it stands in its lists, what is in none was not tried.

    A batch that is refused is split until the record that is at fault stands alone.

    Args:
        batch: how many items are delivered at once.
        patience: how many failures in a row end the round. Usually the first; but more tell a record that the other
            side cannot digest from an outage, where the next ones fail as well.
        is_over: asked before each batch but the first; ends the round early.
        witnesses: items from anywhere in the walk, each the first of its run. Before the round ends for failures, the
            next of them is tried: if that is answered for, it was no outage, and the walk goes on.
        most: how many items are taken at most.

    Attributes:
        taken: delivered items.
        refused: items that will never be taken, with the reason.
        failed: items that are to be tried again, with the error.
        passed_by: keys of failed items after which the other side answered for another one.
        aside: items that are to get out of the way of the others, with the reason; whoever books the round fills it.
        is_unreachable: whether the round ended because nobody can be reached; that counts against no item.
    """

    deliver: Deliver
    batch: int
    patience: int
    is_over: Callable[[], bool]
    witnesses: Iterable[Fed] = ()
    most: int = sys.maxsize
    taken: list[Fed] = field(factory=list)
    refused: list[tuple[Fed, Refused]] = field(factory=list)
    failed: list[tuple[Fed, Retryable]] = field(factory=list)
    passed_by: set[str] = field(factory=set)
    aside: list[tuple[Fed, Retryable]] = field(factory=list)
    is_unreachable: bool = False
    _held_runs: set[str] = field(factory=set)
    _tried: set[str] = field(factory=set)
    _misses: int = 0

    def run(self, waiting: Sequence[Fed]) -> None:
        """Deliver *waiting* until it is done, time is up, or the other side cannot be reached."""
        witnesses = iter(self.witnesses)
        for number, chunk in enumerate(_chunks(waiting, self.batch)):
            if number and (len(self.taken) >= self.most or self.is_over()):
                return
            if self._is_outage and not self._is_denied_by(witnesses):
                return
            self._send(chunk)

    def _is_denied_by(self, witnesses: Iterator[Fed]) -> bool:
        """Return whether the other side answers for the next of *witnesses*, so that this is no outage after all."""
        witness = None if self.is_unreachable else next(filter(self._may_go, witnesses), None)
        if witness is not None:
            self._send((witness,))
        return not self._is_outage

    def _may_go(self, fed: Fed) -> bool:
        # What follows a failed record of the same run waits with it: in order per run.
        return fed.item.key not in self._tried and fed.item.record.run_id not in self._held_runs

    @property
    def has_answer(self) -> bool:
        """Whether the other side took or refused anything."""
        return bool(self.taken or self.refused)

    @property
    def _is_outage(self) -> bool:
        return self.is_unreachable or self._misses >= self.patience

    def _send(self, chunk: Sequence[Fed]) -> None:
        chunk = list(filter(self._may_go, chunk))
        if not chunk:
            return
        errors = errors_of(self.deliver, [fed.item for fed in chunk])
        if isinstance(errors, Refused) and len(chunk) > 1:
            self._send_halves(chunk)
        elif isinstance(errors, TelemetryError):
            self._sort(chunk, dict.fromkeys((fed.item.key for fed in chunk), errors))
        else:
            self._sort(chunk, errors)

    def _send_halves(self, chunk: Sequence[Fed]) -> None:
        middle = len(chunk) // 2
        self._send(chunk[:middle])
        if not self._is_outage:
            self._send(chunk[middle:])

    def _sort(self, chunk: Sequence[Fed], errors: Mapping[str, TelemetryError]) -> None:
        has_failed = has_answer = False
        self._tried.update(fed.item.key for fed in chunk)
        for fed in chunk:
            match errors.get(fed.item.key):
                case None:
                    self.taken.append(fed)
                    has_answer = True
                case Refused() as error:
                    self.refused.append((fed, error))
                    has_answer = True
                case Retryable() as error:
                    self.failed.append((fed, error))
                    self._held_runs.add(fed.item.record.run_id)
                    self.is_unreachable |= isinstance(error, Unreachable)
                    has_failed = True
        self._misses = self._misses + 1 if has_failed else 0
        if has_answer:
            self.passed_by.update(fed.item.key for fed, why in self.failed if not isinstance(why, Unreachable))


def _chunks(waiting: Sequence[Fed], size: int) -> Iterator[Sequence[Fed]]:
    for start in range(0, len(waiting), size):
        yield waiting[start : start + size]
