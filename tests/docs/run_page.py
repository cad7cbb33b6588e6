"""Run the steps of a page one after the other in a fresh process, and tell what each of them printed."""

import code
import contextlib
import io
import json
import os
import re
import subprocess
import sys

_COLUMNS = 100
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
_ID = re.compile(r"(?<![\w.])[0-9a-f]{8}\b")


class Reader(code.InteractiveInterpreter):
    """Somebody who types the samples of a page into one session of Python and one terminal."""

    def __init__(self) -> None:
        super().__init__({"__name__": "__main__"})
        self._error = ""
        self._ids: dict[str, str] = {}

    def write(self, data: str) -> None:
        """Take a traceback."""
        self._error += data

    def follow(self, kind: str, place: str, text: str, shown: str | None) -> dict[str, str]:
        """Do one step; ids of runs on the page stand for those that were made here."""
        text = _ID.sub(lambda match: self._ids.get(match[0], match[0]), text)
        told = self._python(text, place) if kind == "python" else run_in_terminal(text)
        if shown is not None:
            self._ids.update(zip(_ID.findall(shown), _ID.findall(told["out"]), strict=False))
        return told

    def _python(self, text: str, place: str) -> dict[str, str]:
        self._error = ""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            try:
                self.runcode(compile(text, place, "exec"))
            except (SystemExit, SyntaxError) as error:
                self._error = repr(error)
        return {"out": out.getvalue(), "error": self._error}


def run_in_terminal(command: str) -> dict[str, str]:
    """Run *command* in a shell whose output is a terminal of 100 columns; colours are taken out."""
    ours, theirs = os.openpty()
    environment = os.environ | {"COLUMNS": str(_COLUMNS), "NO_COLOR": "1", "TERM": "xterm"}
    shell = ["bash", "-euo", "pipefail", "-c", command]
    process = subprocess.Popen(shell, stdout=theirs, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    out = _all_from(ours)
    _, complaints = process.communicate(timeout=60)
    error = "" if process.returncode == 0 else f"exit {process.returncode}: {complaints.decode()}{out}"
    return {"out": out, "error": error}


def _all_from(terminal: int) -> str:
    chunks = []
    try:
        while chunk := os.read(terminal, 65536):
            chunks.append(chunk)
    except OSError:  # EIO is the end of what a terminal's other side wrote
        chunks.append(b"")
    os.close(terminal)
    return _STYLES.sub("", b"".join(chunks).decode().replace("\r\n", "\n"))


def main() -> None:
    """Read the steps from standard input and write one result a step."""
    steps = json.load(sys.stdin)
    if any("import given" in text for _, _, text, _ in steps):
        be_patient()
    reader = Reader()
    json.dump([reader.follow(*step) for step in steps], sys.stdout)


def be_patient() -> None:
    """Let examples take what they take: hypothesis fails on a machine that is busy with other tests."""
    from hypothesis import HealthCheck, settings

    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")


if __name__ == "__main__":
    main()
