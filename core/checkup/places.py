"""Check where records lie: that the place is there, ours, only for us, has room, and writes at a bearable speed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from .finding import FAULT, NOTE, OK, WARNING, Finding

__all__ = ["check_access", "check_disk", "check_fsync"]

_LEAST_FREE_BYTES = 1_000_000_000
_LEAST_FREE_SHARE = 0.02
_SYNCS = 9
_SLOW_SYNC_MS = 20.0
_MOST_NAMED = 3


def check_access(base_dir: Path) -> Iterator[Finding]:
    """Tell whether the base directory can be used, and whether others can read what lies in it."""
    if not base_dir.is_dir():
        yield Finding("directories", NOTE, "nothing was recorded yet", str(base_dir), "telemetry demo")
        return
    if not os.access(base_dir, os.W_OK | os.X_OK):
        yield Finding("directories", FAULT, "you cannot write there", str(base_dir), f"chown it, or set {_VARIABLE}")
        return
    exposed = list(_exposed(base_dir)) if os.name == "posix" else []
    if not exposed:
        yield Finding("directories", OK, "there, writable, closed to others", str(base_dir))
        return
    named = ", ".join(f"{path} ({stat.S_IMODE(path.stat().st_mode):04o})" for path in exposed[:_MOST_NAMED])
    more = f", {len(exposed) - _MOST_NAMED} more" if len(exposed) > _MOST_NAMED else ""
    told = "others can read what agents recorded"
    yield Finding("directories", WARNING, told, named + more, "telemetry doctor --fix", partial(_close, exposed))


_VARIABLE = "TELEMETRY_BASE_DIR"


def _exposed(base_dir: Path) -> Iterator[Path]:
    # What lies below a closed directory is closed too, so the directories alone say it all but for the base itself.
    if base_dir.stat().st_mode & 0o077:
        yield base_dir
        yield from (path for path in base_dir.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077)


def _close(paths: list[Path]) -> None:
    for path in paths:
        path.chmod(0o700 if path.is_dir() else 0o600)


def check_disk(base_dir: Path) -> Iterator[Finding]:
    """Tell how much room is left on the disk."""
    place = next(path for path in (base_dir, *base_dir.parents) if path.exists())
    usage = shutil.disk_usage(place)
    share = usage.free / usage.total if usage.total else 0.0
    told = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.1f} GB are free"
    if usage.free < _LEAST_FREE_BYTES or share < _LEAST_FREE_SHARE:
        yield Finding("disk", WARNING, told, str(place), "make room: a full disk stops the recording, not the agents")
    else:
        yield Finding("disk", OK, told)


def check_fsync(base_dir: Path) -> Iterator[Finding]:
    """Tell how long a write takes to reach the disk; each event of an agent waits for one."""
    if not os.access(base_dir, os.W_OK | os.X_OK):
        return
    taken_ms = median(_syncs_ms(base_dir))
    told = f"a write reaches the disk in {taken_ms:.1f} ms"
    if taken_ms > _SLOW_SYNC_MS:
        cure = 'set fsync = "interval" for the ndjson sink, or move the base directory to a faster disk'
        yield Finding("fsync", WARNING, told, f"median of {_SYNCS} writes in {base_dir}", cure)
    else:
        yield Finding("fsync", OK, told)


def _syncs_ms(folder: Path) -> Iterator[float]:
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(b"x" * 256)
            file.flush()
            os.fsync(file.fileno())
            yield (time.perf_counter() - began) * 1000
