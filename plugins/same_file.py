"""Tell whether a path or a descriptor still leads to the same file: agents delete, replace and close ours."""

from __future__ import annotations

import errno
import os

__all__ = ["close_own", "is_open_on", "is_same_file"]

_ELSEWHERE = frozenset((errno.ENOENT, errno.ENOTDIR, getattr(errno, "ESTALE", errno.ENOENT)))


def is_same_file(path: str | os.PathLike[str], known: os.stat_result) -> bool:
    """Return whether *path* still leads to the file *known*; True when that cannot be told."""
    try:
        return os.path.samestat(os.stat(path), known)
    except OSError as error:
        # Without the right to look, say: the open descriptor still works, and that is what counts.
        return error.errno not in _ELSEWHERE


def is_open_on(descriptor: int, known: os.stat_result, *, needs_name: bool = False) -> bool:
    """
    Return whether *descriptor* is still that of the file *known*; costs 1 us.

    `os.closerange()`, as code that makes a daemon calls it, closes our files too, and the next file that the agent
    opens gets the number: what is written there would be in the agent's file, and a close would take it away.

    Args:
        needs_name: a file that was deleted since does not count.
    """
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    is_known = found.st_ino == known.st_ino and found.st_dev == known.st_dev
    return is_known and (not needs_name or found.st_nlink > 0 or known.st_nlink == 0)


def close_own(descriptor: int, known: os.stat_result) -> None:
    """Close *descriptor* if it is still that of the file *known*."""
    if is_open_on(descriptor, known):
        os.close(descriptor)
