"""Write a whole distribution with a sink, from which its author goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from types import MappingProxyType

from attrs import field, frozen

from ...plugins.discovery import DISTRIBUTION, installed_sink_types
from ...plugins.errors import InputError

__all__ = ["NewSink", "write_sink"]

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST = 40
_PREFIX = re.compile(r"telemetry[-_]sink[-_](?=.)")
# The manifest, because setuptools by itself leaves tests/conftest.py out of what whoever packages the sink gets.
_ANY = {"pyproject.toml": "pyproject.toml.txt", "MANIFEST.in": "manifest.in.txt", ".gitignore": "gitignore.txt"}
_FILES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "file": {
            **_ANY,
            "README.md": "file_readme.md.txt",
            "{module}.py": "file_sink.py.txt",
            "tests/test_conformance.py": "file_test_conformance.py.txt",
            "tests/test_sink.py": "file_test_sink.py.txt",
        },
        "remote": {
            **_ANY,
            "README.md": "remote_readme.md.txt",
            "{module}.py": "remote_sink.py.txt",
            "tests/conftest.py": "remote_conftest.py.txt",
            "tests/test_conformance.py": "remote_test_conformance.py.txt",
            "tests/test_sink.py": "remote_test_sink.py.txt",
        },
    }
)


def _bare(name: str) -> str:
    """Return *name* without what stands before it in the name of the distribution, which it would get twice."""
    return _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name


@frozen
class NewSink:
    """
    The names of a new sink.

    Args:
        name: its type, as it stands in a configuration; the name of its distribution is understood too.
        kind: `file`, which takes records as they come, or `remote`, which is fed from the journal.

    Raises:
        InputError: it cannot be a name, or is taken by one of our own sinks.
    """

    name: str = field(converter=_bare)
    kind: str = "file"

    def __attrs_post_init__(self) -> None:
        """Refuse a name of which no distribution could be made."""
        if not _NAME.fullmatch(self.name) or len(self.name) > _LONGEST:
            raise InputError(
                f"{self.name!r} cannot be the name of a sink; take small letters and digits, with - or _ between "
                f"words, {_LONGEST} at most, as 'my-store'"
            )
        if any(entry.name == self.name and entry.distribution == DISTRIBUTION for entry in installed_sink_types()):
            raise InputError(f"{self.name!r} is a sink of {DISTRIBUTION}, which would always win; take another name")

    @property
    def distribution(self) -> str:
        """What is installed with pip."""
        return f"telemetry-sink-{self.name.replace('_', '-')}"

    @property
    def module(self) -> str:
        """What is imported."""
        return self.distribution.replace("-", "_")

    @property
    def sink(self) -> str:
        """The class."""
        return "".join(word.capitalize() for word in re.split("[-_]", self.name)) + "Sink"

    def files(self, version: str) -> dict[str, str]:
        """Return each file of the distribution by its path; *version* is the least of ours that it asks for."""
        values = {
            "name": self.name,
            "distribution": self.distribution,
            "module": self.module,
            "sink": self.sink,
            "version": version,
        }
        templates = resources.files(__package__).joinpath("templates")
        return {
            path.format(**values): Template(templates.joinpath(source).read_text("utf-8")).substitute(values)
            for path, source in _FILES[self.kind].items()
        }


def write_sink(new: NewSink, into: Path, version: str) -> list[Path]:
    """
    Write the distribution of *new* into a folder of its own below *into*; return the files.

    Raises:
        FileExistsError: the folder is there already.
    """
    folder = into / new.distribution
    folder.mkdir(parents=True)
    written = []
    for path, text in new.files(version).items():
        place = folder / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, "utf-8")
        written.append(place)
    return written
