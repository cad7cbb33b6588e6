"""What the benchmarks count and draw can be trusted: losses are seen, ratios are right, pages are whole."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness.contest import Entry, deaths, lost_after_close, race
from harness.figures import Figure, Line, Plot, Section, Table, load
from harness.page import page_text
from harness.plot import svg
from harness.sample import quantile, ratio
from harness.teams import team_race

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the floors are made of POSIX calls")
SECTION = Section(
    "sample",
    "A sample",
    "Some text.",
    (Figure("a call", 1.2, "x", 1.0, against="floor"), Figure("calls", 5.0, "", 4.0, True), Figure("other", 1.0)),
    (Table(("", "a | b"), (("row", "1"),), "Rows"),),
    (Plot("sample-plot", "Growth <&>", "runs", "µs", (Line("run", ((1000.0, 20.0), (1_000_000.0, 25.0))),)),),
    dict.fromkeys(("date", "machine", "system", "python", "commit", "load_after"), "here") | {"load": "9.5"},
)


@POSIX
def test_a_loss_is_counted(tmp_path: Path) -> None:
    """Who keeps records in memory loses them to a kill and not to a clean end; who writes them loses none."""
    buffered = Entry("buffered", "stdlib_logging:Buffered", calls=50)
    ours = Entry("ours", "ours:Events", {"fsync": "never"}, calls=50)

    race([buffered, ours], tmp_path, rounds=1)

    assert 0 == lost_after_close(buffered, tmp_path, rounds=1)
    assert 1 == lost_after_close(Entry("ours", ours.kind, calls=101), tmp_path, rounds=0)  # 100 were made
    assert (100, 100) == deaths(buffered, tmp_path, times=2, calls=50)
    assert (50, 0) == deaths(ours, tmp_path, times=1, calls=50)


@POSIX
def test_every_call_is_measured(tmp_path: Path) -> None:
    """Rounds hold the calls of an entry, of a team those of all its processes; the first round is not among them."""
    floor = Entry("floor", "write_floor:Floor", calls=7)
    shared = Entry("shared", "write_floor:Floor", {"shared": str(tmp_path / "one-file")}, calls=7)

    alone = race([floor], tmp_path, rounds=2)["floor"]
    team = team_race([shared], tmp_path, size=3, rounds=2)["shared"]

    assert ([7, 7], 14) == ([len(calls) for calls in alone.rounds], alone.calls)
    assert [21, 21] == [len(calls) for calls in team.rounds]
    assert 3 * 7 * 3 == (tmp_path / "one-file").read_bytes().count(b"\n")
    assert min(*alone.wall_ns, *team.wall_ns) > 0


def test_a_worker_that_fails_says_why(tmp_path: Path) -> None:
    """What it wrote to standard error stands in the error."""
    with pytest.raises(RuntimeError, match="unexpected keyword argument 'nonsense'"):
        race([Entry("broken", "stdlib_logging:Bare", {"nonsense": 1})], tmp_path, rounds=1)


def test_neighbours_are_compared() -> None:
    """A round that the machine slowed down for both changes nothing."""
    assert 2.0 == ratio([2.0, 200.0, 4.0], [1.0, 100.0, 2.0])
    assert (1, 99, 100) == tuple(quantile(range(1, 101), share) for share in (0.01, 0.99, 1.0))


def test_a_target_may_be_a_most_or_a_least() -> None:
    """Where nothing is asked nothing can be missed."""
    assert [False, True, True] == [figure.is_met for figure in SECTION.figures]


def test_a_section_comes_back_from_its_file(tmp_path: Path) -> None:
    """So the page can be written from results of different days."""
    SECTION.save(tmp_path)

    assert SECTION == load(tmp_path / "sample.json")


def test_a_page_shows_everything() -> None:
    """Targets first, missed ones marked; then each section with its tables and pictures."""
    page = page_text([SECTION])

    assert "up to 10 processes wanted one of its cores" in page
    assert "| a call | ≤ 1 x floor | 1.2 x | **missed** |" in page
    assert "| calls | ≥ 4 | 5 | met |" in page
    assert "|  | a \\| b |\n| --- | --- |\n| row | 1 |" in page
    assert "![Growth <&>](../_static/sample-plot.svg)" in page


def test_a_plot_is_a_picture() -> None:
    """It is XML, and every point lies in it."""
    root = ElementTree.fromstring(svg(SECTION.plots[0]))

    circles = [each for each in root.iter() if each.tag.endswith("circle") and "3" == each.get("r")]
    assert 2 == len(circles)
    assert all(0 < float(each.get("cx", 0)) < 720 and 0 < float(each.get("cy", 0)) < 380 for each in circles)
