"""Stand between the platform and the agent: the only place that catches everything, so that nobody else has to."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ..plugins.complaints import Complaints
from .secret_texts import without_secrets
from .signals import is_agents_own

__all__ = ["Guard", "attempt", "border", "nothing", "text_of"]

P = ParamSpec("P")
R = TypeVar("R")
_complaints = Complaints(logging.getLogger("telemetry.client"))


def attempt(call: Callable[..., Any], *args: Any) -> tuple[Any, BaseException | None]:
    """
    Return (result, None), or (None, error) when *call* raises.

    SystemExit counts as an error: a stranger's code must not end the agent. What else is no Exception passes, and so
    does what a signal handler raises; it belongs to the agent: KeyboardInterrupt, GeneratorExit, the timeouts that
    gevent and others throw into its code.
    """
    try:
        return call(*args), None
    except (Exception, SystemExit) as error:
        if is_agents_own(error):
            raise
        return None, error


class Guard:
    """
    Call one plugin, count what came of it, and let nothing out that `attempt()` would not.

    Attributes:
        delivered: records that the plugin took.
        failures: failed calls by reason (the error's class name).
        last_error: the last fault as text, None when there was none; secrets are taken out.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.delivered = 0
        self.failures: dict[str, int] = {}
        self.last_error: str | None = None
        # Re-entrant: a signal handler that logs may interrupt the counting.
        self._lock = threading.RLock()
        self._complaints = Complaints(logging.getLogger("telemetry.bus"))

    def call(self, act: Callable[[Any], Any], argument: Any) -> bool:
        """Hand *argument*, a record, to *act*; return whether that went well."""
        try:
            act(argument)
        except (Exception, SystemExit) as error:
            if is_agents_own(error):
                raise
            self.failed(type(error).__name__, text_of(error))
            return False
        # No lock: CPython gives up the interpreter only at calls and jumps, and there is none within this line.
        self.delivered += 1
        return True

    def ask(self, act: Callable[[Any], Any], argument: Any) -> tuple[Any, bool]:
        """Return what *act* answers to *argument*, which is no record, and whether it went well."""
        answer, failure = attempt(act, argument)
        if failure is not None:
            self.failed(type(failure).__name__, text_of(failure))
        return answer, failure is None

    def failed(self, reason: str, detail: str) -> None:
        """Count a failure and say so, at most once a minute per reason."""
        with self._lock:
            self.failures[reason] = self.failures.get(reason, 0) + 1
            self.last_error = without_secrets(f"{reason}: {detail}" if detail else reason)
        # A log handler of the agent's may raise; the record still has other sinks to go to.
        attempt(self._complain, reason)

    def _complain(self, reason: str) -> None:
        told = ("sink %s failed: %s", self.name, self.last_error)
        self._complaints.say(f"{self.name}:{reason}", *told, sink=self.name, reason=reason)


def border(otherwise: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Make a public method safe for the agent: what goes wrong inside is logged, and *otherwise* gives the result.

    In strict mode everything passes, and what a signal handler of the agent raises does always.

    Args:
        otherwise: called with the method's own arguments.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def shielded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                if getattr(args[0], "is_strict", False) or is_agents_own(error):
                    raise
                attempt(_complain, method.__name__, error)
                return otherwise(*args, **kwargs)  # type: ignore[no-any-return]

        return shielded

    return decorate


def nothing(*args: Any, **kwargs: Any) -> None:
    """Answer for a call that went wrong and has nothing to return."""


def _complain(method: str, error: Exception) -> None:
    kind = type(error).__name__
    text = without_secrets(text_of(error))
    _complaints.say(f"{method}:{kind}", "%s() met a fault of its own and went on: %s: %s", method, kind, text)


def text_of(error: BaseException) -> str:
    """Return the text of *error*, also of one whose text cannot be read."""
    text, failure = attempt(str, error)
    return "<its text cannot be read>" if failure is not None else text
