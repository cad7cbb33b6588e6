"""Choose the files that the demo reads: a few parts of a folder, some files of each, those that look broken first."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

__all__ = ["Section", "chosen_sections", "standard_library"]

_FAMILIAR = ("asyncio", "email", "importlib", "xml", "test")
_MOST_SECTIONS = 6
_TOP = "top level"
_NOT_SOURCE = frozenset(("site-packages", "dist-packages", "__pycache__", "node_modules"))


@frozen
class Section:
    """A part of a folder, with the files that are read of it."""

    name: str
    files: tuple[Path, ...]


def standard_library() -> Path:
    """Return the folder of the standard library of this Python."""
    return Path(sysconfig.get_path("stdlib"))


def chosen_sections(folder: Path, most_files: int) -> list[Section]:
    """
    Return up to six parts of *folder*, its largest subfolders and what lies at its top, *most_files* in all.

    Of the standard library the parts are ones that people know. Empty when there is no Python file.
    """
    found = {name: files for name, files in _parts(folder) if files}
    if folder == standard_library() and all(name in found for name in _FAMILIAR[:3]):
        names = [_TOP, *(name for name in _FAMILIAR if name in found)]
    else:
        names = sorted(found, key=lambda name: (-len(found[name]), name))
    return list(_bounded(found, [name for name in names if name in found][:_MOST_SECTIONS], most_files))


def _bounded(found: dict[str, list[Path]], names: list[str], most_files: int) -> Iterator[Section]:
    left = most_files
    # The smallest part first: what it does not need of its share goes to the larger ones.
    for number, name in enumerate(sorted(names, key=lambda name: len(found[name]))):
        share = max(1, left // (len(names) - number)) if left else 0
        files = found[name][:share]
        left -= len(files)
        if files:
            yield Section(name, tuple(files))


def _parts(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    entries = sorted(folder.iterdir())
    yield _TOP, _ordered(entry for entry in entries if entry.suffix == ".py" and entry.is_file())
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink() and entry.name not in _NOT_SOURCE and entry.name[0] != ".":
            yield entry.name, _ordered(_python_files(entry))


def _python_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_SOURCE and name[0] != "."]
        yield from (Path(place, name) for name in names if name.endswith(".py"))


def _ordered(files: Iterable[Path]) -> list[Path]:
    # The tests of Python's own parser are called badsyntax_*.py: a file that fails is worth more here than one more
    # that does not.
    return sorted(files, key=lambda file: ("badsyntax" not in file.name, "bad" not in file.name, file))
