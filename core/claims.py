"""Say for all to see that a process is alive: it holds a lock that only the kernel can free, and frees at its death."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from attrs import define, field

from ..plugins.ids import get_iso8601_timestamp
from ..plugins.private import make_private_folder
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

claims_held: dict[str, Claim] = {}
"""The claims of this process, by the names of their files, none of which may be opened here a second time."""


@define(eq=False)
class Claim:
    """
    The lock of one writer, `{state}/live/{writer}.json`.

    Args:
        folder: the folder of all claims of this base directory.
        writer: the writer that is alive.
    """

    folder: Path
    writer: str
    _descriptor: int | None = None
    adopted: set[str] = field(factory=set)

    @property
    def path(self) -> Path:
        """Where the claim lies."""
        return self.folder / f"{self.writer}.json"

    @property
    def is_held(self) -> bool:
        """Whether the lock is held."""
        return self._descriptor is not None

    def take(self) -> None:
        """
        Take the lock; does nothing when it is held already.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._descriptor is not None:
            return
        make_private_folder(self.folder)
        draft = self.folder / f".{self.writer}.new"
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        claims_held[self.path.name] = self
        self._descriptor = descriptor
        lock(descriptor)
        self._write()
        # Locked before it has its name: nobody can find it free while its process is alive.
        os.replace(draft, self.path)

    def adopt(self, run_id: str) -> None:
        """
        Answer for a run that another process started: it lives as long as this one does.

        Raises:
            OSError: the folder cannot be written.
        """
        if run_id in self.adopted:
            return
        self.adopted.add(run_id)
        self.take()
        self._write()

    def _write(self, **more: Any) -> None:
        facts = {
            "writer": self.writer,
            **self_portrait(),
            "claimed_at": get_iso8601_timestamp(),
            "adopted": sorted(self.adopted),
            **more,
        }
        text = json.dumps(facts).encode()
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, text)

    def mark_exit(self) -> None:
        """Say that the process ends in an orderly way, though runs are open."""
        if self._descriptor is not None:
            self._write(exited=True)

    def release(self) -> None:
        """Give the lock back and remove the claim: no run is open any more."""
        if self._descriptor is None:
            return
        self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None
        claims_held.pop(self.path.name, None)

    def drop_in_child(self) -> None:
        """Close the parent's descriptor in the child of a fork; the parent's lock stays where it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
