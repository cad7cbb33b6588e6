"""Close every store before the process forks, since SQLite's own books about locks are copied into the child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["watch"]


class _Forkable(Protocol):
    def park(self) -> None: ...

    def unpark(self) -> None: ...

    def renew(self) -> None: ...


_watched: weakref.WeakSet[_Forkable] = weakref.WeakSet()


def watch(database: _Forkable) -> None:
    """Have *database* parked before each fork of this process and made new in the child."""
    _watched.add(database)


def _before() -> None:
    # Measured: a connection that is opened in a child whose parent had one open takes no lock in the kernel at all;
    # SQLite finds the inode in its copied list and believes that the process holds the lock already.
    for database in list(_watched):
        database.park()


def _after_in_parent() -> None:
    for database in list(_watched):
        database.unpark()


def _after_in_child() -> None:
    for database in list(_watched):
        database.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
