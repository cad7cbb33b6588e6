"""Prove that the sink of the Parquet example works from its wheel alone, fed from the journal, also backwards."""

import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

pytest.importorskip("duckdb", reason="the example writes by way of DuckDB, which is installed in `coverage` alone")

_SINKS = '[sinks.raw]\ntype = "ndjson"\n'
_LAKE = '[sinks.lake]\ntype = "parquet"\nmetrics = ["cost_usd"]\nbackfill = true\n'
_AGENT = """
from telemetry import TelemetryClient

with TelemetryClient() as client:
    with client.track_run("crawler", "nightly") as run:
        run.set_metrics(items_succeeded=3, cost_usd=0.25)
    client.flush(20)
    assert [] == client.status()["faults"], client.status()
"""
_QUESTION = """
import duckdb, sys
question = f"SELECT count(*), count(DISTINCT run_id), sum(cost_usd) FROM '{sys.argv[1]}/*.parquet'"
print(*duckdb.connect().execute(question).fetchone())
"""


@pytest.fixture(scope="module")
def example(docs: Path) -> Path:
    """Return the folder of the example."""
    return docs / "examples" / "telemetry-sink-parquet"


@pytest.fixture(scope="module")
def stranger(environment, example: Path):
    """Return a fresh environment with local-telemetry and the example, both from their wheels."""
    return environment(example, tools=("duckdb", "hypothesis", "pytest"))


def test_requirements_are_declared(stranger):
    """What both wheels say they need is enough."""
    stranger.check()


def test_runs_of_before_and_after_arrive(stranger, tmp_path: Path):
    """A sink that is added later has the history too, each run once, and `telemetry outbox` says that nothing waits."""
    file = tmp_path / "telemetry.toml"
    variables = {"TELEMETRY_CONFIG": str(file), "TELEMETRY_BASE_DIR": str(tmp_path)}
    file.write_text(_SINKS, "utf-8")
    stranger.run(_AGENT, **variables)
    file.write_text(_SINKS + _LAKE, "utf-8")
    stranger.run(_AGENT, **variables)

    assert "2 2 0.5\n" == stranger.run(_QUESTION, str(tmp_path / "parquet")).stdout
    outbox = stranger.command("telemetry", "outbox", "status", **variables).stdout
    assert "lake\t0\t" in outbox


def test_example_passes_its_own_tests(stranger, example: Path, tmp_path: Path):
    """Those that are about Parquet."""
    tests = shutil.copytree(example / "tests", tmp_path / "tests")
    (tests / "test_conformance.py").unlink()

    assert " passed" in stranger.test(tests)


@pytest.mark.slow
def test_example_keeps_the_contract(stranger, example: Path, tmp_path: Path):
    """The whole of it."""
    tests = shutil.copytree(example / "tests", tmp_path / "tests")

    told = stranger.test(tests)

    assert int(told.split(" passed")[0].split()[-1]) > 120, told
    assert "failed" not in told
