"""Run pieces of a benchmark in a fresh Python, where memory and time can be told apart from the benchmark's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["answer_of", "start"]

_HERE = Path(__file__).resolve().parents[1]


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start `children/PROGRAM.py` with *arguments*; what it prints last is JSON."""
    command = [sys.executable, str(_HERE / "children" / f"{program}.py"), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answer_of(program: str, *arguments: object) -> Any:
    """Run `children/PROGRAM.py` to its end and return what it printed last."""
    with start(program, *arguments) as child:
        output, _ = child.communicate()
    if child.returncode:
        raise RuntimeError(f"children/{program}.py ended with {child.returncode}")
    return json.loads(output.splitlines()[-1])
