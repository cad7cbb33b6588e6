"""What happens to the claim of a process, its runs get their verdict when it dies, and none while it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from telemetry import RunRecord, TelemetryClient

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks and signals are POSIX")

AGENT = """
import os, resource, shutil, signal, time
from telemetry import TelemetryClient
client = TelemetryClient()
def say(*words): os.write(1, " ".join(map(str, words)).encode() + b"\\n")
def claims(): return len(os.listdir(client.base_dir / "state" / "live"))
"""
DIE = "run_id = client.start_run('mortal', 'later'); say(run_id, claims()); os.kill(os.getpid(), signal.SIGKILL)\n"


def _told(base_dir: Path, code: str) -> list[str]:
    """Run *code* behind `AGENT` and return the words that it says."""
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)}
    done = subprocess.run([sys.executable, "-c", AGENT + code], capture_output=True, text=True, env=environment)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.stdout.split()


def _seen(base_dir: Path, run_id: str) -> RunRecord:
    with TelemetryClient(base_dir=base_dir) as client:
        run = client.get_run(run_id)
    assert run is not None
    return run


ACCIDENTS = {
    # A second is how long claim and journal rely on their last look.
    "the base directory was deleted": (
        "client.end_run(client.start_run('mortal', 'before'))\nshutil.rmtree(client.base_dir); time.sleep(1.1)\n"
    ),
    "the disk was full at the first start": (
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))\n"
        "client.end_run(client.start_run('mortal', 'no room'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, limits)\n"
    ),
}


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_a_later_run_gets_its_verdict(tmp_path, accident):
    """The claim is taken again for it, and nothing is left of the one that was lost."""
    run_id, claims = _told(tmp_path, ACCIDENTS[accident] + DIE)

    run = _seen(tmp_path, run_id)

    assert ("1", "failed", True) == (claims, run.status, run.verdict)
    assert [] == list((tmp_path / "state" / "live").iterdir())
