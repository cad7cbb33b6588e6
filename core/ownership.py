"""Answer for this process's runs while it lives, and look after those whose process has died."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs

from ..plugins.complaints import Complaints
from ..plugins.errors import Retryable
from ..plugins.records import RunRecord
from ..plugins.worker import Worker
from .bus import Bus
from .claims import Claim
from .liveness import forget_all
from .shield import attempt
from .verdicts import judge

__all__ = ["Ownership"]

_TRIES, _PAUSE_S = 5, 0.5
_complaints = Complaints(logging.getLogger("telemetry.verdicts"))


class Ownership:
    """
    The claim of one client in one process, and its look at the claims of others.

    Never raises: without a claim runs are recorded all the same, they only get no verdict if this process dies.

    Args:
        state_dir: where the claims lie, in `live/`; None when this client keeps no files.
        open_store: opens a store for the runs of the dead.
    """

    def __init__(self, state_dir: Path | None, bus: Bus, open_store: Callable[[], Any]) -> None:
        self._folder = state_dir / "live" if state_dir is not None else None
        self._bus = bus
        self._open_store = open_store
        self._inherited: frozenset[str] = frozenset()
        self._claim = self._new_claim()
        self._tries_left = _TRIES
        self._worker = Worker(self._judge_once, name="verdicts")

    def _new_claim(self) -> Claim | None:
        return Claim(self._folder, self._bus.writer) if self._folder is not None else None

    @property
    def is_claimed(self) -> bool:
        """Whether this client holds its claim."""
        return self._claim is not None and self._claim.is_held

    def take(self) -> None:
        """Claim to be alive; called at each start of a run, done at the first and looked at once a second."""
        claim = self._claim
        if claim is not None and time.monotonic() >= claim.sure_until:
            self._tried(claim.take)

    def is_inherited(self, run_id: str) -> bool:
        """Whether the run was open in the parent when this process was forked; if so it is adopted from now on."""
        if run_id not in self._inherited:
            return False
        if self._claim is not None:
            self._tried(self._claim.adopt, run_id)
        return True

    def leave(self, has_open_runs: bool) -> None:
        """Give the claim back, or say at the exit of the process that runs are left open."""
        if self._claim is not None:
            self._tried(self._claim.mark_exit if has_open_runs else self._claim.release)

    def look(self) -> None:
        """See whether anybody else claims to live here, and if so judge the dead among them behind the caller."""
        if self._folder is None:
            return
        names, failure = attempt(_claims_in, self._folder)
        if failure is None and any(not name.startswith(self._bus.writer) for name in names):
            self._tries_left = _TRIES
            self._worker.wake()

    def judge(self) -> None:
        """Judge the dead now, in the caller's thread."""
        if self._folder is not None:
            self._tried(judge, self._folder, self._open_store, self._publish)

    def forked(self, open_runs: Iterable[str]) -> None:
        """Start anew in the child of a fork: the parent's runs are adopted only when the child writes to them."""
        if self._claim is not None:
            self._tried(self._claim.let_go)
        forget_all()
        self._inherited = self._inherited.union(open_runs)
        self._claim = self._new_claim()

    def close(self, deadline_s: float) -> None:
        """End the look at others."""
        self._worker.stop(deadline_s)

    def _judge_once(self) -> float | None:
        assert self._folder is not None
        _, failure = attempt(judge, self._folder, self._open_store, self._publish)
        self._tries_left -= 1
        if isinstance(failure, Retryable) and self._tries_left > 0:
            return _PAUSE_S  # a database that is locked, or closed because the agent forks just now
        self._complain(failure)
        return None

    def _publish(self, run: RunRecord) -> None:
        lost = self._bus.losses.total
        writer, seq = self._bus.stamp()
        self._bus.publish(attrs.evolve(run, writer=writer, seq=seq))
        if self._bus.losses.total > lost:
            # On a disk that is full, say: the claim of the dead has to stay for whoever looks when there is room.
            raise Retryable("the journal did not take the verdict on a dead run; it is written at a later look")

    def _tried(self, act: Callable[..., Any], *args: Any) -> None:
        self._complain(attempt(act, *args)[1])

    def _complain(self, failure: BaseException | None) -> None:
        if failure is not None:
            _complaints.say(type(failure).__name__, "verdicts on dead runs are not possible here: %s", failure)


def _claims_in(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.json")] if folder.is_dir() else []
