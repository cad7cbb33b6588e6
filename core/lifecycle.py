"""Follow the process through fork and exit: a child starts anew, an exit brings out what is held back, briefly."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import Any

from .shield import attempt

__all__ = ["register", "unregister"]

_EXIT_S = 2.0
_clients: weakref.WeakSet[Any] = weakref.WeakSet()


def register(client: Any) -> None:
    """Follow *client* until it is closed or nobody holds it any more."""
    _clients.add(client)


def unregister(client: Any) -> None:
    """Follow *client* no more."""
    _clients.discard(client)


def _at_exit() -> None:
    # Flushed, not closed: other atexit handlers and __del__ methods may still log, and those records count.
    end = time.monotonic() + _EXIT_S
    for client in list(_clients):
        attempt(client._exiting, max(0.0, end - time.monotonic()))


def _in_child() -> None:
    for client in list(_clients):
        attempt(client._forked)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
