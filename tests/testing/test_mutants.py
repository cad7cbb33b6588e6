"""The conformance kit is worth something: each deliberate fault in one of our sinks is caught by it."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import mutant_sinks
import pytest

from telemetry.testing import SinkConformance

pytestmark = pytest.mark.once

_FILE = Path(mutant_sinks.__file__)
_MUTANTS = {
    name: cls
    for name, cls in vars(mutant_sinks).items()
    if isinstance(cls, type) and issubclass(cls, SinkConformance) and "caught_by" in vars(cls)
}


def failures_of(tests: list[str], tmp_path: Path, *options: str) -> set[tuple[str, str]]:
    """Run *tests* of the mutants with pytest; return class and test of those that fail."""
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--tb=no"]
    places = ["-c", os.devnull, f"--rootdir={tmp_path}", f"--junitxml={report}", f"--basetemp={tmp_path / 'base'}"]
    classes = ["-o", f"python_classes={' '.join(_MUTANTS)}"]
    done = subprocess.run(
        [*command, *places, *classes, *options, *tests],
        env=os.environ | {"PYTHONPATH": str(_FILE.parent)},
        capture_output=True,
        text=True,
        timeout=570,
    )
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr
    cases = ElementTree.parse(report).iter("testcase")
    return {
        (case.get("classname", "").rpartition(".")[2], case.get("name", ""))
        for case in cases
        if case.find("failure") is not None
    }


@pytest.fixture(scope="module")
def caught(tmp_path_factory) -> set[tuple[str, str]]:
    """Return what fails of those tests that are to fail, each once, in one run of pytest."""
    tests = [f"{_FILE}::{name}::{test}" for name, cls in _MUTANTS.items() for test in cls.caught_by]
    return failures_of(tests, tmp_path_factory.mktemp("mutants"))


def test_there_are_mutants_of_each_sink():
    """Twenty at least, of files, database, memory and network."""
    families = {cls.__bases__[0].__name__ for cls in _MUTANTS.values()}

    assert len(_MUTANTS) >= 20
    assert {"NdjsonContract", "SqliteContract", "MemoryContract", "ApiContract"} == families


@pytest.mark.timeout(600)  # the first one waits for the run of all: 20 s, but 57 s beside five other jobs
@pytest.mark.parametrize("name", _MUTANTS)
def test_mutant_is_caught(name, caught):
    """By every test that is named at it."""
    assert [] == [test for test in _MUTANTS[name].caught_by if (name, test) not in caught]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", _MUTANTS)
def test_whole_kit_catches_the_mutant(name, tmp_path):
    """Nobody who runs the kit as it is overlooks it; up to the first test that fails, for all of them take minutes."""
    failed = failures_of([f"{_FILE}::{name}"], tmp_path, "--exitfirst")

    assert [name] == [cls for cls, _ in failed]
