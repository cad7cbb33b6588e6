"""Make up from the journal for what was not written, gently: the agent's own work goes first."""

from __future__ import annotations

import time
from pathlib import Path

from ...plugins.errors import Retryable, StoreError
from .connection import Damaged, Database

__all__ = ["Healer"]

_SLICE_S = 0.05
_PAUSE_S = 0.05
_LOCK_WAIT_S = 0.1
_FIRST_REST_S = 1.0
_LONGEST_REST_S = 60.0


class Healer:
    """
    Catch a store up with its journal, slice by slice, when it was called for; without a journal there is nothing to do.

    Attributes:
        is_urgent: something is known to be missing in the store.
        fault: why the last try failed, None when it did not.
    """

    def __init__(self, database: Database, journal_dir: Path | None) -> None:
        self._database = database
        self._journal_dir = journal_dir
        self.is_urgent = False
        self.fault: StoreError | Retryable | None = None
        self._calls = self._heard = 0
        self._due_at = 0.0
        self._rest_s = _FIRST_REST_S

    @property
    def is_called(self) -> bool:
        """Whether there is healing to do, now or later."""
        return self._calls != self._heard

    def call(self, delay_s: float = 0.0, *, is_urgent: bool = True) -> None:
        """Ask for healing in *delay_s* seconds."""
        if self._journal_dir is None:
            return
        self._due_at = time.monotonic() + delay_s
        self.is_urgent |= is_urgent
        self._calls += 1

    def rest_s(self) -> float:
        """Return the pause after a failure: 1 s, then twice as long each time, 60 s at most."""
        pause_s, self._rest_s = self._rest_s, min(self._rest_s * 2, _LONGEST_REST_S)
        return pause_s

    def step(self, *, is_hurried: bool = False) -> float | None:
        """
        Do one slice; return the seconds until the next, None when nothing is left.

        Raises:
            Damaged: the file is no database any more.
        """
        if self._journal_dir is None or not self.is_called:
            return None
        wait_s = self._due_at - time.monotonic()
        if wait_s > 0 and not is_hurried:
            return wait_s
        calls = self._calls  # what is called for from here on may lie behind the place that this slice reads up to
        try:
            is_done = self._catch_up(self._journal_dir)
        except Damaged:
            raise
        except (Retryable, StoreError) as error:
            return self._failed(error)
        except OSError as error:  # the journal's: no descriptor is left, say
            return self._failed(StoreError(f"the journal in {self._journal_dir} cannot be read: {error}"))
        self.fault, self._rest_s = None, _FIRST_REST_S
        if is_done:
            self._heard = calls
            self.is_urgent = self.is_called
        return 0.0 if is_done else _PAUSE_S

    def _catch_up(self, journal_dir: Path) -> bool:
        # Imported late: an agent whose store never falls behind does not pay for the journal's reader.
        from .catch_up import RUNS, CatchUp

        return CatchUp(self._database, journal_dir, wait_s=_LOCK_WAIT_S).run(RUNS, deadline_s=_SLICE_S)

    def _failed(self, error: StoreError | Retryable) -> float:
        self.fault = error
        pause_s = self.rest_s()
        self._due_at = time.monotonic() + pause_s
        return pause_s
