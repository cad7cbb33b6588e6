"""Speak TLS in front of a PostgreSQL that was built without it: the client sees a server with `ssl = on`."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from typing import Self

from loopback import secured

_LENGTH = 8
_MOST = 1 << 16
_SSL_REQUEST = (8 << 32 | 80877103).to_bytes(_LENGTH)
_GSS_REQUEST = (8 << 32 | 80877104).to_bytes(_LENGTH)


class TlsProxy:
    """
    Forward connections to *port* of 127.0.0.1; those that ask for TLS get it, the others are turned away.

    Attributes:
        port: where it listens.
        secured: how many connections were handed on, all of them over TLS.
    """

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._to = port
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.secured = 0

    def __enter__(self) -> Self:
        """Start it."""
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, plain: socket.socket) -> None:
        # Whoever does not like our certificate goes away in the middle, which is what the tests are about.
        with contextlib.suppress(OSError), plain, self._in_tls(plain) as client, self._server() as server:
            self.secured += 1
            while _is_carried(client, server):
                pass

    def _server(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._to))

    def _in_tls(self, plain: socket.socket) -> ssl.SSLSocket:
        while (asked := plain.recv(_LENGTH, socket.MSG_WAITALL)) == _GSS_REQUEST:
            plain.sendall(b"N")
        if asked != _SSL_REQUEST:
            raise ConnectionAbortedError("it does not ask for TLS")
        plain.sendall(b"S")
        return secured(plain, self._context)

    def __exit__(self, *error: object) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()


def _is_carried(client: ssl.SSLSocket, server: socket.socket) -> bool:
    """Hand on what has come, in one thread: a TLS connection is not for two. Tell whether both are still there."""
    for source in select.select([client, server], [], [])[0]:
        piece = source.recv(_MOST)
        if not piece:
            return False
        (server if source is client else client).sendall(piece)
    while client.pending():  # decrypted already, so that select knows nothing of it
        server.sendall(client.recv(_MOST))
    return True
