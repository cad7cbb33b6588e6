"""Make the folders that records lie in: what an agent did is for its user alone."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

__all__ = ["make_private_folder"]

_MODE = 0o700


def make_private_folder(path: str | os.PathLike[str]) -> None:
    """
    Make *path* and what is missing above it, 0700 whatever the umask says; what exists keeps its mode.

    Raises:
        NotADirectoryError: something else stands there.
        OSError: it cannot be made.
    """
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above and above != os.fspath(path):
        make_private_folder(above)
    with suppress(FileExistsError):  # another process came first
        # Path.mkdir(parents=True) gives the folders above the modes of the umask, and others could read them.
        os.mkdir(path, _MODE)
        os.chmod(path, _MODE)
    if not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
