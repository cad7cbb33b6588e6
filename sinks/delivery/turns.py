"""Say who is tried when some look as if they could not be digested: they hold up nobody, and order holds per run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from .feed import Fed

__all__ = ["in_turn", "witnesses_of"]


def in_turn(waiting: Sequence[Fed], is_suspect: Callable[[Fed], bool], patience: int) -> list[Fed]:
    """
    Return *waiting* with its suspects spread among the others, before rather than behind them.

    So each has an answer after it, if there is one, and not so many follow each other that they pass for an outage.
    All of a run go with its suspect.

    Args:
        patience: as many failures in a row end the round; half as many suspects follow each other, as long as there
            are others.
    """
    suspected = {fed.item.record.run_id for fed in waiting if is_suspect(fed)}
    suspects = [fed for fed in waiting if fed.item.record.run_id in suspected]
    others = [fed for fed in waiting if fed.item.record.run_id not in suspected]
    at_once = max(1, min(patience // 2, -(-len(suspects) // max(1, len(others)))))
    spread = [[*suspects[n * at_once : (n + 1) * at_once], other] for n, other in enumerate(others)]
    return [*chain.from_iterable(spread), *suspects[len(others) * at_once :]]


def witnesses_of(waiting: Sequence[Fed], tries_of: Callable[[Fed], int]) -> list[Fed]:
    """
    Return the first of each run in *waiting*, those with the fewest tries before others, and of these the newest.

    So each round that nobody answered asks another one, and who came since the last round is asked first.
    """
    firsts: dict[str, Fed] = {}
    for fed in waiting:
        firsts.setdefault(fed.item.record.run_id, fed)
    newest_first = list(reversed(firsts.values()))
    return sorted(newest_first, key=tries_of)
