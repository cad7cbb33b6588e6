"""Prove that `telemetry demo` does a real job: what it shows is in the store, and nothing else was touched."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from telemetry import open_store
from telemetry.core.demo import killing
from telemetry.core.demo.agent import facts_of
from telemetry.core.demo.sample import chosen_sections, standard_library
from telemetry.plugins import RunQuery, TelemetryError

pytestmark = pytest.mark.once


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Return a folder with eight Python files in three parts, two of which cannot be parsed."""
    folder = tmp_path / "library"
    files = {
        "top.py": "def one(): pass\n",
        "a/__init__.py": "class A:\n    def method(self): pass\n\nasync def two(): pass\n",
        "a/deep/x.py": "x = '\\d'\n",
        "a/deep/bad.py": "def (:\n",
        "a/.hidden/no.py": "(",
        "b/y.py": "\n\n",
        "b/nul.py": "x = '\0'\n",
        "b/site-packages/no.py": "(",
        "c/notes.txt": "no Python",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def stored(base: Path) -> dict[str, list]:
    """Return the runs in the store by agent, oldest first."""
    store = open_store(base)
    runs: dict[str, list] = {}
    for run in store.runs(RunQuery(limit=None, oldest_first=True)):
        runs.setdefault(run.agent_name, []).append(run)
    store.close()
    return runs


def test_sizes_of_the_places_stand_below_each_other(real_bench, library: Path):
    """The labels differ in length; the paths behind them begin in one column."""
    lines = real_bench.run("demo", str(library)).out.splitlines()

    begin = lines.index("Where it lies") + 1
    places = lines[begin : begin + 2]
    assert 1 == len({line.index(str(real_bench.base_dir)) for line in places})


def test_demo_records_what_it_shows(real_bench, library: Path):
    """Several runs that are really there, with an event a file and the counts of what was parsed."""
    answer = real_bench.run("demo", str(library))

    assert 0 == answer.code, answer.err
    runs = stored(real_bench.base_dir)
    [survey], [strict], [victim] = runs["demo-survey"], runs["demo-strict"], runs["demo-victim"]
    parts = {run.job_type: run for run in runs["demo-parser"]}
    assert {"parse top level", "parse a", "parse b"} == parts.keys()
    assert {survey.run_id} == {run.parent_run_id for run in parts.values()}
    assert {"files": 3, "broken": 1, "lines": 5, "functions": 2, "classes": 1} == dict(parts["parse a"].metrics)
    assert ("partial", 3, 2, 1) == _result(parts["parse a"])
    assert ("success", 1, 1, 0) == _result(parts["parse top level"])
    assert "failed" == strict.status
    assert strict.error_summary.startswith(("SyntaxError: ", "ValueError: "))
    assert "in parse_strictly" in strict.attributes["traceback"]
    assert ("failed", True) == (victim.status, victim.verdict)
    assert victim.metrics["files"] >= 1
    assert all(run.run_id[-8:] in answer.out for run in (*parts.values(), survey, strict, victim))


def _result(run) -> tuple:
    return run.status, run.items_discovered, run.items_succeeded, run.items_failed


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how a process died")
def test_the_killed_run_is_known_to_be_killed(real_bench, library: Path):
    """The verdict is the kernel's word: SIGKILL."""
    real_bench.run("demo", str(library))

    [victim] = stored(real_bench.base_dir)["demo-victim"]
    assert "killed by SIGKILL" == victim.status_detail


def test_demo_logs_an_event_a_file(real_bench, library: Path):
    """What failed to parse is an event too, with its reason."""
    outcome = json.loads(real_bench.run("demo", str(library), "--json").out)

    store = open_store(real_bench.base_dir)
    events = [event for run_id in outcome["runs"][:3] for event in store.events(run_id)]
    store.close()
    paths = {event.payload["path"]: event.event_type for event in events}
    assert {"top.py", "a/__init__.py", "a/deep/x.py", "a/deep/bad.py", "b/y.py", "b/nul.py"} == paths.keys()
    assert {"a/deep/bad.py", "b/nul.py"} == {path for path, kind in paths.items() if kind == "file_failed"}
    assert outcome["broken_file"] in (str(library / "a/deep/bad.py"), str(library / "b/nul.py"))


def test_a_folder_without_a_broken_file_is_said_to_have_none(real_bench, library: Path):
    """The run that fails is sent to a file that is not there, and the demo says so."""
    (library / "a/deep/bad.py").unlink()
    (library / "b/nul.py").unlink()

    answer = real_bench.run("demo", str(library))

    [strict] = stored(real_bench.base_dir)["demo-strict"]
    assert 0 == answer.code
    assert "sent to a file that is not there" in answer.out
    assert strict.error_summary.startswith("FileNotFoundError: ")


def test_a_folder_of_broken_files_alone_works(real_bench, tmp_path: Path):
    """The process that is killed then reads a file of our own."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "bad.py").write_text("(")

    answer = real_bench.run("demo", str(folder))

    assert 0 == answer.code, answer.err
    assert 1 == len(stored(real_bench.base_dir)["demo-victim"])


@pytest.mark.parametrize(("name", "told"), [("nowhere", "no such folder"), ("empty", "no Python file")])
def test_a_folder_that_gives_nothing_is_not_found(real_bench, tmp_path: Path, name: str, told: str):
    """Nothing is recorded, and the exit code is 3."""
    (tmp_path / "empty").mkdir()

    answer = real_bench.run("demo", str(tmp_path / name))

    assert (3, "") == (answer.code, answer.out)
    assert told in answer.err
    assert [] == list(real_bench.base_dir.iterdir())


def test_disabled_telemetry_cannot_be_shown(real_bench, library: Path, monkeypatch):
    """With TELEMETRY_DISABLED the demo would show an empty store; it says why instead."""
    monkeypatch.setenv("TELEMETRY_DISABLED", "1")

    answer = real_bench.run("demo", str(library))

    assert 4 == answer.code
    assert "TELEMETRY_DISABLED" in answer.err


def test_demo_posts_nothing(real_bench, library: Path, monkeypatch):
    """Where an API is configured the demo leaves it alone."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        monkeypatch.setenv("METRICS_API_URL", f"http://127.0.0.1:{server.getsockname()[1]}/")
        monkeypatch.setenv("METRICS_API_TOKEN", "token")
        answer = real_bench.run("demo", str(library))
        with pytest.raises(TimeoutError):
            server.accept()

    assert 0 == answer.code


def test_advice_of_the_demo_works(real_bench, library: Path):
    """Each command that it proposes runs (the one that follows aside), and its code sample too."""
    shown = real_bench.run("demo", str(library)).out
    advice = [line.split("  ")[1] for line in shown.splitlines() if line.startswith("  telemetry ")]
    sample = "\n".join(line[2:] for line in shown.split("In your own code\n")[1].splitlines())

    codes = {line: real_bench.run(*line.split()[1:]).code for line in advice if not line.endswith("-f")}
    ran = subprocess.run([sys.executable, "-P", "-c", sample], capture_output=True, text=True, timeout=60)

    assert len(codes) >= 5
    assert {0} == set(codes.values())
    assert (0, "") == (ran.returncode, ran.stderr)
    assert "my-agent" in real_bench.run("runs").out


def test_demo_names_the_files_that_are_there(real_bench, library: Path):
    """What stands below "Where it lies" exists."""
    shown = real_bench.run("demo", str(library)).out

    named = [line.split()[-1] for line in shown.splitlines() if f"  {real_bench.base_dir}" in line]
    assert 2 == len(named)
    assert all(Path(name).is_file() for name in named)


@pytest.mark.parametrize("has_rich", [True, False])
def test_progress_is_shown_on_a_terminal_only(real_bench, library: Path, monkeypatch, has_rich: bool):
    """A bar where somebody looks, with rich and without; not a letter of it in the answer."""
    pytest.importorskip("rich")
    if not has_rich:
        monkeypatch.setattr("telemetry.core.cli.progress.find_spec", lambda name: None)
    screen = real_bench.screen(is_live=True, has_color=True)

    answer = real_bench.run("demo", str(library), on=screen)

    assert 0 == answer.code
    assert "reading" in answer.err
    assert "6/6" in answer.err
    assert "6/6" not in answer.out


def test_a_newcomer_finds_the_runs_without_any_setting(
    command, library: Path, isolated_environment: Path, tmp_path: Path
):
    """Demo, then runs, with nothing set: the same store, in the user's own directory."""
    first = command("demo", str(library), cwd=tmp_path)
    runs = command("runs", "--json", cwd=tmp_path)

    assert (0, "") == (first.returncode, first.stderr)
    assert {"demo-survey", "demo-parser", "demo-strict", "demo-victim"} == {
        run["agent_name"] for run in json.loads(runs.stdout)
    }
    assert str(isolated_environment) in first.stdout


def test_demo_looks_into_the_directory_that_was_named(command, library: Path, tmp_path: Path):
    """With --base-dir all of it, the killed process too, stays there; the commands to type say so."""
    base = tmp_path / "named"
    base.mkdir()

    done = command("--base-dir", str(base), "demo", str(library))

    assert (0, "") == (done.returncode, done.stderr)
    assert f"$ telemetry --base-dir {base} runs" in done.stdout
    assert "demo-victim" in stored(base)


def test_standard_library_has_parts_and_a_bound():
    """Never more files than asked for, from several parts, and broken ones first where there are any."""
    sections = chosen_sections(standard_library(), 60)

    files = [path for section in sections for path in section.files]
    assert 0 < len(files) <= 60
    assert 3 <= len(sections) <= 6
    assert len(files) == len(set(files))
    for section in sections:
        marks = ["badsyntax" in path.name for path in section.files]
        assert marks == sorted(marks, reverse=True)


def test_one_file_is_enough(library: Path):
    """A bound below the number of parts leaves parts out, not the bound."""
    for most in (1, 2, 3, 600):
        assert min(most, 6) == sum(len(section.files) for section in chosen_sections(library, most))


def test_warnings_of_old_files_are_kept_quiet(library: Path, recwarn):
    """Other people's invalid escapes are no business of whoever runs the demo."""
    assert {"lines": 1, "functions": 0, "classes": 0} == facts_of(library / "a/deep/x.py")
    assert [] == list(recwarn)


def test_a_victim_that_dies_by_itself_is_a_fault(library: Path, real_bench):
    """The demo never claims to have killed what was dead."""
    from telemetry import TelemetryConfig

    victim = killing.start_victim(TelemetryConfig.load(), library, [library / "a/deep/bad.py"])
    try:
        with pytest.raises(TelemetryError, match=r"ended by itself: .*SyntaxError"):
            victim.kill()
    finally:
        victim.reap()


def test_a_set_up_with_the_journal_alone_is_shown_too(real_bench, library: Path, tmp_path: Path):
    """Without a database the journal answers, and only it is named as a place."""
    (tmp_path / "telemetry.toml").write_text('[sinks.raw]\ntype = "ndjson"\n')

    answer = real_bench.run("demo", str(library))

    assert 0 == answer.code, answer.err
    assert "demo-victim" in answer.out
    assert "SQLite, a row a run" not in answer.out
