"""Prove that every command explains itself, and that each example in its help works."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from old_stores import build_store

from telemetry import TelemetryClient, TelemetryConfig
from telemetry.core.care import Care
from telemetry.core.cli.desk import Desk
from telemetry.core.cli.faults import Exit, Fault
from telemetry.core.cli.group import COMMANDS
from telemetry.core.cli.main import cli

pytestmark = pytest.mark.once

_SHELL = set("|<>$&;")
_READERS = ("runs", "show", "stats", "errors", "diff", "plot", "export")


def all_commands(
    group: click.Group = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command of ours that does something, with the words that call it."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = {" ".join(path): command for path, command in all_commands()}
EXAMPLES = [example for command in ALL.values() for example, _ in command.examples]


def test_list_says_what_each_command_says_of_itself():
    """The list is written by hand, so that it costs no import; it never says anything else."""
    for name, entry in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert entry.help == command.get_short_help_str(200), name


GROUPS = [name for name in COMMANDS if isinstance(cli.get_command(click.Context(cli), name), click.Group)]


@pytest.mark.parametrize("name", GROUPS)
def test_list_of_subcommands_is_whole(name: str):
    """At 80 columns no sentence in it is cut."""
    command = cli.get_command(click.Context(cli), name)

    listed = command.get_help(click.Context(command, info_name=name, terminal_width=80)).partition("Commands:")[2]

    assert len(listed.splitlines()) > len(command.commands)
    assert "..." not in listed


@pytest.mark.parametrize("name", ALL)
def test_help_explains_each_option(name: str):
    """What it does, each option explained, and two examples or more."""
    command = ALL[name]

    assert len(command.examples) >= 2
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("name", ALL)
def test_help_prints_its_examples(command, capsys, bench, name: str):
    """Help is an answer: exit code 0, on standard output."""
    code = bench.run(*name.split(), "--help").code

    out = capsys.readouterr().out
    assert 0 == code
    assert out.rstrip().endswith(ALL[name].examples[-1][1])


@pytest.mark.parametrize("name", ALL)
def test_a_command_reads_the_store_that_is_named_or_refuses_it(bench, name: str):
    """What works on a base directory must not take another one than was meant."""
    context = click.Context(ALL[name], info_name=name, obj=Desk(bench.screen(), store_place="elsewhere"))
    if name in _READERS:
        assert ALL[name].reads_store
        return

    with pytest.raises(Fault, match=f"^{name} cannot use a store that is named") as caught:
        ALL[name].invoke(context)

    assert Exit.USAGE == caught.value.code


_NO_LISTS = ("completion", "config init", "exec", "export", "new-sink")


@pytest.mark.parametrize("name", [name for name in ALL if name not in _NO_LISTS])
def test_every_answer_can_be_json(name: str):
    """--json everywhere but where the answer is a script, a file, or not ours."""
    if name in ("outbox flush", "outbox retry"):
        return
    options = {option for parameter in ALL[name].params for option in parameter.opts}
    assert "--json" in options


@pytest.fixture(scope="module")
def desk_folder(tmp_path_factory) -> Path:
    """Return a folder in which every example means something: a recorded store, a configuration, files."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "base").mkdir(mode=0o700)
    (folder / "new.toml").write_text('agent_owner = "me"\n')
    (folder / "report.sql").write_text("SELECT count(*) FROM runs")
    (folder / "crawl.py").write_text("x = 1\n")
    (folder / "src").mkdir()
    (folder / "src" / "a.py").write_text("x = 1\n")
    (folder / "telemetry.hq.toml").write_text(
        '[sinks.raw]\ntype = "ndjson"\n[sinks.db]\ntype = "sqlite"\n'
        '[sinks.hq]\ntype = "api"\nurl = "http://127.0.0.1:9/"\ntoken = "t"\nretry = { delays_s = [] }\n'
    )
    environment = {**os.environ, "TELEMETRY_BASE_DIR": str(folder / "base")}
    subprocess.run([sys.executable, "-P", "-c", _RECORD], env=environment, check=True, timeout=60)
    for place in (folder / "base" / "backups" / "sunday", folder / "monday"):
        Care(TelemetryConfig.load(base_dir=folder / "base")).backup(place)
    _add_other_stores(folder)
    return folder


def _add_other_stores(folder: Path) -> None:
    (folder / "all").mkdir(mode=0o700)
    for name in ("usb/agent-metrics", "ci-1", "ci-2"):
        shutil.copytree(folder / "base", folder / name)
    build_store(folder / "old-metrics" / "db" / "telemetry.sqlite", "v2")
    build_store(folder / "old.sqlite", "v7 by id")
    shutil.copy(next((folder / "base" / "raw").glob("*.ndjson")), folder / "events.ndjson")


_RECORD = """
from telemetry import TelemetryClient, TelemetryConfig
from telemetry.core.care import Care
with TelemetryClient() as client:
    for agent, tail in (("nightly", "1a2b3c4d"), ("nightly", "5e6f7a8b")):
        run_id = client.start_run(agent, "import", run_id=f"20261124T192500Z-{agent}-{tail}")
        client.log_event(run_id, "tool_ended", {"duration_ms": 3})
        client.end_run(run_id, files=60, metrics_json={"files": 60, "cost_usd": 0.5, "tokens_in": 2000})
    client.end_run(client.start_run("nightly", "import"), "failed", error_summary="E: no")
"""


@pytest.fixture
def in_folder(desk_folder: Path, tmp_path: Path, monkeypatch) -> Path:
    """Work in a copy of that folder."""
    place = tmp_path / "work"
    shutil.copytree(desk_folder, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(place / "base"))
    return place


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_works(example: str, in_folder: Path, real_bench, monkeypatch):
    """Each example is typed as it stands, and does what it says without a fault."""
    monkeypatch.chdir(in_folder)
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(in_folder / "base"))
    if "outbox" in example:
        monkeypatch.setenv("TELEMETRY_CONFIG", str(in_folder / "telemetry.hq.toml"))
    if "--raw" in example:
        pytest.importorskip("duckdb", reason="DuckDB is installed in the tox environment `coverage`")
    if "-f" in shlex.split(example):
        _interrupt_sleep(monkeypatch)

    code, told = _typed(example, in_folder, real_bench)

    expected = {"outbox flush": {0, 1}, "outbox retry": {0, 3}}
    allowed = next((codes for words, codes in expected.items() if words in example), {0})
    assert code in allowed, told


def _typed(example: str, folder: Path, bench) -> tuple[int, str]:
    if not _SHELL.intersection(example.replace("'metrics.files>50'", "")):
        words = shlex.split(example)
        assert "telemetry" == words[0]
        answer = bench.run(*words[1:])
        return answer.code, answer.err
    if os.name == "nt":
        pytest.skip("needs a shell of POSIX")
    scripts = folder / "bin"
    scripts.mkdir()
    entry = "from telemetry.core.cli.main import main; main()"
    (scripts / "telemetry").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -c "{entry}" "$@"\n')
    (scripts / "telemetry").chmod(0o755)
    (folder / ".config" / "fish" / "completions").mkdir(parents=True)
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(["bash", "-c", example], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def _interrupt_sleep(monkeypatch) -> None:
    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("telemetry.core.cli.commands.tail.time.sleep", sleep)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_our_variable(bench, shell: str):
    """The script asks the command itself, by the variable that it listens to."""
    script = bench.run("completion", shell).out

    assert "_TELEMETRY_COMPLETE" in script


def complete(command, *words: str, **environment: str) -> list[str]:
    """Return what a shell would offer behind *words*; the last one may be begun."""
    told = {"_TELEMETRY_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("telemetry", *words)),
            "COMP_CWORD": str(len(words)), **environment}  # fmt: skip
    return [line.partition(",")[2] for line in command(env=told).stdout.splitlines() if line]


def test_completion_knows_commands_options_agents_and_runs(command, in_folder: Path):
    """What can be typed next is offered, out of the store too."""
    assert ["runs"] == complete(command, "ru")
    assert "--failed" in complete(command, "runs", "--fa")
    assert ["nightly"] == complete(command, "runs", "--agent", "n")
    assert {"1a2b3c4d", "5e6f7a8b"} <= set(complete(command, "show", ""))
    assert ["20261124T192500Z-nightly-1a2b3c4d"] == complete(command, "show", "20261124T192500Z-nightly-1")
    assert ["cost_usd"] == complete(command, "plot", "co")
    assert ["tokens_in"] == complete(command, "stats", "--metric", "tok")
    hq = str(in_folder / "telemetry.hq.toml")
    assert ["hq"] == complete(command, "outbox", "dead", "", TELEMETRY_CONFIG=hq)


def test_completion_without_a_store_offers_nothing(command, tmp_path: Path):
    """A fault must not come out in the middle of what is being typed."""
    assert [] == complete(command, "runs", "--agent", "n", TELEMETRY_BASE_DIR=str(tmp_path))
    assert [] == complete(command, "show", "x", TELEMETRY_CONFIG=str(tmp_path / "none.toml"))


def test_client_is_not_needed_to_list(bench):
    """Reading imports no client: nothing could be recorded by looking."""
    assert TelemetryClient is not None
    program = (
        "import sys\nfrom telemetry.core.cli.main import run\nrun(['runs'])\n"
        "sys.exit('telemetry.core.client' in sys.modules or 'requests' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, timeout=60)
    assert 0 == done.returncode
