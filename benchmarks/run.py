"""
Measure everything that the page "Benchmarks" of the documentation shows, and write that page.

    python benchmarks/run.py [--only NAME ...] [--quick] [--here] [--page] [--list] [--directory DIR]

The checkout is installed into an environment of its own, as a user has it, and measured there. Each benchmark leaves
its result in benchmarks/results/; the page is made of all that lie there. Exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attrs import evolve
from harness.environments import Environments, install_checkout
from harness.figures import Section, load
from harness.machine import circumstances, load_average
from harness.page import write_page
from harness.setting import Setting

CASES = (
    *("events", "parts", "threads", "processes", "runs", "api", "fresh_store", "start_up", "rebuild", "big_store"),
    *("memory", "disk", "reader", "growth"),
)
_HERE = Path(__file__).resolve().parent
_RESULTS = _HERE / "results"
_HOME = _HERE.parent / "build" / "benchmarks"  # not below benchmarks/, all of which is shipped with the sources
_QUICK = 0.05


def measured(name: str, setting: Setting) -> Section:
    """Run the benchmark *name* and return what it found, with the circumstances."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    facts, began = circumstances(setting.directory), time.monotonic()
    section: Section = importlib.import_module(f"cases.{name}").measure(setting)
    facts |= {"load_after": load_average(), "took_s": f"{time.monotonic() - began:.0f}"}
    return evolve(section, circumstances=facts)


def show(section: Section) -> None:
    """Print the figures of *section*."""
    print(f"{section.title} ({section.circumstances['took_s']} s, load {section.circumstances['load']})")
    for figure in section.figures:
        sign = ">=" if figure.is_at_least else "<="
        verdict = (
            "" if figure.limit is None else f"asked {sign} {figure.limit:g}: {'ok' if figure.is_met else 'MISSED'}"
        )
        print(f"    {figure.work:<55} {figure.value:>10.3f} {figure.unit} {figure.against:<32} {verdict}")


def options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, metavar="NAME", help="measure only these")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the work; the page stays as it is")
    parser.add_argument("--here", action="store_true", help="measure the telemetry of this Python, installed or not")
    parser.add_argument("--page", action="store_true", help="write the page from the results that are there, and stop")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and stop")
    parser.add_argument("--directory", type=Path, help="where to write; a temporary place if left out")
    parser.add_argument("--environments", type=Path, default=_HOME, help="where to install the peers")
    return parser.parse_args()


def main() -> int:
    """Run the benchmarks, in an environment of our own first of all."""
    asked = options()
    if asked.list:
        print("\n".join(CASES))
        return 0
    if asked.page:
        return write()
    if not asked.here:
        python = install_checkout(asked.environments.resolve() / "ours")
        return subprocess.run([python, __file__, *sys.argv[1:], "--here"], check=False).returncode
    environments = Environments(asked.environments.resolve())
    is_met = True
    for name in asked.only:
        with tempfile.TemporaryDirectory(dir=asked.directory, prefix="bench-") as folder:
            section = measured(name, Setting(Path(folder).resolve(), environments, _QUICK if asked.quick else 1.0))
        show(section)
        is_met &= all(figure.is_met for figure in section.figures)
        if not asked.quick:
            section.save(_RESULTS)
    if not asked.quick:
        write()
    return 0 if is_met else 1


def write() -> int:
    """Write the page of all results that are there."""
    found = [_RESULTS / f"{name}.json" for name in CASES]
    write_page([load(path) for path in found if path.exists()], _HERE.parent / "docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
