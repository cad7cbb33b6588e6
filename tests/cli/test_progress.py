"""Prove that long work shows how far it is in words and units that people read, in a line that fits."""

import io
import re
from contextlib import closing

import pytest

from telemetry import TelemetryClient
from telemetry.core.cli.letters import width_of
from telemetry.core.cli.long_work import long_work
from telemetry.core.cli.progress import ERASE
from telemetry.core.cli.screen import Screen
from telemetry.sinks.sqlite.care import SqliteCare

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(params=[True, False], ids=["rich", "without rich"])
def shown(request, monkeypatch):
    """Return what tells of some work on a terminal of a width, and returns the lines that were drawn there."""
    if request.param:
        pytest.importorskip("rich")
    else:
        monkeypatch.setattr("telemetry.core.cli.progress.find_spec", lambda name: None)

    def show(width: int, stage: str, *told: tuple[int, int]) -> list[str]:
        screen = Screen(out=io.StringIO(), err=io.StringIO(), width=width, is_live=True)
        with long_work(screen, "the same command") as progress:
            for done, total in told:
                progress(stage, done, total)
        drawn = screen.err.getvalue().replace(ERASE, "\n")
        return [line for line in _CODES.sub("", drawn).splitlines() if line.strip()]

    return show


def test_bytes_have_a_unit(shown):
    """Of 23 million nobody reads the digits."""
    assert any("11.5/23.0 MB" in line for line in shown(80, "copying", (11_500_000, 23_000_000)))


def test_what_is_counted_is_a_number(shown):
    """Runs, files, days."""
    assert any(" 1,200/12,000" in line for line in shown(80, "pruning runs", (1_200, 12_000)))


@pytest.mark.parametrize("width", [40, 60, 80])
def test_line_fits_into_the_terminal(shown, width):
    """One that breaks would leave a trail behind it."""
    lines = shown(width, "reading events", (11_500_000, 23_000_000))

    assert [] != lines
    assert width >= max(map(width_of, lines))


def test_copy_of_a_store_is_told_in_bytes(tmp_path):
    """Not in SQLite's pages, which are 4 kB each."""
    told = []
    with closing(TelemetryClient(metrics_dir=tmp_path)) as client, client.track_run("a", "j"):
        pass
    care = SqliteCare(tmp_path / "db" / "telemetry.sqlite", tmp_path / "raw")

    care.backup(tmp_path / "copy", lambda *words: told.append(words))

    size = (tmp_path / "copy").stat().st_size
    assert ("copying", size, size) == told[-1]
