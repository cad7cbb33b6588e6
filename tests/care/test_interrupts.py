"""Prove that ^C in the middle of long work harms nothing, tells how to go on, and that going on ends it."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stopped_command import STOPPED

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs signals")

_RUNS, _EVENTS = 120, 60


@pytest.fixture
def full(base):
    """Return a base directory with runs of six days, all of them in the database; the older half is old."""
    for number in range(_RUNS):
        base.record(3 + number % 6 + number / 10_000, events=_EVENTS)
    base.told()
    return base


def interrupted(process: subprocess.Popen[str], is_due: Callable[[], bool]) -> tuple[int, str]:
    """Send SIGINT to *process* as soon as *is_due*; return its exit code and what it told."""
    deadline = time.monotonic() + 30
    while process.poll() is None and not is_due() and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("times", [0, 3])
def test_replay_goes_on_where_it_was(full, processes, real_command, times):
    """What was fed stays; the same command, or any reader, feeds the rest."""
    before = full.told()
    full.sql("DELETE FROM agent_runs")
    full.sql("DELETE FROM run_events")

    process = processes.start(STOPPED, "replaying", times, "replay", "--into", "sqlite")
    _, err = process.communicate(timeout=60)
    checked = full.sql("PRAGMA integrity_check")

    assert (130, [("ok",)]) == (process.returncode, checked)
    assert "interrupted: nothing is lost. To go on: telemetry replay --into sqlite" in err
    assert 0 == real_command("replay", "--into", "sqlite").returncode
    assert before["runs"] == full.told()["runs"]
    assert len(before["events"]) == len(full.told()["events"])


@pytest.mark.parametrize(
    ("stage", "times"), [("pruning runs", 0), ("pruning runs", 2), ("deleting days", 0), ("packing days", 0)]
)
def test_prune_goes_on_where_it_was(full, processes, real_command, stage, times):
    """What is young is untouched, and the same command ends what it began."""
    words = ("prune", "--older-than", "5d", "--gzip-after", "2d")
    ended = {run.run_id: run for run in full.told()["runs"]}

    process = processes.start(STOPPED, stage, times, *words)
    _, err = process.communicate(timeout=60)
    checked, left = full.sql("PRAGMA integrity_check"), full.told()
    again = real_command(*words)

    assert (130, [("ok",)]) == (process.returncode, checked)
    assert "interrupted: nothing is lost. To go on: the same command" in err
    young = full.told()["runs"]
    assert [run for run in left["runs"] if run in young] == young == [ended[run.run_id] for run in young]
    assert 0 == again.returncode
    assert len(young) * _EVENTS == len(full.told()["events"])
    assert 0 < len(young) < _RUNS
    assert [] == [path.name for path in full.raw.iterdir() if path.name.endswith(".part")]
    assert [] == [path.name for path in full.raw.iterdir() if path.suffix == ".ndjson"][:-1]


@pytest.mark.parametrize("stage", ["copying", "copying files", "checking files"])
def test_backup_leaves_nothing_that_could_be_taken_for_one(full, processes, real_command, stage):
    """No half copy is left to fill the disk, and the next one is whole."""
    process = processes.start(STOPPED, stage, 0, "backup")
    _, err = process.communicate(timeout=60)
    left = [path.name for path in (full.path / "backups").iterdir()]
    again = real_command("backup")

    assert (130, []) == (process.returncode, left)
    assert "To go on: the same command begins anew" in err
    assert 0 == again.returncode
    [made] = (full.path / "backups").iterdir()
    assert str(_RUNS) in real_command("--base-dir", made, "query", "SELECT count(*) FROM agent_runs").stdout


def test_backup_clears_what_a_killed_one_left(full, processes, real_command):
    """SIGKILL leaves a half copy, which goes with the next backup."""
    process = processes.start(STOPPED.replace("SIGINT", "SIGKILL"), "copying files", 1, "backup")
    process.communicate(timeout=60)
    left = [path.name.endswith(".part") for path in (full.path / "backups").iterdir()]

    code = real_command("backup").returncode

    assert ([True], 0) == (left, code)
    assert [False] == [path.name.endswith(".part") for path in (full.path / "backups").iterdir()]


@pytest.mark.parametrize(("stage", "times"), [("restoring days", 2), ("comparing", 0), ("copying", 0)])
def test_restore_goes_on_where_it_was(full, processes, real_command, stage, times):
    """Days and rows that are back stay, and the same command brings the rest."""
    before = full.told()
    real_command("backup", "--to", full.path / "kept")
    shutil.rmtree(full.raw)
    full.sql("DELETE FROM agent_runs")

    process = processes.start(STOPPED, stage, times, "restore", full.path / "kept")
    _, err = process.communicate(timeout=60)
    again = real_command("restore", full.path / "kept")

    assert 130 == process.returncode
    assert "To go on: the same command" in err
    assert 0 == again.returncode
    assert before == full.told()
    assert [("ok",)] == full.sql("PRAGMA integrity_check")


@pytest.mark.parametrize("what", ["all", "events"])
def test_export_leaves_nothing_behind(full, processes, real_command, tmp_path: Path, what):
    """Neither the file nor a half one; the same command writes it."""
    target = tmp_path / "out.ndjson"

    process = processes.start(STOPPED, "exporting", 40, "export", "--what", what, "--out", target)
    _, err = process.communicate(timeout=60)
    left = list(tmp_path.glob("out*"))
    again = real_command("export", "--what", what, "--out", target)

    assert (130, []) == (process.returncode, left)
    assert "To go on: the same command begins anew" in err
    assert 0 == again.returncode
    assert _RUNS * (_EVENTS + (what == "all")) == len(target.read_bytes().splitlines())


def test_export_can_be_stopped_while_it_indexes(full, processes, real_command, tmp_path: Path):
    """A database that has not met the journal yet is brought up to it with a bar, and keeps what it has."""
    shutil.rmtree(full.database.parent)

    process = processes.start(STOPPED, "indexing", 0, "export", "--what", "all", "--out", tmp_path / "out.ndjson")
    process.communicate(timeout=60)
    again = real_command("export", "--what", "all", "--out", tmp_path / "out.ndjson")

    assert (130, 0) == (process.returncode, again.returncode)
    assert _RUNS * (_EVENTS + 1) == len((tmp_path / "out.ndjson").read_bytes().splitlines())


@pytest.mark.parametrize("times", [3, 3_000])
def test_merge_goes_on_where_it_was(full, processes, real_command, tmp_path: Path, times):
    """What was brought in stays, and the same command brings the rest, each record once."""
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    lines = sum(len(path.read_bytes().splitlines()) for path in full.raw.glob("*.ndjson"))
    words = ("--base-dir", target, "merge", full.path)

    def brought() -> int:
        return sum(len(path.read_bytes().splitlines()) for path in (target / "raw").glob("events_*.ndjson"))

    process = processes.start(STOPPED, "merging", times, *words)
    _, err = process.communicate(timeout=60)
    partial = brought()
    again = real_command(*words)

    assert 130 == process.returncode
    assert "To go on: the same telemetry merge" in err
    assert 0 < partial <= lines
    assert (0, lines) == (again.returncode, brought())


@pytest.mark.parametrize("size", [0, 200_000])
def test_export_into_a_pipe_ends_with_a_whole_line(full, processes, size):
    """Whoever reads the pipe gets no half record, neither of a short line nor of one that the pipe cannot hold."""
    full.record(30, events=30, text="x" * size)  # the oldest run comes first
    process = processes.command("export", "--what", "all")
    assert process.stdout is not None
    # It has begun, and the pipe is full soon. `readline` would read on, and `communicate` not hand that out.
    first = os.read(process.stdout.fileno(), 1).decode()
    time.sleep(0.5)

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert 130 == process.returncode
    assert (first + out).endswith("\n")
    assert all(json.loads(line) for line in (first + out).splitlines())


def test_replay_into_an_api_is_ended_by_a_flush(full, processes, real_command, tmp_path: Path, monkeypatch):
    """What the API had before ^C it got; `outbox flush` brings the rest, each run under one key."""
    taken: list[tuple[str, str]] = []
    is_interrupted = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            run_id = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["run_id"]
            is_taken = len(taken) < 20 or is_interrupted.is_set()
            if is_taken:
                taken.append((run_id, self.headers["Idempotency-Key"]))
            self.send_response(200 if is_taken else 503)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    text = f"[sinks.ndjson]\n[sinks.sqlite]\n[sinks.api]\nurl = 'http://127.0.0.1:{server.server_port}/'\n"
    (tmp_path / "telemetry.toml").write_text(text)
    monkeypatch.setenv("TELEMETRY_CONFIG", str(tmp_path / "telemetry.toml"))

    code, err = interrupted(processes.command("replay", "--into", "api"), lambda: len(taken) > 10)
    partial = len(set(taken))
    is_interrupted.set()
    flushed = real_command("outbox", "flush")
    server.shutdown()
    server.server_close()

    assert 130 == code
    assert "To go on: telemetry outbox flush" in err
    assert 10 < partial < _RUNS
    assert (0, _RUNS) == (flushed.returncode, len(set(taken)))
    assert _RUNS == len({run_id for run_id, _ in taken})


@pytest.mark.parametrize("delay_s", [0.25, 0.3, 0.35, 0.4])
def test_replay_may_be_stopped_at_any_moment(full, processes, real_command, delay_s):
    """Not only where it tells of its progress."""
    before = full.told()
    full.sql("DELETE FROM agent_runs")
    due = time.monotonic() + delay_s

    interrupted(processes.command("replay", "--into", "sqlite"), lambda: time.monotonic() > due)
    again = real_command("replay", "--into", "sqlite")

    assert 0 == again.returncode
    assert before["runs"] == full.told()["runs"]
