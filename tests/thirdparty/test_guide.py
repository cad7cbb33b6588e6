"""Follow the guide "Write a sink" with its own files, from an empty folder to a package that an agent uses."""

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

_FILE = re.compile(r"^```\{code-block\} \w+\n:caption: (?P<path>\S+)\n\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_AGENT = """
from telemetry import TelemetryClient

with TelemetryClient() as client:
    for host in ("a.example.org", "b.example.org"):
        try:
            with client.track_run("crawler", "nightly", host=host) as run:
                run.log_event("heartbeat")
                run.log_event("page")
                if host.startswith("b"):
                    raise ConnectionError("no route to host")
        except ConnectionError:
            pass
    assert [] == client.status()["faults"], client.status()
    print([(run.host, [event.event_type for event in client.events(run.run_id)]) for run in client.runs()])
"""


@pytest.fixture(scope="module")
def folder(docs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every file that the guide shows, under its caption."""
    written = tmp_path_factory.mktemp("guide")
    for match in _FILE.finditer((docs / "how-to" / "write-a-sink.md").read_text("utf-8")):
        path = written / match["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(match["text"], "utf-8")
    return written


@pytest.fixture(scope="module")
def reader(environment, folder: Path):
    """Return a fresh environment with the guide's two distributions, built from the guide's files."""
    return environment(
        folder / "telemetry-sink-failures", folder / "telemetry-no-heartbeats", tools=("hypothesis", "pytest")
    )


@pytest.fixture
def configured(folder: Path, tmp_path: Path) -> dict[str, str]:
    """Return the variables of an agent that uses the guide's configuration."""
    return {"TELEMETRY_CONFIG": str(folder / "telemetry.toml"), "TELEMETRY_BASE_DIR": str(tmp_path)}


def test_guide_has_the_files_of_two_distributions(folder: Path):
    """Nothing that the guide shows is lost on the way here."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    assert found == [
        "telemetry-no-heartbeats/pyproject.toml",
        "telemetry-no-heartbeats/telemetry_no_heartbeats.py",
        "telemetry-sink-failures/pyproject.toml",
        "telemetry-sink-failures/telemetry_sink_failures.py",
        "telemetry-sink-failures/test_conformance.py",
        "telemetry-sink-failures/test_failures.py",
        "telemetry.toml",
    ]


def test_requirements_are_declared(reader):
    """What the distributions of the guide say they need is enough."""
    reader.check()


def test_sink_passes_the_guides_test(reader, folder: Path):
    """The test of the guide holds for the sink of the guide, and so does the whole contract."""
    told = reader.test(folder / "telemetry-sink-failures")

    assert int(told.split(" passed")[0].split()[-1]) > 100, told
    assert "failed" not in told


def test_agent_is_recorded_as_the_guide_says(reader, configured, tmp_path: Path):
    """Failed runs stand in the file, heartbeats nowhere, hosts are shortened; the file has no fault."""
    done = reader.run(_AGENT, **configured)

    assert "[('b', ['page']), ('a', ['page'])]\n" == done.stdout
    [line] = (tmp_path / "failures.jsonl").read_text("utf-8").splitlines()
    told = json.loads(line)
    assert ("crawler", "ConnectionError: no route to host") == (told["agent_name"], told["error_summary"])
    assert "heartbeat" not in "".join(path.read_text("utf-8") for path in (tmp_path / "raw").glob("*.ndjson"))
    assert "" == done.stderr


def test_commands_show_what_is_installed(reader, configured):
    """Sink and plugin are listed with their distributions, the configuration has no fault, and the command is there."""
    sinks = reader.command("telemetry", "sinks", **configured).stdout
    plugins = reader.command("telemetry", "plugins", **configured).stdout

    assert "\nfailures\tfailures\tok\t" in sinks
    assert "telemetry-sink-failures" in plugins
    assert "telemetry-no-heartbeats" in plugins
    assert "hello\n" == reader.command("telemetry", "hello", **configured).stdout
    reader.command("telemetry", "config", "check", **configured)
