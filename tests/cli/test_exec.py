"""Prove that `telemetry exec` is transparent: streams, signals and exit codes are those of the command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telemetry import open_store
from telemetry.plugins import RunQuery

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and shells of POSIX")
_ENTRY = "from telemetry.core.cli.main import main; main()"


@pytest.fixture
def base(tmp_path: Path, monkeypatch) -> Path:
    """Return the base directory that the environment names."""
    folder = tmp_path / "base"
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(folder))
    return folder


def runs_in(base: Path) -> dict:
    """Return the runs in the store by job."""
    store = open_store(base)
    runs = {run.job_type: run for run in store.runs(RunQuery(limit=None))}
    store.close()
    return runs


def test_streams_and_exit_code_are_the_commands_own(command, base: Path):
    """What it reads, writes and returns passes through; nothing of ours is among it."""
    script = "read line; echo out $line; echo err >&2; exit 7"

    done = command("exec", "--agent", "a", "--job", "j", "--", "sh", "-c", script, input="in\n")

    assert (7, "out in\n", "err\n") == (done.returncode, done.stdout, done.stderr)


def test_a_failed_command_is_a_failed_run(command, base: Path):
    """Exit code, last line and tail of standard error, and what it used."""
    noise = "import sys\nfor n in range(5000): print('line', n, file=sys.stderr)\nsys.exit(3)"

    command("exec", "--agent", "a", "--job", "j", "--trigger", "scheduler", "--", sys.executable, "-c", noise)

    run = runs_in(base)["j"]
    assert ("failed", "exit code 3", "scheduler") == (run.status, run.status_detail, run.trigger_type)
    assert "exit code 3: line 4999" == run.error_summary
    assert run.attributes["stderr_tail"].endswith("line 4998\nline 4999")
    assert len(run.attributes["stderr_tail"]) < 4200
    assert 3 == run.metrics["exit_code"]
    assert run.metrics["cpu_user_s"] >= 0
    assert run.metrics["max_rss_mb"] > 1


def test_a_command_that_succeeds_is_a_success(command, base: Path):
    """Without a job the name of the program is the job."""
    done = command("exec", "--agent", "a", "--", "true")

    run = runs_in(base)["true"]
    assert (0, "success", 0) == (done.returncode, run.status, run.metrics["exit_code"])
    assert "true" == run.input_summary


@pytest.mark.parametrize(("name", "code"), [("no-such-command", 127), (".", 126)])
def test_what_cannot_be_started_returns_what_a_shell_returns(command, base: Path, name: str, code: int):
    """And the run has failed."""
    done = command("exec", "--agent", "a", "--job", "j", "--", name)

    assert code == done.returncode
    assert done.stderr.startswith(f"error: {name}: ")
    assert "failed" == runs_in(base)["j"].status


def test_runs_of_the_child_become_children(command, base: Path):
    """A client in the command finds the run in its environment; events it logs for that run are the run's."""
    inner = (
        "import os, telemetry\n"
        "with telemetry.TelemetryClient() as c:\n"
        "    c.log_event(os.environ['TELEMETRY_RUN_ID'], 'from_inside', {'n': 1})\n"
        "    with c.track_run('inner', 'inner job'): pass\n"
    )

    done = command("exec", "--agent", "outer", "--job", "outer job", "--", sys.executable, "-c", inner)

    runs = runs_in(base)
    assert (0, "") == (done.returncode, done.stderr)
    assert runs["outer job"].run_id == runs["inner job"].parent_run_id
    page = json.loads(command("show", runs["outer job"].run_id, "--json").stdout)
    assert [runs["inner job"].run_id] == page["children"]
    assert ["from_inside"] == [event["event_type"] for event in page["events"]]


def test_git_commit_of_the_folder_is_linked(command, base: Path, tmp_path: Path):
    """In a repository the run knows its branch and commit."""
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for words in (("init", "-q", "-b", "main"), ("commit", "-q", "--allow-empty", "-m", "begin")):
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True, timeout=60)

    command("exec", "--agent", "a", "--job", "j", "--", "true", cwd=tmp_path)

    page = json.loads(command("show", "last", "--json").stdout)
    assert "main" == page["git_branch"]
    assert ["begin"] == [commit["message"] for commit in page["commits"]]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGUSR1"])
def test_signals_reach_the_command(base: Path, name: str):
    """It may trap them; if it dies of one, we return what a shell returns, and the run says why it failed."""
    ready = "echo ready; exec sleep 90"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _ENTRY, "exec", "--agent", "a", "--job", "j", "--", "sh", "-c", ready],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()

    process.send_signal(getattr(signal, name))

    assert 128 + getattr(signal, name) == process.wait(timeout=60)
    process.stdout.close()
    run = runs_in(base)["j"]
    assert ("failed", f"killed by {name}") == (run.status, run.status_detail)


def test_a_command_that_traps_the_signal_ends_as_it_likes(base: Path):
    """The wrapper outlives the signal and passes on what the command made of it."""
    script = "trap 'echo trapped; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _ENTRY, "exec", "--agent", "a", "--job", "j", "--", "sh", "-c", script],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()

    process.terminate()
    out, _ = process.communicate(timeout=60)

    assert (5, "trapped\n") == (process.returncode, out)


def test_a_grandchild_that_keeps_the_pipe_open_holds_nobody(command, base: Path):
    """A daemon that the command leaves behind inherits its standard error for hours."""
    began = time.monotonic()

    done = command("exec", "--agent", "a", "--job", "j", "--", "sh", "-c", "sleep 60 >/dev/null & echo done >&2")

    assert (0, "done\n") == (done.returncode, done.stderr)
    assert time.monotonic() - began < 40


def test_telemetry_that_cannot_write_does_not_stop_the_command(command, tmp_path: Path):
    """With telemetry disabled, the command runs as ever."""
    done = command("exec", "--agent", "a", "--", "echo", "works", env={"TELEMETRY_DISABLED": "1"})

    assert (0, "works\n") == (done.returncode, done.stdout)


def test_options_of_the_command_are_its_own(command, base: Path):
    """What stands behind the first word is never read as ours, also without --."""
    done = command("exec", "--agent", "a", "echo", "--help", "--json", "-n")

    assert (0, "--help --json -n\n") == (done.returncode, done.stdout)


def test_an_agent_must_be_named(command, base: Path):
    """Without it nobody would find the run again."""
    done = command("exec", "--", "true")

    assert 2 == done.returncode
    assert "--agent" in done.stderr
