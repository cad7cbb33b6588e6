"""Tell which processes are gone, by the locks that they held while they lived."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from ..plugins.same_file import is_same_file
from .claims import claims_held, lock
from .machine import boot_id, host, is_alive

__all__ = ["Dead", "Others", "dead_processes", "forget_all"]

_LONGEST_CLAIM = 1 << 20
_LONGEST_LOOK_S = 10.0


@frozen
class Others:
    """
    What one look found at all claims.

    `claimed` are the writers that have one, dead or alive; `adopted` the runs that living processes have adopted.
    """

    claimed: frozenset[str]
    adopted: frozenset[str]


@frozen
class Dead:
    """
    A claim whose process is gone; its lock is ours while this is open.

    `facts` is what the process wrote of itself: writer, adopted runs, whether it exited, and its `self_portrait()`.
    """

    path: Path
    facts: dict[str, Any]
    others: Others

    @property
    def writer(self) -> str:
        """The writer id of the process that is gone."""
        return str(self.facts.get("writer") or self.path.stem)

    @property
    def adopted(self) -> tuple[str, ...]:
        """The runs of other processes that it wrote to."""
        return _texts(self.facts.get("adopted"))


def forget_all() -> None:
    """In the child of a fork: this process holds no claim yet, and no thread of it is looking at one."""
    global _looking
    claims_held.clear()
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


def dead_processes(folder: Path) -> Generator[Dead, None, None]:
    """
    Yield the claims of processes that were gone at the first look at all, each locked while the caller looks at it.

    One thread of a process looks at a time; the next one finds what is left. A claim of another machine (host and
    boot differ) is never judged: its lock may not reach us. A claim of an earlier boot of this host is dead by that
    alone.
    """
    with _looking.at_claims() as is_our_turn:
        if is_our_turn:
            yield from _dead_in(folder)


def _dead_in(folder: Path) -> Iterator[Dead]:
    # All are looked at before the first is judged: so each costs two looks, and not one for each of the dead.
    seen = [_look_at(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []
    living = (each.adopted for each in seen if each.is_living)
    others = Others(frozenset(each.path.stem for each in seen), frozenset().union(*living))
    for each in seen:
        if each.is_dead:
            yield from _if_still_dead(each.path, others)


@frozen
class _Seen:
    """One claim at the first look; one that cannot be opened is neither living nor dead."""

    path: Path
    is_living: bool = False
    is_dead: bool = False
    adopted: frozenset[str] = frozenset()


def _look_at(path: Path) -> _Seen:
    # Opening our own claim and closing it again would free our own lock (POSIX).
    if (own := claims_held.get(path.name)) is not None:
        return _Seen(path, is_living=True, adopted=frozenset(own.adopted))
    with _opened(path) as descriptor:
        if descriptor is None:
            return _Seen(path)
        facts = _facts_of(descriptor)
        is_living = not _is_given_up(descriptor, facts, is_shared=True)
    is_dead = not is_living and _is_ours_to_judge(facts)
    return _Seen(path, is_living, is_dead, frozenset(_texts(facts.get("adopted"))))


def _if_still_dead(path: Path, others: Others) -> Iterator[Dead]:
    with _opened(path) as descriptor:
        if descriptor is None:
            return
        facts = _facts_of(descriptor)
        # Another reader may have judged it since and removed it, or its process have put another in its place.
        if _is_ours_to_judge(facts) and _is_given_up(descriptor, facts) and is_same_file(path, os.fstat(descriptor)):
            yield Dead(path, facts, others)


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        yield None  # its owner has just ended well, or it is not ours to open
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_given_up(descriptor: int, facts: dict[str, Any], *, is_shared: bool = False) -> bool:
    try:
        lock(descriptor, is_shared=is_shared)
    except OSError:
        return False
    # A living process loses its lock when it reads its own claim, as whoever makes an archive of the base directory
    # does. So the process table is asked too, where it can tell.
    return not is_alive(facts)


def _facts_of(descriptor: int) -> dict[str, Any]:
    try:
        facts = json.loads(os.read(descriptor, _LONGEST_CLAIM) or b"{}")
    except ValueError:
        return {}  # its process died while it wrote: the file name still tells the writer
    return facts if isinstance(facts, dict) else {}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _is_ours_to_judge(facts: dict[str, Any]) -> bool:
    if facts.get("host", host()) == host():
        return True
    return boot_id() is not None and facts.get("boot_id") == boot_id()  # another container of this machine
