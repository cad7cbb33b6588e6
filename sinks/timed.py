"""Bound the time of a whole answer: an adapter for requests that a server which drips cannot hold for ever."""

from __future__ import annotations

import http.client
import io
import time
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter

__all__ = ["CONNECT_S", "TimedAdapter"]

CONNECT_S = 3.0
"""A connection gets so many seconds of the time for an answer."""


class _TimedReader(io.RawIOBase):
    """Read from a socket until a moment in time; a server that drips would start the usual timeout anew each time."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + (sock.gettimeout() or CONNECT_S)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """All that http.client asks of a socket when it reads an answer."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock))


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_TimedSocket(sock), *args, **kwargs)  # type: ignore[arg-type]


class _TimedConnection(urllib3.connection.HTTPConnection):
    response_class = _TimedResponse


class _TimedSecureConnection(urllib3.connection.HTTPSConnection):
    response_class = _TimedResponse


class _TimedPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedSecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedSecureConnection


class TimedAdapter(HTTPAdapter):
    """An adapter whose timeout holds for the whole answer, not for each piece of it."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _time_pools_of(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _time_pools_of(super().proxy_manager_for(*args, **kwargs))


def _time_pools_of(manager: Any) -> Any:
    manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedSecurePool}
    return manager
