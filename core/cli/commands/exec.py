"""Run any command as a run, so that what is no Python, or not ours, is recorded as well."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ....plugins.records import TRIGGER_TYPES
from ...client import TelemetryClient
from ...execution import CANNOT_RUN, NOT_FOUND, Finished, run_command
from ...git import GitFailed, read_commit
from ..completing import complete_agents, complete_jobs
from ..desk import Desk, pass_desk
from ..faults import Fault, report
from ..group import DeskCommand

__all__ = ["command"]

_RUN_VARIABLE = "TELEMETRY_RUN_ID"
_MOST_LINES = 5
_EXAMPLES = (
    ("telemetry exec --agent backup --job nightly -- tar -cf src.tar src", "record a command that knows nothing of it"),
    ("telemetry exec --agent ci -- python3 crawl.py", "runs that crawl.py records become children of this one"),
)


@click.command(
    "exec",
    cls=DeskCommand,
    examples=_EXAMPLES,
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
@click.option("--agent", required=True, metavar="NAME", help="Who runs.", shell_complete=complete_agents)
@click.option(
    "--job",
    metavar="NAME",
    help="What kind of work; the name of the command when left out.",
    shell_complete=complete_jobs,
)
@click.option("--trigger", type=click.Choice(TRIGGER_TYPES), default="cli", show_default=True, help="What set it off.")
@click.argument("words", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_desk
def command(desk: Desk, /, agent: str, job: str | None, trigger: str, words: tuple[str, ...]) -> int:
    """
    Run any command and record it as a run.

    Its duration, exit code, last lines on standard error, processor time, memory and git commit are recorded.
    Signals are forwarded and its exit code is passed on. Its own clients find TELEMETRY_RUN_ID in the environment
    and make their runs children of this one.
    """
    with TelemetryClient(desk.config) as client:
        commit = _commit()
        about = {"input_summary": shlex.join(words), "working_directory": os.getcwd(), **_git_fields(commit)}
        run_id = client.start_run(agent, job or Path(words[0]).name, trigger, **about)
        if commit:
            client.associate_commit(run_id, **commit)
        finished = _run(desk, run_id, words)
        client.end_run(run_id, **_ending(finished))
    return finished.exit_code


def _git_fields(commit: dict[str, Any]) -> dict[str, str]:
    return {f"git_{name}": commit[name] for name in ("repo", "branch") if commit.get(name)}


def _commit() -> dict[str, Any]:
    try:
        return read_commit(Path.cwd())
    except (GitFailed, OSError):
        return {}  # most commands run outside of any repository


def _run(desk: Desk, run_id: str, words: Sequence[str]) -> Finished:
    try:
        return run_command(words, {**os.environ, _RUN_VARIABLE: run_id})
    except OSError as error:
        told = f"{words[0]}: {error.strerror or error}"
        report(desk.screen, Fault(told, where="telemetry exec", cure="the command stands behind --, as in a shell"))
        return Finished(NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN, None, told)


def _ending(finished: Finished) -> dict[str, Any]:
    """Return what is recorded at the end of a command."""
    metrics = {"exit_code": finished.exit_code, **finished.usage}
    if finished.exit_code == 0:
        return {"status": "success", "metrics_json": metrics}
    detail = f"killed by {finished.signal}" if finished.signal else f"exit code {finished.exit_code}"
    last = finished.stderr_tail.strip().splitlines()[-1:]
    tail = "\n".join(finished.stderr_tail.splitlines()[-_MOST_LINES * 4 :])
    return {
        "status": "failed",
        "status_detail": detail,
        "error_summary": f"{detail}: {last[0]}" if last else detail,
        "attributes": {"stderr_tail": tail} if tail else {},
        "metrics_json": metrics,
    }
