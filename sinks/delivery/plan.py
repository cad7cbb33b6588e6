"""State what a sink asks of its delivery, as one value."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, field, frozen

from ...plugins.policies import RetryPolicy
from .border import Deliver
from .wants import Wants

__all__ = ["CAP_S", "LONGEST_PAUSE_S", "PATIENT", "Plan"]

CAP_S = 300.0
LONGEST_PAUSE_S = 3600.0
"""The longest pause that the other side may ask for; a clock that is wrong there must not stop us for a year."""

PATIENT = RetryPolicy((1, 2, 4), cap_s=CAP_S)
"""The usual pauses: 1, 2, 4 seconds, then each twice the one before, up to 300."""


def _endless(policy: RetryPolicy) -> RetryPolicy:
    # What waits is never given up, so a policy that ends is one that goes on at the usual cap.
    return policy if policy.cap_s is not None else evolve(policy, cap_s=CAP_S)


@frozen
class Plan:
    """
    How a sink wants to be delivered to.

    Args:
        deliver: takes a batch to the other side; see `Deliver`.
        policy: the pauses after failed tries; one without a cap goes on at 300 s.
        wants: which records.
        batch: how many are delivered at once.
        is_backfill: begin with the whole journal, not with what is written from now on.
        reports: tell the bus what became of each run.
        on_idle: called when nothing was left for some seconds.
    """

    deliver: Deliver
    policy: RetryPolicy = field(default=PATIENT, converter=_endless)
    wants: Wants = field(factory=Wants)
    batch: int = 1
    is_backfill: bool = False
    reports: bool = True
    on_idle: Callable[[], None] | None = None

    @property
    def first_aside_s(self) -> float:
        """The first distance of a record that is aside, in seconds: the longest pause of the policy."""
        return self.policy.cap_s or 0.0

    def pause_s(self, failures: int, asked_s: float | None) -> float:
        """
        Return the pause after that many failed rounds, in seconds.

        Args:
            asked_s: what the other side asked for, None when it did not; at most an hour counts.
        """
        pause_s = self.policy.wait_s(max(1, failures)) or 0.0
        return pause_s if asked_s is None else max(pause_s, min(asked_s, LONGEST_PAUSE_S))
