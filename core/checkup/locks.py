"""Check what writers of one store rely on: locks that hold, that nobody is frozen in one, and a disk of their own."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .finding import NOTE, OK, WARNING, Finding

__all__ = ["check_file_system", "check_locks"]

_FROZEN_AFTER_S = 0.5
_PAUSE_S = 0.01


def check_locks(base_dir: Path, lock_files: tuple[Path, ...]) -> Iterator[Finding]:
    """Tell whether a lock on this file system keeps others out, and whether one of *lock_files* is held for long."""
    if not os.access(base_dir, os.W_OK | os.X_OK):
        return
    if not _locks_hold(base_dir):
        told = "a lock on this file system keeps nobody out"
        cure = "set the base directory on a local disk, or let only one process write at a time"
        yield Finding("locks", WARNING, told, f"two descriptors of one file in {base_dir} were both locked", cure)
        return
    held = [path for path in lock_files if path.exists() and _is_held(path)]
    for path in held:
        cure = f"find who holds it (lsof {path}); agents wait 0.1 s at most and go on without the lock"
        yield Finding("locks", WARNING, "somebody has held a lock all the time", f"{path}, {_FROZEN_AFTER_S} s", cure)
    if not held:
        yield Finding("locks", OK, "they hold, and none is held for long")


def _locks_hold(folder: Path) -> bool:
    from filelock import lock_descriptor

    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place, "lock")
        with path.open("wb") as first, path.open("rb+") as second:
            try:
                taken = [lock_descriptor(file.fileno(), blocking=False) for file in (first, second)]
            except OSError:
                return False
    return taken == [True, False]


def _is_held(path: Path) -> bool:
    from filelock import lock_descriptor, unlock_descriptor

    end = time.monotonic() + _FROZEN_AFTER_S
    with path.open("rb+") as file:
        while time.monotonic() < end:
            if lock_descriptor(file.fileno(), blocking=False):
                unlock_descriptor(file.fileno())
                return False
            time.sleep(_PAUSE_S)
    return True


def check_file_system(folder: Path, kind: str, can_hold_wal: bool) -> Iterator[Finding]:
    """Tell which file system the database lies on, and what that means for it."""
    if can_hold_wal:
        yield Finding("file system", OK, f"{kind or 'not named by this kernel'}, fit for the database", str(folder))
        return
    told = f"{kind} is shared by machines that see no common memory: the database works without its WAL, and slower"
    cure = "put the base directory on a local disk; telemetry merge brings machines together"
    yield Finding("file system", NOTE, told, str(folder), cure)
