"""Lend the tests of import and merge a base directory to bring things into, and a way to look at what came of it."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define
from stopped_command import STOPPED

from telemetry import open_store
from telemetry.core.cli.desk import Desk
from telemetry.core.cli.main import run as run_cli
from telemetry.core.cli.screen import Screen
from telemetry.plugins import RunStore


@define
class Target:
    """A base directory, and the command line that works on it."""

    base: Path

    def run(self, *arguments: object, **traits: object) -> tuple[int, str, str]:
        """Run `telemetry` on it; return exit code, output and messages."""
        screen = Screen(io.StringIO(), io.StringIO(), **{"width": 140, **traits})  # type: ignore[arg-type]
        code = run_cli([*map(str, arguments)], Desk(screen, base_dir=self.base))
        return code, screen.out.getvalue(), screen.err.getvalue()  # type: ignore[attr-defined]

    def stopped(self, number: int, stage: str, times: int, *arguments: object) -> tuple[int, str]:
        """Run `telemetry` on it, stopped by this signal when *stage* goes on; return exit code and messages."""
        program = STOPPED.replace("SIGINT", signal.Signals(number).name)
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *map(str, (stage, times, "--base-dir", self.base, *arguments))],
            env=os.environ | {"TELEMETRY_BASE_DIR": str(self.base)},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stderr

    def journal(self) -> list[bytes]:
        """Return every line of its journal."""
        lines: list[bytes] = []
        for path in sorted((self.base / "raw").glob("events_*.ndjson")):
            lines += path.read_bytes().splitlines()
        return lines


@pytest.fixture
def new_target(tmp_path: Path) -> Callable[[str], Target]:
    """Return a function that makes an empty base directory."""

    def new_target(name: str) -> Target:
        base = tmp_path / name
        base.mkdir(mode=0o700)
        return Target(base)

    return new_target


@pytest.fixture
def target(new_target: Callable[[str], Target]) -> Target:
    """Return an empty base directory."""
    return new_target("target")


@pytest.fixture
def opened() -> Iterator[Callable[[Path], RunStore]]:
    """Return a function that opens a store, which is closed at the end."""
    stores: list[RunStore] = []

    def opened(place: Path) -> RunStore:
        stores.append(open_store(place))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()
