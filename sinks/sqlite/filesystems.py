"""Tell whether a folder lies where a WAL can live: it needs memory that all its processes really share."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

__all__ = ["can_hold_wal", "kind_of"]

_MOUNTS = Path("/proc/self/mountinfo")
# Two machines, or a machine and its guest, behind one mount: each maps a copy of its own of the -shm file, and a
# WAL is torn without an error. overlay is not among them: all processes of one container see one file.
_SHARED = ("nfs", "cifs", "smb", "9p", "virtiofs", "fuse.", "fuseblk", "vboxsf", "prl_fs", "afs", "ceph", "gfs", "ocfs")
_SAFE_FUSE = ("fuse.fuse-overlayfs",)


def can_hold_wal(folder: Path) -> bool:
    """Whether a WAL in *folder* is seen alike by every process that may open it."""
    if sys.platform == "win32" and str(folder).startswith("\\\\"):
        return False
    kind = kind_of(folder)
    return kind in _SAFE_FUSE or not kind.startswith(_SHARED)


@lru_cache(maxsize=64)
def kind_of(folder: Path) -> str:
    """Return the type of the file system under *folder* as the kernel names it, empty text where it does not say."""
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""  # not Linux: the file systems of other kernels are found out by trying
    place, best, kind = str(folder.resolve()), "", ""
    for line in lines:
        head, _, tail = line.partition(" - ")
        point = _unescaped(head.split()[4])
        if len(point) >= len(best) and _is_under(place, point):
            best, kind = point, tail.split()[0]
    return kind


def _is_under(place: str, point: str) -> bool:
    return point == "/" or place == point or place.startswith(f"{point}/")


def _unescaped(point: str) -> str:
    return point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
