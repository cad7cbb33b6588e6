"""Make a virtual environment for each peer out of the package index, with the Python that runs the benchmark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

__all__ = ["PEERS", "Environments", "install_checkout"]

PEERS = {
    "structlog": ("structlog", "orjson"),
    "opentelemetry": ("opentelemetry-sdk",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""What each peer is made of; the newest releases that the index gives."""

_PATIENCE_S = 900
_ROOT = Path(__file__).resolve().parents[2]
_LEFT_OUT = (".git", "build", "*.egg-info", "__pycache__", "docs", "tests", "benchmarks", ".tox")


def install_checkout(place: Path) -> str:
    """Install this checkout into a fresh environment at *place*, as a user has it, and return its interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        source = shutil.copytree(_ROOT, Path(folder) / "source", ignore=shutil.ignore_patterns(*_LEFT_OUT))
        venv.create(place, clear=True)
        python = str(_python_of(place))
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, str(source)], check=True, stderr=subprocess.DEVNULL)
    return python


def _python_of(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


class Environments:
    """
    The environments below *directory*, made when they are first asked for and kept for the next time.

    Attributes:
        skipped: why a peer is left out, by its name.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.skipped: dict[str, str] = {}

    def python(self, peer: str) -> str | None:
        """Return the interpreter that has *peer*; None when it cannot be installed, which `skipped` then explains."""
        if peer in self.skipped:
            return None
        place = self._directory / peer
        python = _python_of(place)
        if not (place / "complete").exists() and not self._make(peer, place, python):
            return None
        return str(python)

    def _make(self, peer: str, place: Path, python: Path) -> bool:
        print(f"    making an environment for {peer}: {', '.join(PEERS[peer])}", file=sys.stderr, flush=True)
        venv.create(place, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[peer]]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            self.skipped[peer] = f"pip needed over {_PATIENCE_S} s"
            return False
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["pip said nothing"]
            self.skipped[peer] = lines[-1][:200]
            return False
        (place / "complete").touch()
        return True

    def versions(self, peer: str) -> str:
        """Return the installed releases of *peer* as text, empty when it is skipped."""
        python = self.python(peer)
        if python is None:
            return ""
        names = ", ".join(map(repr, PEERS[peer]))
        program = f"from importlib.metadata import version as v; print(*(n + ' ' + v(n) for n in [{names}]), sep=', ')"
        return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
