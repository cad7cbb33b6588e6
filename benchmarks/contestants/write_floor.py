"""Be the floor under every journal: encode a dict and write it with one os.write()."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path

import msgspec

from .load import EVENT_TYPE, RUN_ID, payload

_encode = msgspec.json.Encoder().encode
_TIME = "2026-11-23T10:00:00.123456+00:00"
_sync = getattr(os, "fdatasync", os.fsync)


def line_of(number: int) -> bytes:
    """Return the bytes that our journal would hold for the event *number*."""
    event = {
        "record_type": "event",
        "run_id": RUN_ID,
        "event_type": EVENT_TYPE,
        "timestamp": _TIME,
        "payload": payload(number),
        "writer": "5b99c73325e7",
        "seq": number,
    }
    return _encode(event) + b"\n"


class Floor:
    """One write a call, and with *sync* one fdatasync: nothing is checked, locked, ended or counted."""

    def __init__(self, directory: Path, *, sync: bool = False, shared: str | None = None) -> None:
        path = directory / "floor.ndjson" if shared is None else Path(shared)
        self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._sync = sync

    def call(self, number: int) -> None:
        """Write one line."""
        os.write(self.descriptor, line_of(number))
        if self._sync:
            _sync(self.descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers in the file."""
        lines = (directory / "floor.ndjson").read_bytes().splitlines()
        return {json.loads(line)["payload"]["n"] for line in lines}


class UnderOneLock(Floor):
    """Write and sync under one lock of the process: what every thread-safe log with durable lines does."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._lock = threading.Lock()

    def call(self, number: int) -> None:
        """Write and sync one line, nobody else meanwhile."""
        with self._lock:
            os.write(self.descriptor, line_of(number))
            _sync(self.descriptor)


class UnderFileLock(Floor):
    """Write and sync under a lock between processes."""

    def call(self, number: int) -> None:
        """Write and sync one line, no other process meanwhile."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        try:
            os.write(self.descriptor, line_of(number))
            _sync(self.descriptor)
        finally:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
