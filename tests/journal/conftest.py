"""Lend the tests of the journal lines to write, journals that are closed in the end, and eyes for what is on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telemetry.plugins import RunEvent, encode_line
from telemetry.sinks.journal import Journal, journal_files, read_records

START = "2026-11-23T10:00:00.000000+00:00"


class FakeClock:
    """Seconds since 1970 that a test moves; it stands at 2026-11-23, noon."""

    def __init__(self) -> None:
        self.now = 1795435200.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only the test moves."""
    return FakeClock()


@pytest.fixture
def line() -> Callable[..., bytes]:
    """Make the line of event number *n*; *pad* bytes of payload make it longer."""
    return lambda n, pad=0: encode_line(RunEvent("r", "e", START, {"n": n, "pad": "x" * pad}, "w", n))


@pytest.fixture
def numbers() -> Callable[[Path], list[int]]:
    """Tell the numbers of all events in a directory's journal, in the order in which they stand there."""
    return lambda directory: [
        found.record.payload["n"] for file in journal_files(directory) for found in read_records(file)
    ]


@pytest.fixture
def open_journal(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Journal]]:
    """Make journals in `tmp_path / "raw"`, by the fake clock unless told otherwise; they are closed after the test."""
    opened: list[Journal] = []

    def make(directory: Path = tmp_path / "raw", **options: Any) -> Journal:
        opened.append(Journal(directory, **{"clock": clock, **options}))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()
