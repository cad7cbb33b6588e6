"""Stand between the platform and the agent: the only place that catches everything, so that nobody else has to."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ..plugins.complaints import Complaints
from ..plugins.errors import TelemetryError
from .signals import is_agents_own

__all__ = ["Guard", "attempt", "border"]

P = ParamSpec("P")
R = TypeVar("R")
_complaints = Complaints(logging.getLogger("telemetry.client"))


def attempt(call: Callable[..., Any], *args: Any) -> tuple[Any, BaseException | None]:
    """
    Return (result, None), or (None, error) when *call* raises.

    SystemExit counts as an error: a stranger's code must not end the agent. KeyboardInterrupt, GeneratorExit and what
    a signal handler raises pass, they belong to the agent.
    """
    try:
        return call(*args), None
    except (Exception, SystemExit) as error:
        if is_agents_own(error):
            raise
        return None, error


class Guard:
    """
    Call one plugin, count what came of it, and let nothing out but KeyboardInterrupt and GeneratorExit.

    Attributes:
        delivered: calls that returned.
        failures: failed calls by reason (the error's class name).
        last_error: the last fault as text, None when there was none.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.delivered = 0
        self.failures: dict[str, int] = {}
        self.last_error: str | None = None
        self._complaints = Complaints(logging.getLogger("telemetry.bus"))

    def call(self, act: Callable[[Any], Any], argument: Any) -> bool:
        """Call *act* with *argument*; return whether it went well."""
        try:
            act(argument)
        except (Exception, SystemExit) as error:
            if is_agents_own(error):
                raise
            self.failed(type(error).__name__, _text_of(error))
            return False
        # No lock: CPython gives up the interpreter only at calls and jumps, and there is none within this line.
        self.delivered += 1
        return True

    def failed(self, reason: str, detail: str) -> None:
        """Count a failure and say so, at most once a minute per reason."""
        self.failures[reason] = self.failures.get(reason, 0) + 1
        self.last_error = f"{reason}: {detail}" if detail else reason
        self._complaints.say(
            f"{self.name}:{reason}", "sink %s failed: %s", self.name, self.last_error, sink=self.name, reason=reason
        )


def border(otherwise: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Make a public method safe for the agent: what goes wrong inside is logged, and *otherwise* gives the result.

    Errors of the platform itself (`TelemetryError`) pass in strict mode, and only there do they arise.

    Args:
        otherwise: called with the method's own arguments.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def shielded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                is_strict = isinstance(error, TelemetryError) or getattr(args[0], "is_strict", False)
                if is_strict or is_agents_own(error):
                    raise
                _complaints.say(
                    f"{method.__name__}:{type(error).__name__}",
                    "%s() met a fault of its own and went on: %s: %s",
                    *(method.__name__, type(error).__name__, _text_of(error)),
                )
                return otherwise(*args, **kwargs)  # type: ignore[no-any-return]

        return shielded

    return decorate


def _text_of(error: BaseException) -> str:
    text, failure = attempt(str, error)
    return "<its text cannot be read>" if failure is not None else text
