"""Stand between the bus and a sink that promises to be quick: it is called in the agent's thread, guarded, counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen

from .losses import Losses
from .shield import Guard

__all__ = ["Answer", "Answered", "Gate"]


class Answer(Protocol):
    """What a sink says to a question, perhaps later."""

    def wait(self, until: float) -> bool:
        """Wait for the answer until this moment of the steady clock; return whether it is there."""

    @property
    def value(self) -> Any:
        """The answer; None when the sink failed or has said nothing."""

    @property
    def is_well(self) -> bool:
        """Whether the sink has answered, without raising."""


@frozen
class Answered:
    """An answer that is there at once."""

    value: Any = None
    is_well: bool = True

    def wait(self, until: float) -> bool:
        """Return at once."""
        return True


class Gate:
    """
    Hand records to one sink in the caller's thread.

    Attributes:
        is_inline: whether a call of the sink holds the caller as long as the sink likes.
        losses: records that this sink was never given, or did not answer for.
    """

    is_inline = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.guard = Guard(name)
        self.losses = Losses()

    @property
    def way(self) -> Callable[[Callable[[Any], Any], Any], Any]:
        """What takes (act, record) and returns True when the sink took it: here the guard itself, at no cost."""
        return self.guard.call

    def ask(self, act: Callable[[Any], Any]) -> Answer:
        """Call *act*, which hands no record over, with None."""
        return Answered(*self.guard.ask(act, None))

    def open(self, act: Callable[[Any], Any]) -> Answer:
        """Have the sink opened, before all records."""
        return self.ask(act)

    def close(self, act: Callable[[Any], Any]) -> Answer:
        """Have the sink closed, after all records."""
        return self.ask(act)

    def forget(self, answer: Answer) -> None:
        """Take a question back that nobody waits for any more."""

    def end(self, until: float) -> None:
        """Let go of what the gate itself keeps, after the sink has answered to `close()`."""

    @property
    def is_stuck(self) -> bool:
        """Whether the sink hangs in a call; here its caller would hang with it, so nobody could ask."""
        return False

    def give_up(self) -> None:
        """Count what is queued as lost to this sink; here nothing is."""

    def renew(self) -> None:
        """Start anew in the child of a fork, where another thread of the parent may have held a lock."""
        self.guard.renew()
        self.losses = Losses()

    def facts(self) -> dict[str, Any]:
        """Return the counts for `client.status()`."""
        guard = self.guard
        return {"delivered": guard.delivered, "failed": dict(guard.failures), "last_error": guard.last_error}
