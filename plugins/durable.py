"""Make the names in a folder survive a power cut: a file that was synced is of no use under a name that was not."""

from __future__ import annotations

import errno
import os
import sys

__all__ = ["CANNOT_SYNC", "sync_directory"]

CANNOT_SYNC = frozenset((errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM))
"""What a system answers that has no such sync, or does not let everybody do it who may write there."""


def sync_directory(path: str | os.PathLike[str]) -> None:
    """
    Sync the entries of the directory *path*; where that cannot be done they are as safe as the system makes them.

    Raises:
        OSError: the disk failed, or the directory is gone.
    """
    if sys.platform == "win32":
        return  # Windows opens no directory; NTFS writes its entries through its own log
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
