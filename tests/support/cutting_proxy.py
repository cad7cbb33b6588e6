"""Stand between a client and a server on 127.0.0.1, and cut the connection at the worst moment."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ACTS_WITHIN_S = 0.05

Cuts = Callable[[bytes], bool]
"""Asked for each piece that a client sends: is the connection cut when the server has it, before it can answer?"""


class CuttingProxy:
    """
    Forward connections to *port*, each in a thread of its own.

    `count` tells how many were cut.
    """

    def __init__(self, port: int, cuts: Cuts) -> None:
        self._port = port
        self._cuts = cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.count = 0
        self._is_closed = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._is_closed:
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._carry, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _carry(self, client: socket.socket) -> None:
        # A peer that was killed, or that went away by itself, is what the tests are about.
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as server:
            while not self._is_closed:
                for source in select.select([client, server], [], [], 0.05)[0]:
                    piece = source.recv(1 << 16)
                    if not piece or (source is client and self._is_cut(client, server, piece)):
                        return
                    (server if source is client else client).sendall(piece)

    def _is_cut(self, client: socket.socket, server: socket.socket, piece: bytes) -> bool:
        if not self._cuts(piece):
            return False
        server.sendall(piece)
        select.select([server], [], [], _ACTS_WITHIN_S)  # it has acted when it answers; nobody hears it
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.count += 1
        return True

    def close(self) -> None:
        """End everything."""
        self._is_closed = True
        for thread in self._threads:
            thread.join(10)
        self._listener.close()
