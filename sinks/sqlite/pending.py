"""Hold the records that wait behind the caller, in order and bounded, and count what became of each."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TypeAlias

from attrs import define, field

from ...plugins.commit_link import CommitLink
from ...plugins.complaints import Complaints
from ...plugins.errors import Retryable, TelemetryError
from ...plugins.records import DeliveryReport, RunRecord

__all__ = ["Counts", "Line", "Pending"]

Line: TypeAlias = RunRecord | DeliveryReport | CommitLink

_complaints = Complaints(logging.getLogger("telemetry.sqlite"))


@define
class Counts:
    """What became of the records: `left_to_journal` are found there by the next catch-up, `lost` nowhere."""

    written: int = 0
    deferred: int = 0
    left_to_journal: int = 0
    refused: int = 0
    lost: int = 0
    quarantined: int = 0


@define(eq=False)
class Pending:
    """
    The records that wait, and the state of the store that they wait for.

    Args:
        path: of the store, for what is said about it.
        limit: how many records may wait.
        has_journal: what cannot wait is found in a journal later.

    Attributes:
        fault: why the store takes nothing, None while it does.
    """

    path: str
    limit: int
    has_journal: bool
    counts: Counts = field(factory=Counts)
    fault: TelemetryError | None = None
    _lines: deque[Line] = field(factory=deque)
    _rest_until: float = 0.0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: Line) -> bool:
        """Let *line* wait; return False when it was left out instead."""
        if self.is_resting or len(self._lines) >= self.limit:
            self.leave_out(1)
            return False
        self.counts.deferred += 1
        self._lines.append(line)
        return True

    def first(self, count: int) -> list[Line]:
        """Return the *count* records that have waited longest."""
        # By index: an iteration over a deque fails when another thread, or a signal handler, adds to it meanwhile.
        return [self._lines[index] for index in range(min(count, len(self._lines)))]

    def take_off(self, lines: list[Line]) -> None:
        """Forget *lines*, which waited longest: they are written, or refused for good."""
        for line in lines:
            # Another thread may have given up meanwhile, at the end of its patience with a close().
            if self._lines and self._lines[0] is line:
                self._lines.popleft()

    def leave_out(self, count: int) -> None:
        """Count records that wait no longer, and say so when no journal has them."""
        if self.has_journal:
            self.counts.left_to_journal += count
        elif count:
            self.counts.lost += count
            _complaints.say(
                f"lost:{self.path}",
                "%s took no records for long; %d are lost, as no journal keeps them",
                self.path,
                count,
            )

    def give_up(self) -> None:
        """Leave everything that waits out."""
        count = 0
        while self._lines:
            self._lines.popleft()
            count += 1
        self.leave_out(count)

    def rest(self, pause_s: float) -> None:
        """Let no record wait for the next *pause_s* seconds: the store was given up, the journal is the quicker way."""
        self._rest_until = time.monotonic() + pause_s

    @property
    def is_resting(self) -> bool:
        """Whether the store was given up a moment ago."""
        if self._rest_until and time.monotonic() >= self._rest_until:
            self._rest_until = 0.0
        return bool(self._rest_until)

    def recover(self) -> None:
        """Note that the store takes records again."""
        self.fault, self._rest_until = None, 0.0

    def complain(self, error: TelemetryError) -> None:
        """Say once what is wrong with the store, and keep it for whoever asks."""
        if str(error) != str(self.fault):
            passes = self.has_journal and isinstance(error, Retryable)
            after = "; the journal has its runs, and they get there from it" if passes else ""
            _complaints.say(f"{self.path}: {type(error).__name__}", "%s%s", error, after)
        self.fault = error

    def refuse(self, line: Line, error: TelemetryError) -> None:
        """Count the record that waited longest as one that no store of this kind takes, and say so."""
        self.take_off([line])
        self.counts.refused += 1
        _complaints.say(f"refused:{self.path}", "a record of run %s is left out: %s", line.run_id, error)
