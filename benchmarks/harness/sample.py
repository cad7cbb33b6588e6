"""Reduce many measured times to the few numbers that say something: medians, tails, ratios round by round."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from attrs import define, field

__all__ = ["Sample", "quantile", "ratio"]


@define
class Sample:
    """
    What one contestant did in all rounds.

    `rounds` holds the nanoseconds of each call, round by round; `cpu_ns` the processor time that its process spent
    in a round, threads of its own included; `wall_ns` how long the round took.
    """

    rounds: list[list[int]] = field(factory=list)
    cpu_ns: list[int] = field(factory=list)
    wall_ns: list[int] = field(factory=list)

    @property
    def calls(self) -> int:
        """How many calls were measured."""
        return sum(map(len, self.rounds))

    @property
    def median_us(self) -> float:
        """The median call in microseconds."""
        return statistics.median(self._all()) / 1000

    @property
    def p99_us(self) -> float:
        """The call that 99 of 100 were quicker than, in microseconds."""
        return quantile(self._all(), 0.99) / 1000

    @property
    def cpu_us(self) -> float:
        """Processor time a call in microseconds, the median round."""
        per_call = [cpu / len(calls) for cpu, calls in zip(self.cpu_ns, self.rounds, strict=True)]
        return statistics.median(per_call) / 1000

    @property
    def per_s(self) -> float:
        """Calls a second, the median round."""
        return statistics.median(self.rates())

    def rates(self) -> list[float]:
        """Return the calls a second of each round."""
        return [len(calls) * 1e9 / wall for calls, wall in zip(self.rounds, self.wall_ns, strict=True)]

    def medians(self) -> list[float]:
        """Return the median nanoseconds of each round."""
        return [statistics.median(calls) for calls in self.rounds]

    def _all(self) -> list[int]:
        return [ns for calls in self.rounds for ns in calls]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of *values* that at least this *share* of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """
    Return how many times *theirs* is *ours*: the median over the rounds, each compared with its own neighbour.

    What the machine did besides hit both halves of a round alike, so it drops out.
    """
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
