"""Prove that what is broken in one plugin stops neither the agent nor any other plugin."""

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

_PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "telemetry-broken"
version = "0.0.1"

[project.entry-points."telemetry.sinks"]
missing = "telemetry_broken_nowhere:Sink"
bursting = "telemetry_broken_import:Sink"
misspelt = "telemetry_broken:Misspelt"
greedy = "telemetry_broken:Greedy"
raising = "telemetry_broken:Raising"
exiting = "telemetry_broken:Exiting"
sleeping = "telemetry_broken:Sleeping"
newer = "telemetry_broken:Newer"
function = "telemetry_broken:function"
unbuilt = "telemetry_broken:Unbuilt"

[project.entry-points.telemetry]
bad-processor = "telemetry_broken_import"

[tool.setuptools]
py-modules = ["telemetry_broken", "telemetry_broken_import"]
"""
_MODULES = {
    "telemetry_broken_import": "raise ZeroDivisionError('at import')",
    "telemetry_broken": """
import sys
import time

from telemetry.plugins import hookimpl


class Misspelt:
    @hookimpl
    def telemetry_run_finished(self, run): ...


class Greedy:
    @hookimpl
    def telemetry_run_ended(self, run, everything): ...


class Newer:
    contract = 2


class Unbuilt:
    def __init__(self):
        raise RuntimeError("in the constructor")


def function(): ...


def _fail():
    raise RuntimeError("always")


class Raising:
    @staticmethod
    def act():
        raise RuntimeError("always")

    @hookimpl
    def telemetry_open(self, context): self.act()
    @hookimpl
    def telemetry_run_started(self, run): self.act()
    @hookimpl
    def telemetry_event_logged(self, event): self.act()
    @hookimpl
    def telemetry_metrics_set(self, update): self.act()
    @hookimpl
    def telemetry_run_ended(self, run): self.act()
    @hookimpl
    def telemetry_flush(self, deadline_s): self.act()
    @hookimpl
    def telemetry_health(self): self.act()
    @hookimpl
    def telemetry_close(self, deadline_s): self.act()


class Exiting(Raising):
    @staticmethod
    def act():
        sys.exit(3)


class Sleeping:
    @hookimpl
    def telemetry_event_logged(self, event): time.sleep(30)
    @hookimpl
    def telemetry_run_ended(self, run): time.sleep(30)
""",
}
_REFUSED = {
    "missing": "No module named 'telemetry_broken_nowhere'",
    "bursting": "at import",
    "misspelt": "unknown hook 'telemetry_run_finished'",
    "greedy": "everything",
    "newer": "needs contract 2",
    "function": "is no class",
    "unbuilt": "in the constructor",
}
_GIVEN_UP = "telemetry_records_given_up"
_BUSY = {"slow"}  # a busy machine may let any sink wait for 50 ms
_RUNNING = ("raising", "exiting", "sleeping")
_GOOD = '[sinks.raw]\ntype = "ndjson"\n[sinks.db]\ntype = "sqlite"\n[sinks.csv]\n'
_AGENT = """
import json, sys, time
from telemetry import TelemetryClient

began = time.monotonic()
client = TelemetryClient()
with client.track_run("crawler", "nightly") as run:
    for number in range(100):
        run.log_event("page", {"number": number})
    run.set_metrics(items_succeeded=100)
status = client.status()
client.close()
print(json.dumps({"run_id": run.run_id, "took_s": time.monotonic() - began, **status}))
"""


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a distribution in which each plugin is broken in its own way."""
    folder = tmp_path_factory.mktemp("telemetry-broken")
    (folder / "pyproject.toml").write_text(_PYPROJECT, "utf-8")
    for name, code in _MODULES.items():
        (folder / f"{name}.py").write_text(code, "utf-8")
    return folder


@pytest.fixture(scope="module")
def stranger(environment, broken: Path, docs: Path):
    """Return a fresh environment with the broken distribution and one that is not."""
    return environment(broken, docs / "examples" / "telemetry-sink-csv")


@pytest.fixture
def configured(tmp_path: Path) -> dict[str, str]:
    """Return the variables of an agent whose file names every broken sink before the good ones."""
    file = tmp_path / "telemetry.toml"
    file.write_text("".join(f"[sinks.{name}]\n" for name in (*_REFUSED, *_RUNNING)) + _GOOD, "utf-8")
    return {"TELEMETRY_CONFIG": str(file), "TELEMETRY_BASE_DIR": str(tmp_path)}


def test_agent_and_good_sinks_go_on(stranger, configured, tmp_path: Path):
    """With ten broken sinks beside them journal, database and CSV file have everything, and the agent ends well."""
    done = stranger.run(_AGENT, **configured)

    told = json.loads(done.stdout)
    [journal] = (tmp_path / "raw").glob("*.ndjson")
    lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    assert list(range(100)) == [line["payload"]["number"] for line in lines if line.get("event_type") == "page"]
    assert ["sleeping"] == [line["payload"]["sink"] for line in lines if line.get("event_type") == _GIVEN_UP]
    with closing(sqlite3.connect(tmp_path / "db" / "telemetry.sqlite")) as connection:
        rows = connection.execute("SELECT run_id, status, items_succeeded FROM agent_runs").fetchall()
    assert [(told["run_id"], "success", 100)] == rows
    [sheet] = (tmp_path / "csv").glob("*.csv")
    assert [told["run_id"]] == [row["run_id"] for row in csv.DictReader(sheet.read_text("utf-8").splitlines())]
    assert told["took_s"] < 25  # else 30 s


def test_each_fault_is_named_once(stranger, configured):
    """What is refused is told with its reason, what fails is counted by its reason; the log has each of them once."""
    done = stranger.run(_AGENT, **configured)

    told = json.loads(done.stdout)
    faults = "\n".join(told["faults"])
    assert [] == [name for name, reason in _REFUSED.items() if reason not in faults]
    assert {"raw", "db", "csv", *_RUNNING} == set(told["sinks"])
    raised, exited = (set(told["sinks"][name]["failed"]) - _BUSY for name in ("raising", "exiting"))
    assert ({"RuntimeError"}, {"SystemExit"}) == (raised, exited)
    assert told["sinks"]["raising"]["failed"]["RuntimeError"] >= 103
    assert {"slow": 1} == told["sinks"]["sleeping"]["failed"]
    assert {} == told["sinks"]["raw"]["failed"] == told["sinks"]["db"]["failed"] == told["sinks"]["csv"]["failed"]
    assert 1 == done.stderr.count("always")


def test_broken_plugin_is_told_too(stranger, configured):
    """A plugin that is no sink is loaded with every client; that its module fails is a fault, and no more."""
    done = stranger.run(_AGENT, **configured)

    faults = json.loads(done.stdout)["faults"]
    assert 1 == sum("bad-processor" in fault for fault in faults)


def test_command_shows_what_is_broken(stranger, configured):
    """`telemetry plugins` names the broken ones, with the reason, and does not fail itself."""
    shown = stranger.command("telemetry", "plugins", **configured).stdout

    assert "telemetry-broken" in shown
    assert "at import" in shown
