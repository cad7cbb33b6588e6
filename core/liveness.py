"""Prove that a process is alive: it holds a lock that only the kernel can free, and the kernel frees it at death."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from ..plugins.ids import get_iso8601_timestamp
from ..plugins.private import make_private_folder
from .machine import boot_id, host, self_portrait

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # lockf: not inherited by fork, so a child that survives does not keep its dead parent's lock; and freed
        # when the process closes ANY descriptor of the file, so this file is opened nowhere else in its process.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCKED_BYTE)


__all__ = ["Claim", "Dead", "dead_processes", "forget_all", "living_adoptions"]

_LOCKED_BYTE = 1 << 30  # behind the text: on Windows a locked byte cannot be read by others
_LONGEST_CLAIM = 1 << 20
_LONGEST_LOOK_S = 10.0
_held: dict[str, Claim] = {}


@frozen
class Dead:
    """
    A claim whose process is gone; its lock is ours while this is open.

    `facts` is what the process wrote of itself: writer, adopted runs, whether it exited, and its `self_portrait()`.
    """

    path: Path
    facts: dict[str, Any]

    @property
    def writer(self) -> str:
        """The writer id of the process that is gone."""
        return str(self.facts.get("writer") or self.path.stem)


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
        _held[self.path.name] = self
        self._descriptor = descriptor
        _lock(descriptor)
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
        _held.pop(self.path.name, None)

    def drop_in_child(self) -> None:
        """Close the parent's descriptor in the child of a fork; the parent's lock stays where it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def forget_all() -> None:
    """In the child of a fork: this process holds no claim yet, and no thread of it is looking at one."""
    global _looking
    _held.clear()
    _looking = _Looking()


class _Looking:
    """
    The turn of one thread of this process to look at claims.

    A POSIX lock is the whole process's: it keeps no other thread out, and is gone as soon as any thread closes the
    file. Eight threads that looked at once wrote up to 12 verdicts on one run.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._is_taken = False

    @contextmanager
    def at_claims(self) -> Iterator[bool]:
        """Wait for the turn, `_LONGEST_LOOK_S` at most, and say whether it came."""
        if not self._turn.acquire(timeout=_LONGEST_LOOK_S):
            yield False
            return
        try:
            # Taken though the lock let us in: by the code that a signal handler has interrupted to get here.
            if self._is_taken:
                yield False
                return
            self._is_taken = True
            try:
                yield True
            finally:
                self._is_taken = False
        finally:
            self._turn.release()


_looking = _Looking()


def dead_processes(folder: Path) -> Iterator[Dead]:
    """
    Yield the claims of processes that are gone, each locked while the caller looks at it.

    One thread of a process looks at a time; the next one finds what is left. A claim of another machine (host and
    boot differ) is never judged: its lock may not reach us. A claim of an earlier boot of this host is dead by that
    alone.
    """
    with _looking.at_claims() as is_our_turn:
        if is_our_turn:
            yield from _dead_in(folder)


def _dead_in(folder: Path) -> Iterator[Dead]:
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        # Opening our own claim and closing it again would free our own lock (POSIX).
        if path.name not in _held:
            yield from _if_dead(path)


def living_adoptions(folder: Path, dead: Path) -> set[str]:
    """Return the runs that living processes have adopted; *dead* is the claim that is being looked at."""
    adopted: set[str] = set()
    for path in folder.glob("*.json"):
        if path.name in _held:
            adopted |= _held[path.name].adopted
        elif path != dead:
            adopted |= _adopted_if_alive(path)
    return adopted


def _adopted_if_alive(path: Path) -> set[str]:
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return set()
    try:
        facts = _facts_of(descriptor)
        return set() if _is_free(descriptor) else set(facts.get("adopted") or ())
    finally:
        os.close(descriptor)


def _if_dead(path: Path) -> Iterator[Dead]:
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return  # its owner has just ended well, or it is not ours to open
    try:
        facts = _facts_of(descriptor)
        if _is_ours_to_judge(facts) and _is_free(descriptor) and path.exists():
            yield Dead(path, facts)
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    try:
        _lock(descriptor)
    except OSError:
        return False
    return True


def _facts_of(descriptor: int) -> dict[str, Any]:
    try:
        facts = json.loads(os.read(descriptor, _LONGEST_CLAIM) or b"{}")
    except ValueError:
        return {}  # its process died while it wrote: the file name still tells the writer
    return facts if isinstance(facts, dict) else {}


def _is_ours_to_judge(facts: dict[str, Any]) -> bool:
    if facts.get("host", host()) == host():
        return True
    return boot_id() is not None and facts.get("boot_id") == boot_id()  # another container of this machine
