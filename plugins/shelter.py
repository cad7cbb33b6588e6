"""Call what may raise anything: a stranger's code, or an object of the agent's; nobody else has to catch everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .signals import is_agents_own

__all__ = ["attempt"]


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
