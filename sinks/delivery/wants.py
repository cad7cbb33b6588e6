"""Ask a sink which records it is given; where that fails it is given them, so that nothing is passed over unseen."""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import define, field

from ...plugins.complaints import Complaints
from ...plugins.lines import kind_of
from ...plugins.records import Record
from ...plugins.shelter import attempt
from .border import text_of

__all__ = ["Wants"]

_MOST_CHARACTERS = 500
_complaints = Complaints(logging.getLogger("telemetry.delivery"))


@define(eq=False)
class Wants:
    """
    Which records a sink is given, and how: those of these kinds (as `run`, `event`, `metrics`) that pass *test*.

    *test* is asked again after every restart, so it must look at nothing but the record. With *completes* the end of
    a run that another process wrote comes with what its start says.

    Attributes:
        fault: what *test* raised last, None while it never did.
    """

    kinds: frozenset[str] = frozenset(("run",))
    test: Callable[[Record], bool] = lambda record: True
    completes: bool = True
    fault: str | None = field(default=None, init=False)

    def __contains__(self, record: Record) -> bool:
        return kind_of(record) in self.kinds and self.passes(record)

    def passes(self, record: Record) -> bool:
        """Ask *test*; what it raises is told, and the record is wanted: so nothing is lost, and `deliver()` decides."""
        answer, failure = attempt(lambda: bool(self.test(record)))
        if failure is None:
            return bool(answer)
        name = getattr(self.test, "__qualname__", "wants")
        why = " ".join(text_of(failure).split())[:_MOST_CHARACTERS]
        self.fault = f"{name}() raised {why}"
        _complaints.say(f"wants:{name}", "%s at run %s, which is delivered", self.fault, record.run_id)
        return True
