"""Run the steps of a page one after the other in a fresh process, and tell what each of them printed."""

import code
import contextlib
import io
import json
import subprocess
import sys


class Reader(code.InteractiveInterpreter):
    """Somebody who types the samples of a page into one session of Python; `error` is what went wrong last."""

    error = ""

    def write(self, data: str) -> None:
        """Take a traceback."""
        self.error += data

    def python(self, text: str, place: str) -> dict[str, str]:
        """Execute *text* as the next lines of the session."""
        self.error = ""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            try:
                self.runcode(compile(text, place, "exec"))
            except (SystemExit, SyntaxError) as error:
                self.error = repr(error)
        return {"out": out.getvalue(), "error": self.error}


def run_command(command: str) -> dict[str, str]:
    """Run *command* in a shell, as a reader of the page would."""
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    return {"out": done.stdout, "error": "" if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"}


def main() -> None:
    """Read the steps from standard input and write one result a step."""
    reader = Reader({"__name__": "__main__"})
    results = [
        reader.python(text, place) if kind == "python" else run_command(text)
        for kind, place, text in json.load(sys.stdin)
    ]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
