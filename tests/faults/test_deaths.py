"""Every way to die gets its verdict, every way to look dead gets none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from victims import seen_by_a_reader

from telemetry import RunRecord, TelemetryClient
from telemetry.core import machine

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and fork are POSIX")

START = """
import ctypes, os, signal, sys, time
from telemetry import TelemetryClient
client = TelemetryClient()
run_id = client.start_run("mortal", "life")
client.log_event(run_id, "breath", {"n": 1})
def say(word): os.write(1, word.encode() + b"\\n")
say(run_id)
"""
WAIT = START + "time.sleep(600)\n"

DEATHS: dict[str, tuple[str, int | None, str]] = {
    "sigkill": (WAIT, signal.SIGKILL, "process gone without a word"),
    "sigterm": (WAIT, signal.SIGTERM, "process gone without a word"),
    "sighup": (WAIT, signal.SIGHUP, "process gone without a word"),
    "sigabrt": (START + "os.abort()", None, "process gone without a word"),
    "segfault": (START + "os.kill(os.getpid(), signal.SIGSEGV)", None, "process gone without a word"),
    "os._exit": (START + "os._exit(3)", None, "process gone without a word"),
    "plain exit": (START, None, "process exited without ending the run"),
    "exception": (START + "raise RuntimeError('boom')", None, "process exited without ending the run"),
    "sys.exit in a thread's wake": (START + "sys.exit(4)", None, "process exited without ending the run"),
}


def _born(base_dir: Path, code: str) -> tuple[subprocess.Popen[bytes], str]:
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip().decode()


def _buried(process: subprocess.Popen[bytes]) -> None:
    process.wait(timeout=60)
    assert process.stdout is not None
    process.stdout.close()


def _check_death(base_dir: Path, way: str) -> None:
    code, number, cause = DEATHS[way]
    process, run_id = _born(base_dir, code)
    if number is not None:
        process.send_signal(number)
    _buried(process)
    buried_at = datetime.now(UTC)

    run = seen_by_a_reader(base_dir, run_id)

    assert ("failed", True, cause) == (run.status, run.verdict, run.status_detail)
    started_at, ended_at = map(datetime.fromisoformat, (run.start_time, run.end_time or ""))
    assert started_at < ended_at <= buried_at
    assert abs((ended_at - started_at) / timedelta(milliseconds=1) - (run.duration_ms or 0)) <= 1


@pytest.mark.parametrize("way", DEATHS)
def test_a_dead_run_gets_its_verdict(tmp_path, way):
    """Whoever looks next sees it failed, with the cause, ended at its last evidence."""
    _check_death(tmp_path, way)


def _stopped(base_dir: Path) -> None:
    process, run_id = _born(base_dir, WAIT)
    process.send_signal(signal.SIGSTOP)
    try:
        assert "running" == seen_by_a_reader(base_dir, run_id).status
    finally:
        process.kill()
        _buried(process)


def _silent(base_dir: Path) -> None:
    process, run_id = _born(base_dir, WAIT)
    # Nothing was heard for a day, by the file's own word; the process lives.
    for path in (base_dir / "state" / "live").iterdir():
        os.utime(path, (time.time() - 86_400,) * 2)
    try:
        assert "running" == seen_by_a_reader(base_dir, run_id).status
    finally:
        process.kill()
        _buried(process)


def _survived_by_a_child(base_dir: Path) -> None:
    code = START + (
        "if os.fork():\n    time.sleep(0.2); os._exit(0)\n"
        "client.log_event(run_id, 'breath', {'n': 2})\nsay(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    process, run_id = _born(base_dir, code)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.wait(timeout=60)
    try:
        assert "running" == seen_by_a_reader(base_dir, run_id).status
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.read()
        process.stdout.close()
    assert "failed" == seen_by_a_reader(base_dir, run_id).status


def _on_another_machine(base_dir: Path) -> None:
    process, run_id = _born(base_dir, WAIT)
    process.kill()
    _buried(process)
    _rewrite_claim(base_dir, host="elsewhere", boot_id="another boot")

    assert "running" == seen_by_a_reader(base_dir, run_id).status


def _with_a_reused_pid(base_dir: Path) -> None:
    process, run_id = _born(base_dir, WAIT)
    # Its claim names a process id that is gone: only the lock counts, and it is held.
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=60)
    (claim,) = (base_dir / "state" / "live").glob("*.json")
    try:
        with claim.open("r+") as file:
            facts = json.load(file)
            file.seek(0)
            file.truncate()
            json.dump({**facts, "pid": gone.pid}, file)
        assert "running" == seen_by_a_reader(base_dir, run_id).status
    finally:
        process.kill()
        _buried(process)


def _in_this_process(base_dir: Path) -> None:
    with TelemetryClient(base_dir=base_dir) as client:
        run_id = client.start_run("mortal", "life")
        assert "running" == seen_by_a_reader(base_dir, run_id).status
        # Looking at the claims of this very process must not have freed its lock (POSIX).
        looker = "import sys; from telemetry import TelemetryClient as C; print(C().get_run(sys.argv[1]).status)"
        environment = {**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)}
        told = subprocess.run(
            [sys.executable, "-c", looker, run_id], env=environment, capture_output=True, text=True, check=True
        )
        assert "running" == told.stdout.strip()
        client.end_run(run_id)


LOOKING_DEAD: dict[str, Callable[[Path], None]] = {
    "stopped by SIGSTOP": _stopped,
    "silent for long": _silent,
    "survived by a child that goes on with it": _survived_by_a_child,
    "another machine's": _on_another_machine,
    "reused pid": _with_a_reused_pid,
    "this process's own": _in_this_process,
}


@pytest.mark.parametrize("way", LOOKING_DEAD)
def test_a_living_run_is_never_declared_dead(tmp_path, way):
    """However dead it looks, a run whose process lives stays running."""
    LOOKING_DEAD[way](tmp_path)


def _rewrite_claim(base_dir: Path, **facts: str) -> None:
    (claim,) = (base_dir / "state" / "live").glob("*.json")
    claim.write_text(json.dumps({**json.loads(claim.read_text()), **facts}))


def test_a_verdict_in_the_journal_is_like_any_end(tmp_path):
    """It says nothing of when a store made its row, and tells the duration that stores show."""
    process, run_id = _born(tmp_path, WAIT)
    process.kill()
    _buried(process)

    run = seen_by_a_reader(tmp_path, run_id)

    [journal] = (tmp_path / "raw").glob("events_*.ndjson")
    [verdict] = [line for line in map(json.loads, journal.read_bytes().splitlines()) if line.get("verdict")]
    assert [None, None] == [verdict[name] for name in ("created_at", "updated_at")]
    assert (run.end_time, run.duration_ms) == (verdict["end_time"], verdict["duration_ms"])
    assert run.duration_ms is not None


def test_a_zombie_tells_its_signal(tmp_path):
    """While the parent has not reaped it, the kernel still knows how the process died."""
    process, run_id = _born(tmp_path, WAIT)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    run = seen_by_a_reader(tmp_path, run_id)

    _buried(process)
    assert "killed by SIGKILL" == run.status_detail


def test_a_reboot_is_named(tmp_path):
    """A claim of an earlier boot of this machine: its process cannot have survived."""
    process, run_id = _born(tmp_path, WAIT)
    process.kill()
    _buried(process)
    _rewrite_claim(tmp_path, boot_id="the boot before")

    run = seen_by_a_reader(tmp_path, run_id)

    assert "machine rebooted" == run.status_detail


def test_the_true_owners_end_wins_over_a_verdict(tmp_path):
    """A verdict that was wrong after all (say, the claim was deleted) is corrected by the real end."""
    with TelemetryClient(base_dir=tmp_path) as client:
        run_id = client.start_run("mortal", "life")
        run = client.get_run(run_id)
        assert run is not None
        client._ownership._publish(_condemned(run))
        assert "failed" == _status(client, run_id)

        client.end_run(run_id)

        assert "success" == _status(client, run_id)


def _condemned(run: RunRecord) -> RunRecord:
    return RunRecord.from_dict(
        {**run.to_dict(), "status": "failed", "verdict": True, "end_time": run.start_time, "status_detail": "wrong"}
    )


def _status(client: TelemetryClient, run_id: str) -> str:
    run = client.get_run(run_id)
    assert run is not None
    return run.status


def test_a_claim_is_gone_when_the_process_ends_well(tmp_path):
    """Processes that end their runs leave nothing behind in the folder of claims."""
    code = START + "client.end_run(run_id)"
    process, _ = _born(tmp_path, code)
    _buried(process)

    assert [] == list((tmp_path / "state" / "live").iterdir())


def test_only_the_owner_can_read_what_is_kept(tmp_path):
    """Every folder is 0700 and every file 0600, whatever the umask."""
    base_dir = tmp_path / "base"
    process, _ = _born(base_dir, "import os; os.umask(0)\n" + START)
    _buried(process)

    paths = [base_dir, *base_dir.rglob("*")]
    assert {(True, 0o700), (False, 0o600)} == {(path.is_dir(), path.stat().st_mode & 0o777) for path in paths}


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", [*DEATHS, *LOOKING_DEAD])
def test_fifty_times_each(tmp_path, way):
    """50 repetitions of each way to die or to look dead: 100 % right."""
    for repetition in range(50):
        base_dir = tmp_path / str(repetition)
        if way in DEATHS:
            _check_death(base_dir, way)
        else:
            LOOKING_DEAD[way](base_dir)


GREEDY = (
    """
import sys
sys.stdin.readline()  # until it is in its group
"""
    + START
    + """
held = []
while True:
    held.append(b"x" * (1 << 20))
"""
)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """Return a memory cgroup of 64 MB, of version 2 or 1; skips where the machine lets nobody make one."""
    two, one = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
    is_two = (two / "cgroup.controllers").is_file() and "memory" in (two / "cgroup.controllers").read_text()
    group = (two if is_two else one) / f"telemetry-test-{os.getpid()}"
    limits = ("memory.max", "memory.swap.max") if is_two else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    try:
        group.mkdir()
        (group / limits[0]).write_text(str(64 << 20))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no memory cgroup can be made here: {error}")
    with suppress(OSError):  # without swap there is no such file, and no need of it
        (group / limits[1]).write_text(str(0 if is_two else 64 << 20))
    yield group
    group.rmdir()


@pytest.mark.parametrize("has_kernel_log", [True, False])
def test_out_of_memory_is_told_as_such(tmp_path, small_group, monkeypatch, has_kernel_log):
    """The kernel kills a process at its cgroup's limit: its log says so, or else the counter of the cgroup does."""
    process = subprocess.Popen(
        [sys.executable, "-c", GREEDY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TELEMETRY_BASE_DIR": str(tmp_path)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    (small_group / "cgroup.procs").write_text(str(process.pid))
    process.stdin.write(b"go\n")
    process.stdin.close()
    run_id = process.stdout.readline().strip().decode()
    process.wait(timeout=60)
    process.stdout.close()
    if not has_kernel_log:
        monkeypatch.setattr(machine, "_KERNEL_LOG", str(tmp_path / "not there"))

    run = seen_by_a_reader(tmp_path, run_id)

    assert -signal.SIGKILL == process.returncode
    words = ["process gone; its memory cgroup counted an out-of-memory kill since the run began"]
    if has_kernel_log:
        words.append("killed: out of memory (by the kernel's log)")
    assert run.status_detail in words
    if os.access("/dev/kmsg", os.R_OK):
        assert words[-1] == run.status_detail
