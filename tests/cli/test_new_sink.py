"""`telemetry new-sink` writes a whole distribution, under names that work; tests/thirdparty installs and tests it."""

import ast
import tomllib
from pathlib import Path

import pytest

_FILES = ["pyproject.toml", "MANIFEST.in", ".gitignore", "README.md", "telemetry_sink_my_store.py"]
_TESTS = ["tests/test_conformance.py", "tests/test_sink.py"]


@pytest.mark.parametrize(
    ("options", "files"),
    [([], [*_FILES, *_TESTS]), (["--remote"], [*_FILES, "tests/conftest.py", *_TESTS])],
    ids=["file", "remote"],
)
def test_distribution_is_written(real_bench, tmp_path: Path, options, files):
    """Every file is named as it is written; what comes next stands on standard error."""
    answer = real_bench.run("new-sink", "my-store", "--into", str(tmp_path / "src"), *options)

    folder = tmp_path / "src" / "telemetry-sink-my-store"
    assert 0 == answer.code, answer.err
    assert [str(folder / file) for file in files] == answer.out.splitlines()
    assert all(Path(line).is_file() for line in answer.out.splitlines())
    assert f"pytest {folder}" in answer.err
    point = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    assert {"telemetry.sinks": {"my-store": "telemetry_sink_my_store:MyStoreSink"}} == point


@pytest.mark.parametrize("options", [[], ["--remote"]], ids=["file", "remote"])
def test_nothing_is_left_to_fill_in(real_bench, tmp_path: Path, options):
    """No place of a template is open, every module can be compiled, and lines stay below the length it sets."""
    real_bench.run("new-sink", "my_store", "--into", str(tmp_path), *options)

    texts = {path.name: path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()}
    assert "TODO" not in "".join(texts.values())
    assert {} == {name: text for name, text in texts.items() if "${" in text.replace("${RUNS_TOKEN}", "")}
    for name, text in texts.items():
        assert max(map(len, text.splitlines())) <= 120, name
        if name.endswith(".py"):
            assert ast.get_docstring(ast.parse(text)), name


@pytest.mark.parametrize("name", ["Store", "my store", "../x", "1st", "", "x" * 41, "a--b", "é"])
def test_name_that_cannot_be_one_is_refused(real_bench, tmp_path: Path, name):
    """As wrong usage, with the rule; nothing is written."""
    answer = real_bench.run("new-sink", "--into", str(tmp_path / "src"), "--", name)

    assert 2 == answer.code
    assert "cannot be the name of a sink" in answer.err
    assert not (tmp_path / "src").exists()


@pytest.mark.parametrize("name", ["telemetry-sink-my-store", "telemetry_sink_my_store", "telemetry-sink-my_store"])
def test_name_of_the_distribution_is_understood(real_bench, tmp_path: Path, name):
    """The prefix that every such distribution has does not come twice."""
    answer = real_bench.run("new-sink", name, "--into", str(tmp_path))

    assert 0 == answer.code
    assert ["base", "telemetry-sink-my-store"] == sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["class", "telemetry", "sink", "telemetry-sink"])
def test_name_may_be_any_word(real_bench, tmp_path: Path, name):
    """A word of Python's too: it stands in no place where Python would read it as one."""
    answer = real_bench.run("new-sink", name, "--into", str(tmp_path))

    folder = tmp_path / f"telemetry-sink-{name}"
    assert 0 == answer.code
    assert {f"telemetry_sink_{name.replace('-', '_')}.py"} == {path.name for path in folder.glob("*.py")}
    assert all(ast.parse(path.read_text("utf-8")) for path in folder.rglob("*.py"))


@pytest.mark.parametrize("name", ["sqlite", "telemetry-sink-sqlite"])
def test_name_of_ours_is_refused(real_bench, tmp_path: Path, name):
    """Ours always wins, so the new one could never be used."""
    answer = real_bench.run("new-sink", name, "--into", str(tmp_path))

    assert 2 == answer.code
    assert "'sqlite' is a sink of local-telemetry" in answer.err


def test_folder_that_is_there_stays_as_it_is(real_bench, tmp_path: Path):
    """Somebody's work is never written over."""
    mine = tmp_path / "telemetry-sink-mine"
    mine.mkdir()

    answer = real_bench.run("new-sink", "mine", "--into", str(tmp_path))

    assert (1, "") == (answer.code, answer.out)
    assert f"{mine} is there already" in answer.err
    assert [] == list(mine.iterdir())
