"""Stand between the platform and the agent: with plugins/shelter.py the only place that catches everything."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from ..plugins.complaints import Complaints
from ..plugins.errors import InputError
from ..plugins.ids import generate_run_id
from ..plugins.mend import Complaint
from ..plugins.shelter import attempt
from ..plugins.signals import is_agents_own
from .secret_texts import without_secrets

__all__ = ["Guard", "any_run_id", "attempt", "border", "nothing", "text_of", "warn"]

P = ParamSpec("P")
R = TypeVar("R")
_complaints = Complaints(logging.getLogger("telemetry.client"))


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
        self._complaints = Complaints(logging.getLogger("telemetry.bus"))
        self.renew()

    def renew(self) -> None:
        """Make a new lock, in the child of a fork: a thread that is not there any more may have held the old one."""
        # Re-entrant: a signal handler that logs may interrupt the counting.
        self._lock = threading.RLock()

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

    A call whose arguments do not fit is made to fit, and warned of. In strict mode everything passes, and what a signal
    handler of the agent raises does always.

    Args:
        otherwise: called with the method's own arguments.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def shielded(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                if is_agents_own(error):
                    raise
                is_strict = getattr(args[0], "is_strict", False)
                call = attempt(_refitted, method, args, kwargs)[0] if isinstance(error, TypeError) else None
                if call is not None:
                    warn(_complaints, call[2], is_strict=is_strict)
                    return shielded(*call[0], **call[1])
                if is_strict:
                    raise
                attempt(_complain, method.__name__, error)
                return otherwise(*args, **kwargs)  # type: ignore[no-any-return]

        return shielded

    return decorate


def _refitted(method: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    from .misfits import refitted  # 1 ms, for slips only

    return refitted(method, args, kwargs)


def warn(log: Complaints, complaints: Iterable[Complaint], *, is_strict: bool) -> None:
    """
    Log each complaint, at most once a minute a field; secrets in it are hidden.

    Raises:
        InputError: in strict mode, instead of logging.
    """
    for complaint in complaints:
        shown, failure = attempt(str, complaint)
        text = f"{complaint.field} cannot be shown; {complaint.done}" if failure else without_secrets(shown)
        if is_strict:
            raise InputError(f"{text}. (TELEMETRY_STRICT is on)")
        # A log handler of the agent's may raise; the record must not be lost for that.
        attempt(log.say, f"{complaint.field}:{complaint.done}", "%s", text)


def nothing(*args: Any, **kwargs: Any) -> None:
    """Answer for a call that went wrong and has nothing to return."""


def any_run_id(*args: Any, run_id: Any = None, **kwargs: Any) -> str:
    """Answer for a start that went wrong: an id all the same, so that the calls that follow have one."""
    return run_id if type(run_id) is str and run_id else generate_run_id("agent")


def _complain(method: str, error: Exception) -> None:
    kind = type(error).__name__
    text = without_secrets(text_of(error))
    if isinstance(error, InputError):
        _complaints.say(f"{method}:{kind}", "%s() cannot answer that and went on: %s", method, text)
        return
    _complaints.say(f"{method}:{kind}", "%s() met a fault of its own and went on: %s: %s", method, kind, text)


def text_of(error: BaseException) -> str:
    """Return the text of *error*, also of one whose text cannot be read."""
    text, failure = attempt(str, error)
    return "<its text cannot be read>" if failure is not None else text
