"""Run every sample of code and every command on the pages, and compare what they print with what the page shows."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

pytestmark = pytest.mark.once

# What differs from run to run, and what it is replaced by before two outputs are compared.
_VARYING = (
    (re.compile(r"\b\d{8}T\d{6}Z-([\w.-]+?)-[0-9a-f]{8}\b"), r"<run of \1>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00|Z)?"), "<time>"),
    (re.compile(r"\b\d{2}:\d\d:\d\d(\.\d+)?\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "<id or day>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s)\b"), "<duration>"),
    (re.compile(r"(?<=[\"'])[0-9a-f]{12}(?=[\"'])"), "<writer>"),
    (re.compile(r"^( +host +)\S+$", re.MULTILINE), r"\1<host>"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
)
# A command goes on behind a backslash at the end of its line; what stands below it is its output.
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n?)*)", re.MULTILINE)
_CUT_DIFFERS_BY = 12
_REASONS = ("not run: ", "needs: ", "output", "line: ")


@frozen
class Step:
    """A sample to run, and what the page says it prints; None where the page shows nothing."""

    kind: str
    place: str
    text: str
    shown: str | None
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The modules and programs that this step needs and this machine has not."""
        return [name for name in self.needs if not shutil.which(name) and not importlib.util.find_spec(name)]


def plain(text: str, home: Path | str) -> str:
    """Return *text* without what differs from run to run."""
    text = text.replace(str(home), "~")
    for pattern, stand_in in _VARYING:
        text = pattern.sub(stand_in, text)
    return text.strip()


def with_cuts_of(shown: str, printed: str) -> str:
    """Return *printed* with its cut lines ended where *shown* ends them: a wider time leaves less room for a text."""
    lines = printed.splitlines()
    for index, (ours, theirs) in enumerate(zip(shown.splitlines(), lines, strict=False)):
        length = min(len(ours), len(theirs)) - _CUT_DIFFERS_BY
        if "…" in (ours[-1:], theirs[-1:]) and ours[:length] == theirs[:length]:
            lines[index] = ours
    return "\n".join(lines)


def steps_of(blocks) -> Iterator[Step]:
    """Yield the steps of a page in their order."""
    for index, block in enumerate(blocks):
        if block.note.startswith("not run: ") or block.caption:
            continue
        needs = tuple(block.note.removeprefix("needs: ").split()) if block.note.startswith("needs: ") else ()
        if block.language == "python":
            following = blocks[index + 1 : index + 2]
            shown = next((block.text for block in following if block.note == "output"), None)
            yield Step("python", block.place, block.text, shown, needs)
        if block.language == "console":
            for command, shown in _COMMAND.findall(block.text):
                yield Step("console", block.place, command, shown or None, needs)


@pytest.fixture
def reader(tmp_path: Path) -> dict[str, str]:
    """Return the environment of somebody who reads the pages: an empty home with ~/.telemetry, our command on PATH."""
    (tmp_path / ".telemetry").mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PATH": path, "PYTHONWARNINGS": "error"}
    return os.environ | variables | {"TZ": zone_of_noon(time.time())}


def zone_of_noon(moment: float) -> str:
    """Return a time zone in which *moment* lies between noon and one: of yesterday's runs a list shows the date."""
    return f"NOON{time.gmtime(moment).tm_hour - 12:+d}"  # in POSIX's words, where a plus lies west of Greenwich


def run(steps: list[Step], cwd: Path, environment: dict[str, str]) -> list[dict[str, str]]:
    """Return what each step printed; they share one process of Python and one home."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_page.py"))],
        input=json.dumps([(step.kind, step.place, step.text, step.shown) for step in steps]),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_samples_of_a_page_run(any_page, any_page_blocks, reader, tmp_path):
    """In their order, in one process, with the output that the page shows."""
    steps = [step for step in steps_of(any_page_blocks) if not step.missing]
    work = tmp_path / "work"
    work.mkdir()

    results = run(steps, work, reader)

    for step, result in zip(steps, results, strict=True):
        assert not result["error"], f"{step.place}: {result['error']}"
        if step.shown is not None:
            shown, printed = plain(step.shown, "~"), plain(result["out"], tmp_path)
            assert shown == with_cuts_of(shown, printed), step.place


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is fixed there")
@pytest.mark.parametrize("hour", range(24))
def test_no_page_is_read_at_midnight(hour, monkeypatch):
    """Whenever the tests run, a sample's runs are all of one day."""
    moment = 1_795_000_000 // 86_400 * 86_400 + hour * 3_600 + 3_599
    monkeypatch.setenv("TZ", zone_of_noon(moment))
    time.tzset()

    local = time.localtime(moment)

    monkeypatch.undo()
    time.tzset()
    assert (12, 59) == (local.tm_hour, local.tm_min)


def test_notes_beside_blocks_are_known(any_page_blocks):
    """A misspelt note would leave a sample out, or an output uncompared, without a word."""
    strangers = [
        f"{block.place}: {block.note}"
        for block in any_page_blocks
        if block.note and not block.note.startswith(_REASONS) and not block.note.startswith("command: ")
    ]

    assert [] == strangers


@pytest.mark.parametrize("broken", ["raise SystemExit", "1 / 0", "import telemetry.nothing"])
def test_broken_sample_is_found(broken, reader, tmp_path):
    """The test above does not pass over a sample that fails."""
    [result] = run([Step("python", "page.md:1", broken, None)], tmp_path, reader)

    assert result["error"]


def test_another_output_is_found():
    """A text that was cut may end a little earlier or later, and that is all that may differ."""
    shown = "RUN NOTE\n<id> ValueError: order has no custo…"

    assert shown == with_cuts_of(shown, "RUN NOTE\n<id> ValueError: order has no cus…")
    assert shown != with_cuts_of(shown, "RUN NOTE\n<id> TypeError: order has no custo…")
    assert shown != with_cuts_of(shown, "RUN NOTE")


def test_failing_command_is_found(reader, tmp_path):
    """Nor over a command that fails, also on the left of a pipe."""
    [result] = run([Step("console", "page.md:1", "telemetry no-such-command | cat", None)], tmp_path, reader)

    assert result["error"].startswith("exit ")
