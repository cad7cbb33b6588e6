"""Choose the base directory: the first of the proposed ones that this user can write."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

__all__ = ["absolute", "base_of", "choose_base", "is_usable", "user_directory"]

_USUAL = ("/agent-metrics", "/opt/telemetry", "/data/telemetry", "D:/agent-metrics", "C:/agent-metrics")
_APP = "telemetry"
_XDG = {"config": ("XDG_CONFIG_HOME", ".config"), "data": ("XDG_DATA_HOME", ".local/share")}


def base_of(database_path: Path) -> Path:
    """Return the base directory that a database lies in: the grandparent, but never the root of the file system."""
    parent = database_path.parent
    # A volume mounted at /data with /data/telemetry.sqlite: beside / the journal would miss the volume.
    return parent if parent.parent == Path(parent.anchor) else parent.parent


def absolute(path: Path, folder: Path | None = None) -> Path:
    """Return *path* as seen from *folder*, else from the working directory; an agent may leave that later."""
    if path.is_absolute():
        return path
    if folder is not None:
        return folder / path
    try:
        return Path.cwd() / path
    except OSError:
        return _temporary() / path  # the working directory was deleted under the agent, or closed


def is_usable(directory: Path) -> bool:
    """Tell whether *directory* can be written, or made where it does not exist yet."""
    for place in (directory, *directory.parents):
        if os.path.lexists(place):
            return os.path.isdir(place) and _is_writable(place)
    return False


def choose_base(proposed: Iterable[tuple[Path, str]]) -> tuple[Path, str, list[str]]:
    """
    Return the base directory, its origin, and a fault for each proposed directory that cannot be written.

    Args:
        proposed: directories with their origins, the best first.
    """
    refused: list[tuple[Path, str]] = []
    for directory, origin in proposed:
        if is_usable(directory):
            return directory, origin, _refusals(refused, directory)
        refused.append((directory, origin))
    usual = next(_usual_bases(), None)
    if usual is not None:
        return usual, "default", _refusals(refused, usual)
    last = _last_resort()
    notice = f"No usual directory can be written by this user; {os.fspath(last)!r} is used, which may be emptied"
    return last, "default", [*_refusals(refused, last), notice]


def user_directory(kind: Literal["config", "data"], environ: Mapping[str, str]) -> Path | None:
    """Return the directory of this platform for our files of one *kind*, None for a user without a home."""
    if sys.platform == "linux":
        # As platformdirs says, which takes 3 ms to import; every agent without a file gets here.
        variable, otherwise = _XDG[kind]
        home = _home()
        set_to = environ.get(variable, "").strip() or (home and os.fspath(home / otherwise))
        directory = Path(set_to) / _APP if set_to else Path()
    else:
        import platformdirs

        find = platformdirs.user_config_dir if kind == "config" else platformdirs.user_data_dir
        directory = Path(find(_APP, appauthor=False))
    return directory if directory.is_absolute() else None


def _refusals(refused: list[tuple[Path, str]], chosen: Path) -> list[str]:
    return [
        f"{os.fspath(directory)!r} (from {origin}) cannot be written by this user; {os.fspath(chosen)!r} is used"
        for directory, origin in refused
    ]


def _is_writable(directory: Path) -> bool:
    # Of the effective user: in a setuid program os.access() asks for the real one.
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)


def _usual_bases() -> Iterator[Path]:
    for name in _USUAL:
        path = Path(name)
        # On POSIX D:/agent-metrics is a folder in the working directory, and never meant.
        if path.is_absolute() and os.path.isdir(path) and _is_writable(path):
            yield path
    home = _home()
    if home is not None and os.path.isdir(home / ".telemetry") and _is_writable(home / ".telemetry"):
        yield home / ".telemetry"
    data = user_directory("data", os.environ)
    if data is not None and is_usable(data):
        yield data


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None  # a container whose user id has no name and no HOME


def _last_resort() -> Path:
    user = os.geteuid() if hasattr(os, "geteuid") else "user"
    names = (f"telemetry-{user}{suffix}" for suffix in ("", *(f"-{number}" for number in range(1, 100))))
    places = [_temporary() / name for name in names]
    return next((place for place in places if _is_ours_or_free(place)), places[0])


def _is_ours_or_free(place: Path) -> bool:
    # Anybody can make a directory of this name in /tmp, and would then read our records.
    try:
        found = place.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    if sys.platform == "win32":
        return stat.S_ISDIR(found.st_mode)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _temporary() -> Path:
    import tempfile  # 5 ms, and hardly anybody gets here

    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path(os.sep)  # nothing at all can be written; the sinks will say so
