"""Give each configuration test a working directory without a file, and a user who is not allowed everything."""

import json
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telemetry.core.config import places

_NOBODY = 65534


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, which is empty; none of the usual base directories is on this machine."""
    monkeypatch.setattr(places, "_USUAL", ())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Return a function that writes a `telemetry.toml`, or another file, into the working directory."""

    def write_file(text: str, name: str = "telemetry.toml") -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    return write_file


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """Return a directory that every user can enter and write; pytest's own are closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="telemetry-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def as_ordinary_user() -> Callable[..., Any]:
    """Return a function that calls another one as a user without privileges: root may write anywhere."""
    if not hasattr(os, "fork"):
        pytest.skip("needs POSIX users")
    return _call_as_nobody if os.geteuid() == 0 else lambda call, *arguments: call(*arguments)


def _call_as_nobody(call: Callable[..., Any], *arguments: Any) -> Any:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        outcome: Any = "the child raised"
        try:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
            outcome = call(*arguments)
        finally:
            os.write(writing, pickle.dumps(outcome))
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    return result


@pytest.fixture
def toml() -> Callable[[Any], str]:
    """Return a function that writes a value as TOML."""
    return json.dumps
