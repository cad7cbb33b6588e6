"""Read Python files and record it: an agent of the kind that the platform is for, written as its users write theirs."""

from __future__ import annotations

import ast
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..client import TelemetryClient
from ..tracking import RunContext
from .sample import Section

__all__ = ["facts_of", "parse_strictly", "survey"]

Step = Callable[[Path, bool], Any]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FAULTS = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What ast.parse() raises for files that are none of its own: MemoryError for code nested too deep for its stack."""


def facts_of(path: Path) -> dict[str, int]:
    """Return counts of lines, functions and classes in a Python file; raises one of `_FAULTS`, or OSError."""
    source = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old escapes in other people's files
        kinds = Counter(map(type, ast.walk(ast.parse(source, str(path)))))
    functions = sum(kinds[kind] for kind in _FUNCTIONS)
    return {"lines": source.count(b"\n"), "functions": functions, "classes": kinds[ast.ClassDef]}


def survey(client: TelemetryClient, folder: Path, sections: Sequence[Section], step: Step) -> Iterator[str]:
    """
    Read all *sections* in a run of its own each, inside one run for the whole; yield the ids as the runs end.

    Args:
        step: called with each file that was read, and whether it could be parsed.
    """
    about = {"input_summary": f"{sum(len(section.files) for section in sections)} files of {folder}"}
    with client.track_run("demo-survey", "read a library", **about) as whole:
        totals: Counter[str] = Counter()
        for section in sections:
            with whole.child(f"parse {section.name}", agent_name="demo-parser") as run:
                counts = _parse_section(run, folder, section, step)
                _end(client, run, counts)
            totals.update(counts)
            yield run.run_id
        whole.set_metrics(**totals, items_discovered=len(sections), items_succeeded=len(sections))
    yield whole.run_id


def _parse_section(run: RunContext, folder: Path, section: Section, step: Step) -> Counter[str]:
    counts: Counter[str] = Counter(files=0, broken=0)
    for path in section.files:
        facts = _parse_one(run, path, path.relative_to(folder).as_posix())
        counts.update({"broken": 1} if facts is None else facts, files=1)
        step(path, facts is not None)
    return counts


def _parse_one(run: RunContext, path: Path, name: str) -> dict[str, int] | None:
    began = time.perf_counter()
    try:
        facts = facts_of(path)
    except (*_FAULTS, OSError) as error:
        run.log_event("file_failed", {"path": name, "error": f"{type(error).__name__}: {error}"})
        return None
    took_ms = round((time.perf_counter() - began) * 1000, 1)
    run.log_event("file_parsed", {"path": name, **facts, "duration_ms": took_ms})
    return facts


def _end(client: TelemetryClient, run: RunContext, counts: Counter[str]) -> None:
    files, broken = counts["files"], counts["broken"]
    run.set_metrics(**counts, items_discovered=files, items_succeeded=files - broken, items_failed=broken)
    if broken:
        summary = f"{broken} of {files} files cannot be parsed"
        client.end_run(run.run_id, "partial", output_summary=summary)


def parse_strictly(client: TelemetryClient, path: Path) -> str:
    """Read a file that cannot be read, in a run that fails of it; return the id of the run."""
    about = {"input_summary": str(path)}
    # Suppressed out here is what was to be shown: by then the run has failed, with this error.
    with suppress(*_FAULTS, OSError), client.track_run("demo-strict", "parse or fail", **about) as run:
        run.log_event("file_opened", {"path": str(path)})
        facts_of(path)
    return run.run_id
