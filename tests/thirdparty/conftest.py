"""Build wheels and install them into fresh environments, with nothing but what is installed here: no network."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

# Found from this file, not from the package: under tox the package is an installed wheel.
_ROOT = Path(__file__).resolve().parents[2]
_LEAVE_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "_build")


def build_wheel(project: Path, work: Path) -> Path:
    """Build the wheel of the *project* folder in a copy of it below *work*, as a package index would get it."""
    source = shutil.copytree(project, work / "source", ignore=_LEAVE_OUT)
    wheels = work / "wheels"
    program = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    command = [sys.executable, "-W", "ignore", "-c", program, str(wheels)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stdout + done.stderr
    [wheel] = wheels.glob("*.whl")
    return wheel


def needed_by(name: str) -> Iterator[str]:
    """Yield the distributions that *name* needs at run time, those that they need in turn included."""
    waiting, seen = [name], {name}
    while waiting:
        for line in metadata.requires(waiting.pop()) or []:
            requirement = Requirement(line)
            is_wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if is_wanted and requirement.name not in seen:
                seen.add(requirement.name)
                waiting.append(requirement.name)
                yield requirement.name


class Environment:
    """
    A virtual environment that holds the distributions that were put into it, and no other.

    They are copied out of the environment that runs the tests, or installed from wheels.
    """

    def __init__(self, folder: Path) -> None:
        """Make it in *folder*, without pip."""
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        self._scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self._scripts / ("python.exe" if os.name == "nt" else "python")
        program = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self._site = Path(self.run(program).stdout.strip())

    def copy(self, *names: str) -> None:
        """Copy installed distributions as they are, without their scripts."""
        for name in names:
            for file in metadata.distribution(name).files or ():
                if ".." not in file.parts and file.suffix != ".pyc":
                    target = self._site / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file.locate(), target)

    def install(self, *wheels: Path) -> None:
        """Install wheels with pip, which asks no index and resolves nothing."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-compile"]
        options = ["--no-index", "--no-deps", "--disable-pip-version-check"]
        self._checked([*pip, *options, *map(str, wheels)])

    def check(self) -> None:
        """Let pip say whether every requirement of every distribution is there."""
        self._checked([sys.executable, "-m", "pip", "--python", str(self.python), "check"])

    def run(self, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a Python *program* to a good end."""
        return self._checked([str(self.python), "-c", program, *arguments], **variables)

    def command(self, name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script that a wheel has installed to a good end."""
        return self._checked([str(self._scripts / name), *arguments], **variables)

    def test(self, folder: Path, **variables: str) -> str:
        """Run the tests in *folder* with pytest, and return the last line of what it says."""
        command = [str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
        return self._checked(command, cwd=folder, timeout=300, **variables).stdout.strip().splitlines()[-1]

    def _checked(
        self, command: list[str], cwd: Path | None = None, timeout: float = 100, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=cwd, env=_clean(os.environ) | variables, capture_output=True, text=True, timeout=timeout
        )
        assert 0 == done.returncode, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def _clean(variables: os._Environ[str]) -> dict[str, str]:
    # PYTHONPATH and coverage of the tests would reach into the environment that is to be a stranger's.
    return {name: value for name, value in variables.items() if not name.startswith(("PYTHON", "COV_", "COVERAGE_"))}


@pytest.fixture(scope="session")
def own_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of local-telemetry, built from the checkout."""
    return build_wheel(_ROOT, tmp_path_factory.mktemp("local-telemetry"))


@pytest.fixture(scope="session")
def environment(own_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """
    Return a function that makes an environment with local-telemetry and the projects in the given folders.

    `tools` are further distributions to copy, with what they need.
    """

    def make(*projects: Path, tools: tuple[str, ...] = ()) -> Environment:
        made = Environment(tmp_path_factory.mktemp("environment"))
        made.copy(
            *dict.fromkeys((*needed_by("local-telemetry"), *tools, *(n for tool in tools for n in needed_by(tool))))
        )
        wheels = [build_wheel(project, tmp_path_factory.mktemp(project.name)) for project in projects]
        made.install(own_wheel, *wheels)
        return made

    return make


@pytest.fixture(scope="session")
def docs() -> Path:
    """Return the folder of the documentation."""
    return _ROOT / "docs"
