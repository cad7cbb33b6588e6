"""Follow the process through fork and exit: a child starts anew, an exit brings out what is held back, briefly."""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from collections.abc import Callable
from typing import Any

# Imported for its order: what it registers for a fork has to come first, or a sink would be told of the fork by way
# of a thread that only the parent has.
from ..plugins import worker  # noqa: F401
from . import parting
from .shield import attempt, text_of

__all__ = ["register"]

_EXIT_S = 2.0
_log = logging.getLogger("telemetry.client")
# Not a WeakSet: to walk one while another thread builds a client raises.
_clients: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def register(client: Any, belongings: parting.Belongings) -> None:
    """
    Follow *client* until nobody holds it any more; also when it is closed, since a record opens it again.

    Then its *belongings* are closed.
    """
    _clients[id(client)] = client
    parting.follow(client, belongings)


def _followed() -> list[Any]:
    return [client for reference in _clients.valuerefs() if (client := reference()) is not None]


def _at_exit() -> None:
    # Flushed, not closed: other atexit handlers and __del__ methods may still log, and those records count.
    end = time.monotonic() + _EXIT_S
    for client in _followed():
        _tried("exit", client._exiting, max(0.0, end - time.monotonic()))
    parting.close_dropped(max(0.0, end - time.monotonic()))


def _in_child() -> None:
    for client in _followed():
        _tried("fork", client._forked)
    parting.forget_dropped()


def _tried(occasion: str, act: Callable[..., None], *args: Any) -> None:
    _, failure = attempt(act, *args)
    if failure is not None:
        # A log handler of the agent's may raise; the other clients still have to be told.
        attempt(_log.warning, "a client is not told of the %s of the process: %s", occasion, text_of(failure))


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
