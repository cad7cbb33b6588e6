"""Reach the disk: open, write and sync as each system wants it, private to the user, with errors that name a cure."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from attrs import frozen

from ...plugins.durable import CANNOT_SYNC, sync_directory

__all__ = ["Disk", "explained", "open_private"]

_MODE_FILE = 0o600
_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)  # Python adds O_CLOEXEC by itself

_FULL = "free some space there; the journal goes on by itself"
_CLOSED = "make it writable for this user, or choose another base directory (TELEMETRY_BASE_DIR)"
_CURES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC: _FULL,
    errno.EFBIG: "raise the limit of the file size (ulimit -f), or choose another file system",
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: _CLOSED,
    errno.EMFILE: "close files or raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close files or raise the system's limit of open files",
    errno.ENOTDIR: "a file stands where a directory should be: move it, or choose another base directory",
    errno.EIO: "the disk failed: see the system's log, and choose another base directory",
}


if sys.platform == "darwin":
    import fcntl

    def _sync(descriptor: int) -> None:
        # On macOS fsync() stops at the drive's cache; only F_FULLFSYNC survives a power cut. Not all volumes have it.
        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in CANNOT_SYNC:
                raise
            os.fsync(descriptor)
else:
    # fdatasync() leaves out the file's times: 0.19 ms where fsync() needs 0.21 ms.
    _sync = getattr(os, "fdatasync", os.fsync)


@frozen
class Disk:
    """The calls that reach the disk; a test hands in others to see their order or to let them fail."""

    write: Callable[[int, bytes | memoryview], int] = os.write
    sync: Callable[[int], None] = _sync
    sync_directory: Callable[[str], None] = sync_directory


def open_private(path: str) -> int:
    """
    Open *path* for appending and reading; a file that is made here gets 0600 whatever the umask says.

    The mode of a file that exists stays as its owner set it.
    """
    while True:
        try:
            return os.open(path, _FLAGS)
        except FileNotFoundError:
            with suppress(FileExistsError):  # another process made it meanwhile: open that one
                return _made(path)


def _made(path: str) -> int:
    descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE_FILE)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, _MODE_FILE)
    return descriptor


def explained(error: OSError, act: str, path: str) -> OSError:
    """Return *error* again, saying what could not be done, where, and what to do about it."""
    cure = _CURES.get(error.errno or 0, "`telemetry doctor` looks into it")
    return OSError(error.errno, f"cannot {act} ({error.strerror or error}); {cure}", path)
