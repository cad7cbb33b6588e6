"""Find the one configuration file that counts, and read its table."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from .lines import line_of
from .places import absolute, user_directory
from .settings import CONFIG_VARIABLE

__all__ = ["PROJECT_FILE", "PROJECT_TABLE", "Broken", "ConfigFile", "find_file", "read_file"]

FILE_NAME = "telemetry.toml"
PROJECT_FILE = "pyproject.toml"
PROJECT_TABLE = ("tool", "telemetry")
"""Where in it ours stands."""
_REPOSITORY_MARKS = (".git", ".hg")
_MENTIONS_US = re.compile(rb"tool\s*\.\s*[\"']?telemetry|^\s*\[\s*tool\s*\]", re.MULTILINE)
_LARGEST_BYTES = 1_000_000


class Broken(Exception):
    """A configuration file cannot be used; the text says why."""


@frozen
class ConfigFile:
    """A configuration file that was read: its text for line numbers, its table, and where in it the table stands."""

    path: Path
    text: str
    table: Mapping[str, Any]
    inside: tuple[str, ...] = ()

    def origin(self, *keys: str) -> str:
        """Return path and line of the setting *keys*."""
        line = line_of(self.text, (*self.inside, *keys))
        return f"{self.path}:{line}" if line else str(self.path)


def find_file(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> ConfigFile | None:
    """
    Return the file that counts, None when there is none.

    It is *path*, else the one that TELEMETRY_CONFIG names, else the first of: `telemetry.toml` or the table
    `[tool.telemetry]` of `pyproject.toml`, in the working directory and its parents up to the root of the
    repository; `telemetry.toml` in the user's configuration directory. Only one file is ever read.

    Raises:
        Broken: the file that counts cannot be read.
    """
    named = path or environ.get(CONFIG_VARIABLE, "").strip()
    if named:
        return read_file(absolute(Path(named).expanduser()))
    for candidate in _candidates(environ):
        # Not Path.is_file(), which raises where a directory on the way is closed to us, such as another user's home.
        if os.path.isfile(candidate) and _concerns_us(candidate):
            _refuse_planted(candidate)
            found = read_file(candidate)
            if found.path.name != PROJECT_FILE or found.table:
                return found
    return None


def read_file(path: Path) -> ConfigFile:
    """
    Return the file at *path*; of a `pyproject.toml` the table `[tool.telemetry]`.

    Raises:
        Broken: it is not there, cannot be read, or is no TOML.
    """
    text = _text_of(path)
    table = _table_of(path, text)
    if path.name != PROJECT_FILE:
        return ConfigFile(path, text, table)
    tool = table.get("tool")
    ours = tool.get("telemetry", {}) if isinstance(tool, dict) else {}
    if not isinstance(ours, dict):
        raise Broken(f"{path} has a tool.telemetry that is no table")
    return ConfigFile(path, text, ours, PROJECT_TABLE)


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    for folder in _project_folders():
        yield folder / FILE_NAME
        yield folder / PROJECT_FILE
    user = user_directory("config", environ)
    if user is not None:
        yield user / FILE_NAME


def _project_folders() -> list[Path]:
    try:
        here = Path.cwd()
    except OSError:
        return []  # the working directory was deleted, or a directory above it is closed
    folders = [here, *here.parents]
    for depth, folder in enumerate(folders, start=1):
        if any(os.path.lexists(folder / mark) for mark in _REPOSITORY_MARKS):
            return folders[:depth]
    # Without a repository nobody can say where a project ends; /tmp may hold somebody else's file.
    return folders[:1]


def _concerns_us(path: Path) -> bool:
    # Most pyproject.toml do not mention us, and parsing them would cost every agent in a repository 5 ms.
    try:
        return path.name != PROJECT_FILE or _MENTIONS_US.search(path.read_bytes()) is not None
    except OSError:
        return False  # it is not known to be ours


def _refuse_planted(path: Path) -> None:
    """Refuse a found file that another user may have put there: it could send our records anywhere."""
    if sys.platform == "win32":
        return
    try:
        owner, folder = path.stat().st_uid, path.parent.stat()
    except OSError as error:
        raise Broken(f"{path} cannot be read: {error.strerror}") from error
    if owner not in (os.geteuid(), 0) and folder.st_mode & stat.S_IWOTH:
        raise Broken(f"{path} is not read: another user owns it, in a directory that everybody can write")


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise Broken(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > _LARGEST_BYTES:
        raise Broken(f"{path} is larger than {_LARGEST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")  # editors on Windows put a mark before the text
    except UnicodeDecodeError as error:
        raise Broken(f"{path} is not written in UTF-8 (byte {error.start})") from error


def _table_of(path: Path, text: str) -> dict[str, Any]:
    import tomllib  # 2 ms, and most agents have no file

    try:
        return tomllib.loads(text)
    # ValueError: TOMLDecodeError, and numbers longer than Python reads. RecursionError: lists nested 1,000 deep.
    except (ValueError, RecursionError) as error:
        raise Broken(f"{path} is no TOML: {error}") from error
