"""Prove that .ci/run executes the README's commands, whatever they are, in fresh clones."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason=".ci/run is a bash script")

_BLOCK = "<!-- command: {name} -->\n```sh\n{command}\n```\n"
_FOUND = re.compile(r"^<!-- command: (\w+) -->\n```sh\n(.*)\n```$", re.MULTILINE)


class Checkout:
    """A git repository that has our .ci/run and a README with other commands."""

    def __init__(self, path: Path, script: Path) -> None:
        """Make the repository in the empty folder *path*."""
        self.path = path
        (path / ".ci").mkdir()
        shutil.copy(script, path / ".ci" / "run")
        self._git("init", "--quiet")

    def write_readme(self, **commands: str) -> None:
        """Commit a README that names these *commands*."""
        blocks = [_BLOCK.format(name=name, command=command) for name, command in commands.items()]
        (self.path / "README.md").write_text("# A project\n\n" + "\n".join(blocks) + "\nMore text.\n", "utf-8")
        self._git("add", ".")
        self._git("commit", "--quiet", "-m", "readme")

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script as CI does: from elsewhere, with no standard input."""
        return subprocess.run(
            ["bash", str(self.path / ".ci" / "run")],
            cwd="/",
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def left_behind(self) -> str:
        """Return what git calls changed or untracked."""
        return self._git("status", "--porcelain")

    def _git(self, *arguments: str) -> str:
        author = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        done = subprocess.run(
            ["git", *author, *arguments], cwd=self.path, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Checkout:
    """Return a repository of its own with the real .ci/run."""
    return Checkout(tmp_path, root / ".ci" / "run")


def test_readme_opens_with_the_two_commands(root: Path):
    """Before the first section stand one line that runs the main job and one that runs the tests."""
    top = (root / "README.md").read_text("utf-8").partition("\n## ")[0]

    commands = dict(_FOUND.findall(top))
    assert ["demo", "test"] == list(commands)
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/telemetry demo" == commands["demo"]
    assert "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox run-parallel" == commands["test"]


def test_script_runs_each_command_in_a_clone_of_its_own(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory):
    """The demo comes first; neither command sees the other's files, and the checkout stays clean."""
    log = tmp_path_factory.mktemp("log") / "log"
    checkout.write_readme(
        test=f"touch .venv && echo test $(ls -A | wc -l) >>{log}",
        demo=f"touch .venv && echo demo $(ls -A | wc -l) >>{log}",
    )

    done = checkout.run()

    assert (0, "") == (done.returncode, done.stderr)
    assert ["demo 4", "test 4"] == log.read_text().splitlines()  # .ci .git .venv README.md
    assert "" == checkout.left_behind()


@pytest.mark.parametrize(("demo", "test"), [("false", "true"), ("true", "false"), ("false && true", "true")])
def test_script_fails_with_its_command(checkout: Checkout, demo: str, test: str):
    """A failure anywhere in a command fails the script."""
    checkout.write_readme(demo=demo, test=test)

    done = checkout.run()

    assert 1 == done.returncode


def test_script_refuses_a_readme_without_a_command(checkout: Checkout):
    """A renamed marker is an error, not a run that tests nothing."""
    checkout.write_readme(demo="true", tests="true")

    done = checkout.run()

    assert 1 == done.returncode
    assert "README.md has no command behind the marker '<!-- command: test -->'." in done.stderr


def test_script_stands_in_for_a_python3_that_is_too_old(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory):
    """Where `python3` cannot make environments, the commands still find one under that name."""
    stubs = tmp_path_factory.mktemp("bin")
    for name, body in (("python3", "exit 1"), ("python3.13", f'exec "{sys.executable}" "$@"')):
        (stubs / name).write_text(f"#!/bin/sh\n{body}\n")
        (stubs / name).chmod(0o755)
    checkout.write_readme(demo="true", test="python3 -c 'print(6 * 7)'")

    done = checkout.run(PATH=f"{stubs}{os.pathsep}{os.environ['PATH']}")

    assert (0, "") == (done.returncode, done.stderr)
    assert "42" == done.stdout.splitlines()[-1]
