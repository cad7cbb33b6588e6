"""
Count what is left of 100 records when their process is killed with SIGKILL directly after the last call.

    python compare.py [FOLDER]

Each library is installed from the package index into an environment of its own in FOLDER (a temporary one when left
out), used as its own introduction shows and with its defaults, and looked for in everything that it wrote. Each agent
also runs once to its natural end: what is found then shows that the counting works. Linux and macOS.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_SETTLE_S = 15.0  # longer than every delay and heartbeat of these libraries: what a helper process holds may still come
_RECORD = re.compile(rb"(?<!\d)90000(\d\d)(?!\d)")
_PEERS = {
    "local_telemetry": "local-telemetry",
    "opentelemetry_sdk": "opentelemetry-sdk",
    "trackio": "trackio",
    "wandb_offline": "wandb",
    "sacred": "sacred",
}


def installed(name: str, folder: Path) -> tuple[Path | None, str]:
    """Return the Python that has the library, and its version; None and the reason where it cannot be installed."""
    place = folder / name
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    wanted = checkout(folder) if name == "local_telemetry" else _PEERS[name]
    done = subprocess.run([python, "-m", "pip", "install", "-q", wanted], capture_output=True, text=True)
    if done.returncode:
        return None, f"not installed: {done.stderr.strip().splitlines()[-1]}"
    program = f"from importlib.metadata import version; print(version({_PEERS[name]!r}))"
    told = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    return python, told.stdout.strip()


def checkout(folder: Path) -> Path:
    """Return a copy of this checkout: pip leaves its own files where it builds."""
    copy = folder / "checkout"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    return Path(shutil.copytree(_HERE.parents[2], copy, ignore=left_out, dirs_exist_ok=True))


def records_left(python: Path, name: str, ending: str) -> int:
    """Run the agent in a folder of its own to its *ending* (`exit` or `kill`), and count the records in its files."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        agent = _HERE / "agents" / f"{name}.py"
        subprocess.run([python, agent, ending], cwd=folder, capture_output=True, timeout=120)
        if ending == "kill":
            time.sleep(_SETTLE_S)
        files = (path for path in Path(folder).rglob("*") if path.is_file())
        return len({number for path in files for number in _RECORD.findall(path.read_bytes())})


def tell(line: str) -> None:
    """Write a line at once, for each of them takes a while."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """Tell one line a library."""
    tell(f"{'library':20}{'version':12}{'ended by itself':>18}{'killed':>12}")
    for name in _PEERS:
        python, version = installed(name, folder)
        if python is None:
            tell(f"{name:20}{version}")
            continue
        found = [f"{records_left(python, name, ending)} of 100" for ending in ("exit", "kill")]
        tell(f"{name:20}{version:12}{found[0]:>18}{found[1]:>12}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
