"""Prove what "Run in Docker" says, with the parts of the kernel that a container is made of."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telemetry import open_store
from telemetry.plugins import RunQuery

_PAGE = "how-to/docker.md"
_CONTAINER = ["unshare", "--map-root-user", "--pid", "--fork", "--uts", "--kill-child"]
_KILLED_AGENT = """
import os, signal, sys
from telemetry import TelemetryClient

run_id = TelemetryClient(metrics_dir=sys.argv[1]).start_run("crawler", host="crawler-1")
if os.fork() == 0:  # process 1 of a container cannot kill itself
    TelemetryClient(metrics_dir=sys.argv[1]).start_run("crawler", host="crawler-2")
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
os._exit(0)
"""
_READER = """
import sys
from telemetry import TelemetryClient

print(*sorted(f"{run.host}:{run.status}:{run.verdict}" for run in TelemetryClient(metrics_dir=sys.argv[1]).runs()))
"""


def makes_containers() -> bool:
    """Tell whether this user may make namespaces here."""
    if shutil.which("unshare") is None:
        return False
    return 0 == subprocess.run([*_CONTAINER, "true"], capture_output=True, timeout=20).returncode


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM is POSIX")
def test_agent_of_the_page_ends_well_on_sigterm(blocks, tmp_path):
    """`docker stop` sends SIGTERM; the run is failed, by SystemExit, and ended by the agent itself."""
    [code] = [block.text for block in blocks(_PAGE) if block.caption == "agent.py"]
    with subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"TELEMETRY_BASE_DIR": str(tmp_path)}
    ) as agent:
        wait_for_line(tmp_path / "raw", b'"event_type":"ready"')

        agent.send_signal(signal.SIGTERM)

        ended = stopped_after(agent, 30)
    assert 128 + signal.SIGTERM == ended
    store = open_store(tmp_path)
    [run] = store.runs(RunQuery())
    store.close()
    assert ("failed", "SystemExit", False) == (run.status, run.status_detail, run.verdict)


def stopped_after(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """Return the exit code of *process*, which is killed when it goes on for longer."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def wait_for_line(folder: Path, words: bytes) -> None:
    """Return when a journal in *folder* has a line with these *words*."""
    end = time.monotonic() + 30
    while not any(words in path.read_bytes() for path in folder.glob("*.ndjson")):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(not makes_containers(), reason="no namespaces for this user here")
def test_killed_container_is_told_by_another(tmp_path):
    """A reader with other process ids and another host name sees both runs of a container that is gone as failed."""
    subprocess.run([*_CONTAINER, sys.executable, "-c", _KILLED_AGENT, str(tmp_path)], timeout=60, check=True)

    command = [*_CONTAINER, "sh", "-c", 'hostname reader && exec "$@"', "-", sys.executable, "-c", _READER]
    shown = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True).stdout

    assert "crawler-1:failed:True crawler-2:failed:True\n" == shown
