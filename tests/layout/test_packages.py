"""Compare what is declared with the tree and with the built wheel, so that no module is left behind."""

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

_LEAVE_OUT = shutil.ignore_patterns(
    ".git", ".tox", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "_build"
)


def build(kind: str, source: Path, into: Path) -> Path:
    """Build the *kind* ("sdist" or "wheel") of the distribution in *source* with the backend of this environment."""
    program = f"import sys, setuptools.build_meta as backend; backend.build_{kind}(sys.argv[1])"
    command = [sys.executable, "-W", "ignore", "-c", program, str(into)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stdout + done.stderr
    [built] = into.iterdir()
    return built


@pytest.fixture(scope="module")
def unpacked_sdist(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the unpacked source distribution, built from a copy of the checkout."""
    copy, sdists = (tmp_path_factory.mktemp(name) for name in ("copy", "sdists"))
    shutil.copytree(root, copy, ignore=_LEAVE_OUT, dirs_exist_ok=True)
    shutil.unpack_archive(build("sdist", copy, sdists), sdists, filter="data")
    [unpacked] = (path for path in sdists.iterdir() if path.is_dir())
    return unpacked


@pytest.fixture(scope="module")
def wheel_names(unpacked_sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the files in the wheel that is built from the source distribution."""
    wheel = build("wheel", unpacked_sdist, tmp_path_factory.mktemp("wheels"))
    return set(zipfile.ZipFile(wheel).namelist())


def test_package_list_equals_the_tree(pyproject: dict[str, Any], root: Path, module_paths: list[Path]):
    """Every folder with modules is listed, and every listed one exists."""
    folders = {path.parent.relative_to(root) for path in module_paths}

    declared = pyproject["tool"]["setuptools"]["packages"]
    assert sorted(".".join(("telemetry", *folder.parts)) for folder in folders) == sorted(declared)


def test_every_package_has_an_init(root: Path, module_paths: list[Path]):
    """No folder works as a namespace package by accident."""
    assert [] == [folder for folder in {path.parent for path in module_paths} if not (folder / "__init__.py").is_file()]


def test_only_the_face_stands_at_the_root(root: Path):
    """Another .py file at the root would be shipped as part of the package."""
    assert ["__init__.py"] == [path.name for path in root.glob("*.py")]


def test_tests_are_no_package(root: Path):
    """An __init__.py in tests/ would make them `telemetry.tests`, importing the checkout beside the wheel."""
    assert [] == list((root / "tests").rglob("__init__.py"))


def test_wheel_holds_the_package_and_nothing_else(wheel_names: set[str], root: Path, module_paths: list[Path]):
    """The built wheel ships every module, the type marker, SQL and templates; no test, no page, no benchmark."""
    beside = [*(root / "sinks").rglob("*.sql"), *(root / "core" / "scaffold").rglob("*.txt")]
    shipped = [*module_paths, root / "py.typed", *beside]

    expected = {f"telemetry/{path.relative_to(root).as_posix()}" for path in shipped}
    assert expected == {name for name in wheel_names if ".dist-info/" not in name}


def test_wheel_carries_licence_and_entry_points(wheel_names: set[str]):
    """The licence travels with the code, and the sinks are found through the wheel's entry points."""
    metadata = {name.partition(".dist-info/")[2] for name in wheel_names if ".dist-info/" in name}

    assert {"licenses/LICENSE", "entry_points.txt", "METADATA"} <= metadata


def test_sdist_can_run_its_tests(unpacked_sdist: Path, root: Path):
    """The README's test command works in the source distribution too."""
    needed = ["README.md", "tox.ini", "pyproject.toml", ".ci/run", "CHANGELOG.md", "docs/conf.py"]
    needed += [path.relative_to(root).as_posix() for path in (root / "tests").rglob("*.py")]

    assert [] == [name for name in needed if not (unpacked_sdist / name).is_file()]


def test_data_files_are_declared(pyproject: dict[str, Any], root: Path):
    """A file type that is not in package-data would be missing in the wheel without a word."""
    folders = ("core", "plugins", "sinks", "testing")
    suffixes = {path.suffix for folder in folders for path in (root / folder).rglob("*.*")}

    declared = {
        Path(glob).suffix for globs in pyproject["tool"]["setuptools"]["package-data"].values() for glob in globs
    }
    assert suffixes - {".py", ".pyc"} <= declared


def test_lowest_versions_are_the_ones_tested(pyproject: dict[str, Any], root: Path):
    """`tox -e lowest` pins exactly the lower bounds that users are promised."""
    project = pyproject["project"]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(root / "tox.ini", "utf-8")

    promised = [*project["dependencies"], *project["optional-dependencies"]["cli"]]
    pins = tox["testenv:lowest"]["deps"].split()
    assert sorted(promised) == sorted(pin.replace("==", ">=") for pin in pins)
