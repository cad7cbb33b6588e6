"""Follow an error to where it comes from: when nobody is there, no record is at fault, and none is to be suspected."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

__all__ = ["causes_of", "is_unreachable"]

_NOBODY_THERE = frozenset(
    (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL)
)
_DEEPEST = 10


def is_unreachable(error: BaseException) -> bool:
    """Return whether *error*, or what it comes from, says that no connection could be made."""
    return any(
        isinstance(cause, socket.gaierror) or (isinstance(cause, OSError) and cause.errno in _NOBODY_THERE)
        for cause in causes_of(error)
    )


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it comes from, ten at most: nobody keeps an error from being its own cause."""
    candidate: BaseException | None = error
    for _ in range(_DEEPEST):
        if candidate is None:
            return
        yield candidate
        candidate = _inner(candidate)


def _inner(error: BaseException) -> BaseException | None:
    # urllib has it in `reason`, requests among the arguments, whoever wrote `raise ... from` as the cause.
    candidates = (getattr(error, "reason", None), *reversed(error.args), error.__cause__)
    return next((inner for inner in candidates if isinstance(inner, BaseException)), None)
