"""What happens to the claim of a process, its runs get their verdict when it dies, and none while it lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from victims import seen_by_a_reader

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks and signals are POSIX")

AGENT = """
import os, resource, shutil, signal, subprocess, sys, time
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

    run = seen_by_a_reader(tmp_path, run_id)

    assert ("1", "failed", True) == (claims, run.status, run.verdict)
    assert [] == list((tmp_path / "state" / "live").iterdir())


ASK = "import sys; from telemetry import TelemetryClient as C; print(C().get_run(sys.argv[1]).status)"
READ_ALL = (
    "run_id = client.start_run('packer', 'nightly')\n"
    "shutil.make_archive(client.base_dir.parent / 'artefact', 'zip', client.base_dir)\n"
    f"told = subprocess.run([sys.executable, '-c', {ASK!r}, run_id], stdout=subprocess.PIPE, text=True)\n"
    "say(run_id, told.stdout.strip(), claims())\n"
)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the process table of Linux")


@LINUX
def test_a_run_that_reads_the_base_directory_stays_running(tmp_path):
    """A POSIX lock is freed when its process closes any descriptor of the file, as one does who makes an archive."""
    run_id, told, claims = _told(tmp_path / "base", READ_ALL + "client.end_run(run_id)\n")

    run = seen_by_a_reader(tmp_path / "base", run_id)

    assert ("running", "1") == (told, claims)
    assert ("success", False) == (run.status, run.verdict)


@LINUX
def test_a_run_that_has_read_the_base_directory_is_judged_when_it_dies(tmp_path):
    """Its lock was free all along; the process table tells that it is gone."""
    run_id, told, _ = _told(tmp_path / "base", READ_ALL + "os.kill(os.getpid(), signal.SIGKILL)\n")

    run = seen_by_a_reader(tmp_path / "base", run_id)

    assert ("running", "failed", True) == (told, run.status, run.verdict)


def test_a_run_whose_process_became_another_program_is_judged(tmp_path):
    """It keeps its number and its start in the process table, and nobody is left to end the run."""
    code = AGENT + (
        "say(client.start_run('mortal', 'before'))\n"
        "os.execv(sys.executable, [sys.executable, '-c', 'import time; print(\"new\", flush=True); time.sleep(600)'])\n"
    )
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    run_id, new = process.stdout.readline().strip(), process.stdout.readline().strip()

    try:
        run = seen_by_a_reader(tmp_path, run_id)
    finally:
        process.kill()
        process.communicate()

    assert ("new", "failed", True) == (new, run.status, run.verdict)
