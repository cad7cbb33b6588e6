"""The page of the documentation is what the benchmarks wrote, and nobody's hand."""

from __future__ import annotations

from pathlib import Path

from harness.figures import load
from harness.page import page_text
from harness.plot import svg
from run import CASES


def test_the_page_is_made_of_the_results(docs: Path, results: Path) -> None:
    """Every figure on it stands in benchmarks/results/, and the pictures too."""
    sections = [load(results / f"{name}.json") for name in CASES]

    assert page_text(sections) == (docs / "reference" / "benchmarks.md").read_text("utf-8")
    for plot in (plot for section in sections for plot in section.plots):
        assert svg(plot) == (docs / "_static" / f"{plot.name}.svg").read_text("utf-8")


def test_each_result_is_one_of_a_benchmark(results: Path) -> None:
    """A benchmark that is gone leaves no figures behind."""
    assert set(CASES) == {path.stem for path in results.glob("*.json")}
