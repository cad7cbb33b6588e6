"""Lend the tests the benchmarks of this checkout, which are scripts and no part of the package."""

import sys
from pathlib import Path

import pytest

_BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(_BENCHMARKS))


@pytest.fixture(scope="session")
def docs() -> Path:
    """Return the folder of the documentation."""
    return _BENCHMARKS.parent / "docs"


@pytest.fixture(scope="session")
def results() -> Path:
    """Return the folder with what the benchmarks found."""
    return _BENCHMARKS / "results"
