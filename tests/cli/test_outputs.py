"""Prove that what a command writes goes where the user said, whatever stands there, and nothing else is harmed."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from telemetry import TelemetryClient

_PROGRAM = (sys.executable, "-P", "-c", "from telemetry.core.cli.main import main; main()")

needs_posix = pytest.mark.skipif(os.name == "nt", reason="needs links, pipes and shells of POSIX")


@pytest.fixture
def recorded(real_bench):
    """Return a bench over a store of three runs."""
    with TelemetryClient() as client:
        for number in range(3):
            with client.track_run("importer", f"job {number}"):
                pass
    return real_bench


def jobs_in(text: str) -> list[str]:
    """Return the jobs of the runs that the lines of *text* tell."""
    return [json.loads(line)["job_type"] for line in text.splitlines()]


_ALL = ["job 0", "job 1", "job 2"]


@needs_posix
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_a_link(recorded, tmp_path: Path, is_there: bool):
    """What it leads to is written, as every other program does; also what is not there yet."""
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real.ndjson", tmp_path / "link.ndjson"
    if is_there:
        real.write_text("old")
    link.symlink_to(real)

    answer = recorded.run("export", "--out", str(link))

    assert 0 == answer.code
    assert link.is_symlink()
    assert jobs_in(real.read_text()) == _ALL
    assert [real] == list(real.parent.iterdir())


@needs_posix
def test_a_named_pipe_stays_one(recorded, tmp_path: Path):
    """Whoever reads it gets the lines."""
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()

    answer = recorded.run("export", "--out", str(pipe))

    reader.join(30)
    assert 0 == answer.code
    assert [_ALL] == [jobs_in(text) for text in got]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@needs_posix
@pytest.mark.parametrize("out", ["-", "link to standard output"])
def test_standard_output_is_added_to(recorded, tmp_path: Path, out: str):
    """What stood in the file already stays there."""
    link, target = tmp_path / "stdout", tmp_path / "target"
    link.symlink_to("/proc/self/fd/1" if sys.platform == "linux" else "/dev/fd/1")
    target.write_text('{"job_type": "mine"}\n')

    with target.open("a") as file:
        words = ("export", "--out", "-" if out == "-" else str(link))
        done = subprocess.run([*_PROGRAM, *words], stdout=file, timeout=60)

    assert 0 == done.returncode
    assert ["mine", *_ALL] == jobs_in(target.read_text())
    assert link.is_symlink()


@pytest.mark.parametrize("out", [".", "", "..", "folder"])
@pytest.mark.parametrize("words", [("export",), ("export", "--format", "parquet"), ("plot", "duration")])
def test_a_folder_is_no_file(recorded, tmp_path: Path, words: tuple[str, ...], out: str):
    """It is told before any work, with what to write instead."""
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())

    answer = recorded.run(*words, "--out", out)

    assert (2, "") == (answer.code, answer.out)
    assert "is a directory" in answer.err
    assert "name a file in it" in answer.err
    assert before == sorted(tmp_path.iterdir())


@needs_posix
def test_parquet_needs_a_file(recorded, tmp_path: Path):
    """Its end says where its parts lie, so it is no stream."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    answers = [recorded.run("export", "--format", "parquet", "--out", out) for out in (str(pipe), "-")]

    assert [2, 2] == [answer.code for answer in answers]
    assert all("--out runs.parquet" in answer.err for answer in answers)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@needs_posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_exec_runs_whatever_is_closed(recorded, tmp_path: Path, closed: str):
    """Daemons start their jobs with streams closed; the job runs, and is recorded."""
    line = f'"$@" {closed}'
    job = 'echo told && echo warned >&2 && echo ran >"$1"'
    words = ("exec", "--agent", "closer", "--job", "j", "--", "sh", "-c", job, "sh", str(tmp_path / "it ran"))

    done = subprocess.run(["sh", "-c", line, "sh", *_PROGRAM, *words], capture_output=True, text=True, timeout=60)

    assert 0 == done.returncode
    assert ("" if ">&-" in closed.split() else "told\n") == done.stdout
    assert ("" if "2>&-" in closed else "warned\n") == done.stderr
    assert (tmp_path / "it ran").exists()
    assert "success" in recorded.run("runs", "--agent", "closer").out


@needs_posix
def test_what_is_written_into_a_closed_stream_goes_nowhere_else(recorded, tmp_path: Path):
    """The next file that is opened gets the number of the closed stream, and must not be taken for it."""
    before = {path: path.read_bytes() for path in (tmp_path / "base").rglob("*") if path.suffix == ".ndjson"}

    done = subprocess.run(
        ["sh", "-c", '"$@" >&- 2>&-', "sh", *_PROGRAM, "runs"], capture_output=True, text=True, timeout=60
    )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert before == {path: path.read_bytes() for path in before}
