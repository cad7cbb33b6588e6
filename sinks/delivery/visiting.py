"""Try the records that are aside and due, one by one; an outage puts all of them off."""

from __future__ import annotations

from collections.abc import Callable

from .border import Deliver
from .feed import Fed
from .item import Item
from .ledger import Ledger
from .rounds import MOST_PROBES, Round
from .turns import witnesses_of

__all__ = ["visit"]

_NOWHERE = ("", "")


def visit(deliver: Deliver, ledger: Ledger, is_over: Callable[[], bool]) -> Round | None:
    """
    Deliver what is due, and book it; return what came of it, None when nothing was due.

    Raises:
        OSError: it cannot be written down; then it is tried again.
        StoreError: another process does not let go of the files.
    """
    letters = ledger.aside.due()
    if not letters:
        return None
    tries = {letter.key: letter.attempts for letter in letters}
    waiting = [Fed(Item(letter.key, letter.record), _NOWHERE, 0, 0) for letter in letters]
    found = Round(deliver, 1, MOST_PROBES, is_over, witnesses_of(waiting, lambda fed: tries[fed.item.key]))
    found.run(waiting)
    ledger.book_visit(letters, found)
    return found
