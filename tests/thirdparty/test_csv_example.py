"""Prove that a sink of somebody else's works from its wheel alone: installed, named in a file, fed by an agent."""

import csv
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

_CONFIG = """
[sinks.raw]
type = "ndjson"

[sinks.sheet]
type = "csv"
columns = ["run_id", "status", "items_succeeded", "metrics.cost_usd"]
"""
_AGENT = """
import json
from telemetry import TelemetryClient

with TelemetryClient() as client:
    with client.track_run("crawler", "nightly") as run:
        run.set_metrics(items_succeeded=3, cost_usd=0.25)
    print(json.dumps(client.status()))
"""


@pytest.fixture(scope="module")
def example(docs: Path) -> Path:
    """Return the folder of the example."""
    return docs / "examples" / "telemetry-sink-csv"


@pytest.fixture(scope="module")
def stranger(environment, example: Path):
    """Return a fresh environment with local-telemetry and the example, both from their wheels."""
    return environment(example, tools=("hypothesis", "pytest"))


@pytest.fixture
def configured(tmp_path: Path) -> dict[str, str]:
    """Return the variables of an agent whose file names the example's sink."""
    file = tmp_path / "telemetry.toml"
    file.write_text(_CONFIG, "utf-8")
    return {"TELEMETRY_CONFIG": str(file), "TELEMETRY_BASE_DIR": str(tmp_path)}


def rows_in(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the only file in *folder*."""
    [path] = folder.glob("*.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_requirements_are_declared(stranger):
    """What both wheels say they need is enough; nothing else is there to hide a gap."""
    stranger.check()


def test_agent_brings_rows(stranger, configured, tmp_path: Path):
    """The configured columns arrive, beside the journal that the same file names."""
    done = stranger.run(_AGENT, **configured)

    [row] = rows_in(tmp_path / "csv")
    assert ("success", "3", "0.25") == (row["status"], row["items_succeeded"], row["metrics.cost_usd"])
    [journal] = (tmp_path / "raw").glob("*.ndjson")
    assert row["run_id"] in journal.read_text("utf-8")
    assert "" == done.stderr


def test_wrong_options_are_named(stranger, configured, tmp_path: Path):
    """A misspelt option and an unknown column are reported with place and near name, and the agent works on."""
    file = Path(configured["TELEMETRY_CONFIG"])
    file.write_text(_CONFIG.replace("columns = ", "colums = ") + '\n[sinks.two]\ntype = "csv"\ncolumns = ["runid"]\n')

    done = stranger.run(_AGENT, **configured)

    assert f"sinks.sheet.colums is no known option (in {file}:" in done.stderr
    assert "'columns'" in done.stderr
    assert "'runid' is no field of a run" in done.stderr
    [journal] = (tmp_path / "raw").glob("*.ndjson")
    assert 3 == len(journal.read_text("utf-8").splitlines())


def test_commands_list_the_sink(stranger, configured):
    """`telemetry sinks` shows it at work, `telemetry plugins` where it comes from."""
    sinks = stranger.command("telemetry", "sinks", **configured).stdout
    plugins = stranger.command("telemetry", "plugins", **configured).stdout

    [at_work] = [line.split("\t") for line in sinks.splitlines() if line.startswith("sheet\t")]
    [installed] = [line.split("\t") for line in plugins.splitlines() if "telemetry-sink-csv" in line]
    assert ["sheet", "csv", "ok"] == at_work[:3]
    assert {"csv", "1.0.0"} <= set(installed)


def test_example_passes_its_own_tests(stranger, example: Path, tmp_path: Path):
    """In an environment where only the two wheels and pytest are installed."""
    tests = shutil.copytree(example / "tests", tmp_path / "tests")  # away from the settings of this project's pytest

    told = stranger.test(tests)

    assert " passed" in told
    assert "failed" not in told
