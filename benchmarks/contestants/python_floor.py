"""Be the floor under a library that promises as much: what its promises cost in Python, without its parts."""

from __future__ import annotations

import fcntl
import itertools
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from telemetry import TelemetryClient
from telemetry.core.quick_look import QuickLook
from telemetry.core.redact import Redactor
from telemetry.plugins.ids import get_iso8601_timestamp
from telemetry.sinks.journal.group_commit import GroupCommit

from .load import EVENT_TYPE, RUN_ID, payload
from .write_floor import Floor, line_of

_TAKE = fcntl.LOCK_EX | fcntl.LOCK_NB
_sync = getattr(os, "fdatasync", os.fsync)
_LINE = (
    b'{"record_type":"event","run_id":"%b","event_type":"%b","timestamp":"%b","payload":%b,'
    b'"writer":"5b99c73325e7","seq":%d}\n'
)


class CalledAndBare(Floor):
    """log_event() of a client without any sink, then os.write() and fdatasync() without any lock."""

    def __init__(self, directory: Path, *, shared: str) -> None:
        super().__init__(directory, sync=True, shared=shared)
        self._client = TelemetryClient(sinks={}, base_dir=directory)
        self._run_id = self._client.start_run("bench", "events")

    def call(self, number: int) -> None:
        """Check, copy and search an event, throw it away, and write a line."""
        self._client.log_event(self._run_id, EVENT_TYPE, payload(number))
        super().call(number)

    def close(self) -> None:
        """Close client and file."""
        self._client.close()
        super().close()


class InOneFunction(Floor):
    """
    What log_event() does to a payload and to the file, written out in one function.

    The payload is copied, checked, searched for secrets and encoded by the library's own code; the line is a template;
    it is written in turn and under the lock, behind a look at the end of the file. There is no record, no bus, no sink
    and no guard.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._side = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._look = QuickLook(Redactor())
        self._turn = threading.RLock()
        self._numbers = itertools.count(1)

    def call(self, number: int) -> None:
        """Log one event."""
        sealed = self._look.sealed(payload(number))
        assert sealed is not None
        now = get_iso8601_timestamp()
        line = _LINE % (RUN_ID.encode(), EVENT_TYPE.encode(), now.encode(), sealed[1], next(self._numbers))
        with self._turn:
            fcntl.flock(self._side, _TAKE)
            try:
                os.lseek(self.descriptor, 0, os.SEEK_END)
                os.write(self.descriptor, line)
            finally:
                fcntl.flock(self._side, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close both files."""
        os.close(self._side)
        super().close()


class GroupsOfLines(Floor):
    """The group commit alone: lines are encoded and nothing else; what is left is waking one thread after another."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._group = GroupCommit(self._commit)

    def call(self, number: int) -> None:
        """Have one line written and synced."""
        self._group.append(line_of(number))

    def _commit(self, lines: Sequence[bytes]) -> None:
        os.write(self.descriptor, b"".join(lines))
        _sync(self.descriptor)
