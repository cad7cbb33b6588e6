"""Run the steps of a page one after the other in a fresh process, and tell what each of them printed."""

import contextlib
import io
import json
import subprocess
import sys
import traceback


def run_python(code: str, place: str, names: dict[str, object]) -> dict[str, object]:
    """Execute *code* as the next lines of one program whose names are *names*."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(code, place, "exec"), names)
        except BaseException:
            return {"out": out.getvalue(), "error": traceback.format_exc()}
    return {"out": out.getvalue(), "error": ""}


def run_command(command: str) -> dict[str, object]:
    """Run *command* in a shell, as a reader of the page would."""
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    return {"out": done.stdout, "error": "" if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"}


def main() -> None:
    """Read the steps from standard input and write one result a step."""
    names: dict[str, object] = {"__name__": "__main__"}
    results = []
    for kind, place, text in json.load(sys.stdin):
        results.append(run_python(text, place, names) if kind == "python" else run_command(text))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
