"""Offer runs without a client at hand: `@track` and `current_run()`, on one shared client a process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from .client import TelemetryClient
from .tracking import RunContext, Tracking, current_run

__all__ = ["RunContext", "current_run", "shared_client", "sharing", "track"]

F = TypeVar("F", bound=Callable[..., Any])
_lock = threading.RLock()
_shared: TelemetryClient | None = None


def shared_client() -> TelemetryClient:
    """Return the client that this process shares; built on first use from environment and file."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = TelemetryClient()
        return _shared


@contextmanager
def sharing(client: TelemetryClient) -> Iterator[None]:
    """Let *client* be the shared one inside the block; what was shared before is shared again after it."""
    global _shared
    with _lock:
        before, _shared = _shared, client
    try:
        yield
    finally:
        with _lock:
            _shared = before


def _forget_lock() -> None:
    # In the child of a fork: a thread of the parent's, which is not there, may have been building the client.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


class _Lazy:
    """Stand for the shared client until the first call, so that decorating a function opens no file."""

    def __getattr__(self, name: str) -> Any:
        return getattr(shared_client(), name)


@overload
def track(function: F, /) -> F: ...
@overload
def track(agent: str | None = None, job: str | None = None, **fields: Any) -> Callable[[F], F]: ...
def track(agent: Any = None, job: str | None = None, **fields: Any) -> Any:
    """
    Record each call of a function as a run: `@track`, or `@track("agent", "job", product=...)`.

    Works on plain, async, generator and async generator functions. Without names the agent is the function's
    module and the job its qualified name.
    """
    if callable(agent):
        return _tracked(agent, None, None, {})
    return lambda function: _tracked(function, agent, job, fields)


def _tracked(function: Any, agent: str | None, job: str | None, fields: dict[str, Any]) -> Any:
    client: Any = _Lazy()
    name = getattr(function, "__qualname__", type(function).__name__)
    module = getattr(function, "__module__", None) or "unknown"
    rest = {key: value for key, value in fields.items() if key != "trigger_type"}
    return Tracking(client, agent or module, job or name, fields.get("trigger_type", "cli"), rest)(function)
