"""A verdict that cannot be found or written today is written when it can be: the claim of the dead stays until then."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")

BORN = """
import os, signal, sys
from telemetry import TelemetryClient
client = TelemetryClient()
print(client.start_run("mortal", "life"), flush=True)
"""
DIES = "os.kill(os.getpid(), signal.SIGKILL)\n"
LOOK = """
import sys
from telemetry import TelemetryClient
with TelemetryClient() as client:
    run = client.get_run(sys.argv[1])
    print(run and run.status, run and run.verdict)
"""
NDJSON = "from telemetry.sinks.ndjson import NdjsonSink\n"
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"


def _told(base_dir: Path, code: str, *arguments: str) -> str:
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.stdout.strip()


def _claims(base_dir: Path) -> int:
    return len(list((base_dir / "state" / "live").iterdir()))


def test_a_run_that_a_locked_database_does_not_know_is_judged_later(tmp_path):
    """Who looked while it was locked found no open run of the dead, and took its claim away."""
    _told(tmp_path, BORN + "client.close()\n")
    (database,) = (tmp_path / "db").glob("*.sqlite")
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        run_id = _told(tmp_path, BORN + DIES)
        while_locked = _told(tmp_path, LOOK, run_id)
        claims = _claims(tmp_path)

    assert "None None" == while_locked
    assert claims
    assert "failed True" == _told(tmp_path, LOOK, run_id)
    assert 0 == _claims(tmp_path)


@pytest.mark.parametrize("stores", ["TelemetryClient()", "TelemetryClient(sinks={'raw': NdjsonSink()})"])
def test_a_verdict_that_finds_no_room_is_written_later(tmp_path, stores):
    """A full disk killed the agent, as likely as not, and it is full still when somebody looks."""
    born, look = ((NDJSON + code).replace("TelemetryClient()", stores) for code in (BORN, LOOK))
    run_id = _told(tmp_path, born + "client.get_run('none')\n" + DIES)
    _told(tmp_path, FULL + look, run_id)
    claims = _claims(tmp_path)

    told = _told(tmp_path, look, run_id)

    assert (1, "failed True") == (claims, told)
    assert 0 == _claims(tmp_path)
