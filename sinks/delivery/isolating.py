"""Send records one by one, to tell those that the other side cannot digest from an outage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .border import Deliver
from .feed import Fed
from .ledger import Ledger
from .rounds import MOST_PROBES, Round
from .turns import in_turn, witnesses_of

__all__ = ["isolate"]

_MOST_TAKEN = 64
"""How many one round takes: it bounds what a kill repeats, and the keys that the cursor has to hold."""


def isolate(
    deliver: Deliver, waiting: Sequence[Fed], ledger: Ledger, persistence: int, is_over: Callable[[], bool]
) -> Round:
    """
    Try *waiting* one by one, suspects among the others; return what came of it.

    Args:
        persistence: how many tries failed before; the more, the further this one looks.
    """
    patience = min(max(2, persistence - 2), MOST_PROBES)
    found = Round(deliver, 1, patience, is_over, witnesses_of(waiting, ledger.tries_of), _MOST_TAKEN)
    found.run(in_turn(waiting, ledger.is_suspect, patience))
    return found
