"""Say for all to see that a process is alive: it holds a lock that only the kernel can free, and frees at its death."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from ..plugins.ids import get_iso8601_timestamp
from ..plugins.private import make_private_folder
from ..plugins.same_file import close_own, is_open_on, is_same_file
from .machine import self_portrait

if sys.platform == "win32":
    import msvcrt

    def lock(descriptor: int, *, is_shared: bool = False) -> None:
        """Take the lock, whole in either case; raises OSError when it is held."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def lock(descriptor: int, *, is_shared: bool = False) -> None:
        """
        Take the lock; raises OSError when another process holds it.

        Args:
            is_shared: only to see whether it is free, so that nobody else who looks finds it held.
        """
        # lockf: not inherited by fork, so a child that survives does not keep its dead parent's lock; and freed
        # when the process closes ANY descriptor of the file, so this file is opened nowhere else in its process.
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, 1, _LOCKED_BYTE)


__all__ = ["Claim", "claims_held", "lock"]

_LOCKED_BYTE = 1 << 30  # behind the text: on Windows a locked byte cannot be read by others
_LOOK_EVERY_S = 1.0

claims_held: dict[str, Claim] = {}
"""The claims of this process, by the names of their files, none of which may be opened here a second time."""


@frozen
class _Locked:
    descriptor: int
    known: os.stat_result

    def close(self) -> None:
        # An agent that becomes a daemon may have closed all descriptors, and the number be another file's by now.
        close_own(self.descriptor, self.known)


@define(eq=False)
class Claim:
    """
    The lock of one writer, `{state}/live/{writer}.json`.

    Each change is a new file, locked before it has its name: nobody can find it free, or half written, while its
    process is alive.

    Args:
        folder: the folder of all claims of this base directory.
        writer: the writer that is alive.

    Attributes:
        adopted: the runs of other processes that this one answers for.
        sure_until: the moment, on the steady clock, up to which nobody need look whether the claim holds.
    """

    folder: Path
    writer: str
    adopted: set[str] = field(factory=set)
    sure_until: float = -math.inf
    _locked: _Locked | None = None
    _told: int = 0
    # Re-entrant: a signal handler may start a run in the middle of a first one.
    _turn: Any = field(factory=threading.RLock)
    _is_at_it: bool = False

    @property
    def path(self) -> Path:
        """Where the claim lies."""
        return self.folder / f"{self.writer}.json"

    @property
    def is_held(self) -> bool:
        """Whether the lock is held."""
        return self._locked is not None

    @property
    def _draft(self) -> Path:
        return self.folder / f".{self.writer}.new"

    def take(self) -> None:
        """
        Take the lock; look whether it still lies at its place, and take it anew if not.

        Raises:
            OSError: the folder cannot be written; the next call tries again.
        """
        with self._turn:
            if self._is_at_it:
                return  # a signal handler's call: what it interrupted is taking it
            if self._told < len(self.adopted) or not self._is_in_place():
                self._put()
            if self._told == len(self.adopted):
                self.sure_until = time.monotonic() + _LOOK_EVERY_S

    def adopt(self, run_id: str) -> None:
        """
        Answer for a run that another process started: it lives as long as this one does.

        Raises:
            OSError: the folder cannot be written; the next call tries again.
        """
        if run_id not in self.adopted:
            self.adopted.add(run_id)
            self.sure_until = -math.inf
        if time.monotonic() >= self.sure_until:
            self.take()

    def mark_exit(self) -> None:
        """Say that the process ends in an orderly way, though runs are open."""
        with self._turn:
            if self._locked is not None and not self._is_at_it:
                self._put(exited=True)

    def _is_in_place(self) -> bool:
        # The base directory may have been deleted under us, or a copy been put in its place.
        held = self._locked
        return held is not None and is_same_file(self.path, held.known) and is_open_on(held.descriptor, held.known)

    def _put(self, **more: Any) -> None:
        self._is_at_it = True
        try:
            adopted = sorted(self.adopted)
            facts = {"writer": self.writer, **self_portrait(), "claimed_at": get_iso8601_timestamp()}
            self._name(self._drafted(json.dumps({**facts, "adopted": adopted, **more}).encode()))
            self._told = len(adopted)
        finally:
            self._is_at_it = False

    def _drafted(self, text: bytes) -> _Locked:
        make_private_folder(self.folder)
        descriptor = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            lock(descriptor)
            if os.write(descriptor, text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._draft))
            return _Locked(descriptor, os.fstat(descriptor))
        except BaseException:
            self._discard(descriptor)
            raise

    def _name(self, new: _Locked) -> None:
        # Known as ours before it can be found: whoever opened it in this process would free the lock.
        claims_held[self.path.name] = self
        try:
            os.replace(self._draft, self.path)
        except BaseException:
            if self._locked is None:
                del claims_held[self.path.name]
            self._discard(new.descriptor)
            raise
        old, self._locked = self._locked, new
        if old is not None:
            old.close()

    def _discard(self, descriptor: int) -> None:
        os.close(descriptor)
        with suppress(OSError):
            self._draft.unlink()

    def release(self) -> None:
        """Give the lock back and remove the claim: no run is open any more."""
        with self._turn:
            if self._locked is not None:
                self.path.unlink(missing_ok=True)
                self.let_go()

    def let_go(self) -> None:
        """Close the file; in the child of a fork it is the parent's, whose lock stays where it is."""
        self.sure_until = -math.inf
        held, self._locked = self._locked, None
        claims_held.pop(self.path.name, None)
        if held is not None:
            held.close()
