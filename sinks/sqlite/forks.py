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


# Not a WeakSet: to walk one while another thread opens a store raises, and the fork would find its database open.
_watched: weakref.WeakValueDictionary[int, _Forkable] = weakref.WeakValueDictionary()


def watch(database: _Forkable) -> None:
    """Have *database* parked before each fork of this process and made new in the child."""
    _watched[id(database)] = database


def _all() -> list[_Forkable]:
    return [database for reference in _watched.valuerefs() if (database := reference()) is not None]


def _before() -> None:
    # Measured: a connection that is opened in a child whose parent had one open takes no lock in the kernel at all;
    # SQLite finds the inode in its copied list and believes that the process holds the lock already.
    for database in _all():
        database.park()


def _after_in_parent() -> None:
    for database in _all():
        database.unpark()


def _after_in_child() -> None:
    for database in _all():
        database.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
