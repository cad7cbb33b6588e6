"""Follow `telemetry new-sink` to its end: render, build, install into a fresh environment, test, list."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from telemetry.core.cli.commands.new_sink import command
from telemetry.core.cli.desk import Desk
from telemetry.core.cli.screen import screen_for

pytestmark = pytest.mark.once

_CONFIG = '[sinks.raw]\ntype = "ndjson"\n[sinks.mine]\ntype = "my-store"\n[sinks.hub]\ntype = "my-hub"\nurl = "http://127.0.0.1:9/"\n'
_AGENT = """
from telemetry import TelemetryClient

with TelemetryClient() as client:
    with client.track_run("crawler", "nightly") as run:
        run.set_metrics(cost_usd=0.25)
    client.flush(1.0)
    assert [] == client.status()["faults"], client.status()
print(run.run_id)
"""
_KINDS = {"my-store": [], "my-hub": ["--remote"]}


_BUILT = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", ".gitignore")


def build_sdist(folder: Path, into: Path) -> Path:
    """Return what a package index would get of the project in *folder*."""
    program = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
    command = [sys.executable, "-W", "ignore", "-c", program, str(into)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert 0 == done.returncode, done.stdout + done.stderr
    [archive] = into.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one new distribution of each kind."""
    folder = tmp_path_factory.mktemp("rendered")
    for name, options in _KINDS.items():
        done = CliRunner().invoke(command, [name, "--into", str(folder), *options], obj=Desk(screen_for("never")))
        assert 0 == done.exit_code, done.output
    return folder


@pytest.fixture(scope="module")
def stranger(environment, rendered: Path):
    """Return a fresh environment with local-telemetry and the two, all from their wheels."""
    return environment(*(rendered / f"telemetry-sink-{name}" for name in _KINDS), tools=("hypothesis", "pytest"))


@pytest.fixture
def configured(tmp_path: Path) -> dict[str, str]:
    """Return the variables of an agent that uses both."""
    file = tmp_path / "telemetry.toml"
    file.write_text(_CONFIG, "utf-8")
    return {"TELEMETRY_CONFIG": str(file), "TELEMETRY_BASE_DIR": str(tmp_path)}


def test_requirements_are_declared(stranger):
    """What the wheels say they need is enough."""
    stranger.check()


@pytest.mark.parametrize("name", _KINDS)
def test_source_distribution_is_whole(rendered: Path, tmp_path: Path, name):
    """Whoever packages the sink can run its tests: nothing that they need is left out."""
    folder = shutil.copytree(rendered / f"telemetry-sink-{name}", tmp_path / "source", ignore=_BUILT)

    written = [path for path in folder.rglob("*") if path.is_file()]
    archive = build_sdist(folder, tmp_path)

    with tarfile.open(archive) as packed:
        inside = {path.partition("/")[2] for path in packed.getnames()}
    assert {path.relative_to(folder).as_posix() for path in written} <= inside


@pytest.mark.parametrize("name", _KINDS)
def test_new_sink_passes_its_own_tests(stranger, rendered: Path, tmp_path: Path, name):
    """The whole contract among them, with nothing changed."""
    tests = shutil.copytree(rendered / f"telemetry-sink-{name}" / "tests", tmp_path / "tests")

    told = stranger.test(tests)

    assert int(told.split(" passed")[0].split()[-1]) > 100, told
    assert "failed" not in told


def test_commands_list_it(stranger, configured):
    """`telemetry sinks` shows both at work, `telemetry plugins` where they come from."""
    sinks = stranger.command("telemetry", "sinks", **configured).stdout.splitlines()
    plugins = stranger.command("telemetry", "plugins", **configured).stdout.splitlines()

    states = {line.split("\t")[0]: line.split("\t")[1:3] for line in sinks}
    assert (["my-store", "ok"], ["my-hub", "ok"]) == (states["mine"], states["hub"])
    for name in _KINDS:
        [row] = [line.split("\t") for line in plugins if line.startswith(f"{name}\t")]
        assert ["sink", "ok", "true", f"telemetry-sink-{name} 0.1.0"] == row[1:5]


def test_agent_is_recorded(stranger, configured, tmp_path: Path):
    """The file has the run, and what the dead port did not take waits in the outbox."""
    run_id = stranger.run(_AGENT, **configured).stdout.strip()

    assert run_id in (tmp_path / "my-store" / "runs.jsonl").read_text("utf-8")
    [row] = [
        line.split("\t")
        for line in stranger.command("telemetry", "outbox", "status", **configured).stdout.splitlines()
        if line.startswith("hub\t")
    ]
    assert "1" == row[1], row
