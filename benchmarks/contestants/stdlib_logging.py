"""Record with the standard library's logging to a file: the peer that everybody has."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
from pathlib import Path

from .load import EVENT_TYPE, RUN_ID, payload

_NUMBER = re.compile(rb"'n': (\d+)")
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class Logging:
    """One logging.info() to a FileHandler: the same content, a time, no JSON."""

    def __init__(self, directory: Path, *, sync: bool = False) -> None:
        handler = (SyncedFileHandler if sync else logging.FileHandler)(directory / "agent.log")
        handler.setFormatter(logging.Formatter(_FORMAT))
        self._handler = handler
        self._logger = logging.getLogger("agent")
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(handler)

    def call(self, number: int) -> None:
        """Log one event."""
        self._logger.info("%s %s %s", RUN_ID, EVENT_TYPE, payload(number))

    def close(self) -> None:
        """Close the file."""
        self._handler.close()

    @staticmethod
    def read_back(directory: Path) -> set[int]:
        """Return the numbers in the file."""
        return {int(digits) for digits in _NUMBER.findall((directory / "agent.log").read_bytes())}


class Bare(Logging):
    """The least that logging.info() can cost: the payload as its one argument, without a time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._handler.setFormatter(None)

    def call(self, number: int) -> None:
        """Log the payload alone."""
        self._logger.info("%s", payload(number))


class Buffered(Logging):
    """The standard library's own way not to write each line: a MemoryHandler in front of the file."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._logger.removeHandler(self._handler)
        self._memory = logging.handlers.MemoryHandler(1000, target=self._handler)
        self._logger.addHandler(self._memory)

    def close(self) -> None:
        """Write what is held, and close the file."""
        self._memory.close()
        super().close()


class SyncedFileHandler(logging.FileHandler):
    """A FileHandler whose lines survive a power cut: each is synced under the handler's lock."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write and sync."""
        super().emit(record)
        assert self.stream is not None
        getattr(os, "fdatasync", os.fsync)(self.stream.fileno())
