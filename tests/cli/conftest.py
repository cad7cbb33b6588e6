"""Lend the command line tests a desk whose clock, terminal and store are known, and a way to run the real command."""

import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from telemetry.core.cli.desk import Desk
from telemetry.core.cli.main import run as run_cli
from telemetry.core.cli.screen import Screen
from telemetry.plugins import RunEvent, RunQuery, RunRecord

NOW = datetime(2026, 11, 24, 19, 30, 0, tzinfo=UTC)
_HAS_ERROR = ("error_summary!=null",)
_PICTURES = Path(__file__).parent / "pictures"
_ENTRY = {"group": "telemetry.sinks", "module": "json", "attribute": "loads", "distribution": "acme", "version": "1.0"}
_TRACEBACK = """Traceback (most recent call last):
  File "/srv/agents/summarizer.py", line 41, in summarize
    return parts[7]
           ~~~~~^^^
IndexError: list index out of range
"""


def ago(**span: float) -> str:
    """Return the stored text of a time before NOW."""
    return (NOW - timedelta(**span)).isoformat(timespec="microseconds")


def after(start: str, duration_ms: int) -> str:
    """Return the stored text of a time after *start*."""
    return (datetime.fromisoformat(start) + timedelta(milliseconds=duration_ms)).isoformat(timespec="microseconds")


def a_run(run_id: str, agent: str, job: str | None, start: str, duration_ms: int | None, **fields: Any) -> RunRecord:
    """Return a run; one without a duration is running."""
    ending = {"status": "running"}
    if duration_ms is not None:
        ending = {"status": "success", "end_time": after(start, duration_ms), "duration_ms": duration_ms}
    return RunRecord(
        **{"run_id": run_id, "agent_name": agent, "job_type": job, "start_time": start, "host": "web-1"}
        | ending
        | fields
    )


def some_runs() -> list[RunRecord]:
    """Return runs of every kind, the newest first."""
    return [
        a_run("20261124T192830Z-watcher-0f1e2d3c", "watcher", "poll", ago(seconds=90), None),
        a_run(
            "20261124T192700Z-summarizer-5e6f7a8b", "summarizer", "summarize papers", ago(minutes=3), 35,
            status="failed", error_summary="IndexError: list index out of range", items_discovered=12,
            items_succeeded=7, items_failed=1, attributes={"traceback": _TRACEBACK, "model": "small"},
            parent_run_id="20261124T192500Z-nightly-1a2b3c4d",
        ),
        a_run(
            "20261124T192500Z-nightly-1a2b3c4d", "nightly", "import", ago(minutes=5), 84_213,
            items_discovered=1204, items_succeeded=1204, output_summary="1,204 pages read", product="search",
            metrics={"files": 1204, "tokens_in": 48_211, "cost_usd": 0.0731, "model": "small"}, agent_owner="team a",
        ),
        a_run(
            "20261123T220000Z-nightly-9c8b7a6d", "nightly", "import", ago(hours=21.5), 91_004, status="partial",
            items_discovered=1190, items_succeeded=1100, items_failed=90, status_detail="timeout",
            metrics={"files": 1190, "tokens_in": 51_000, "cost_usd": 0.08},
        ),
        a_run(
            "20261117T030000Z-nightly-77777777", "nightly", "import", ago(days=7, hours=16), 12_000_000,
            status="failed", verdict=True, status_detail="killed by SIGKILL",
            error_summary="the process (pid 4711) died in mid run: killed by SIGKILL",
        ),
        a_run("backfill-2025", "日本語エージェント", None, "2025-11-01T08:00:00+00:00", 300_000_000,
              output_summary="all \x1b[31mred\x1b[0m\nlines"),
    ]  # fmt: skip


def some_events(runs: list[RunRecord]) -> list[RunEvent]:
    """Return events of two of the runs: few of one, many of another."""
    failed, nightly = runs[1], runs[2]
    few = [
        RunEvent(failed.run_id, "tool_started", after(failed.start_time, 2), {"tool": "fetch"}),
        RunEvent(failed.run_id, "tool_ended", after(failed.start_time, 30), {"tool": "fetch", "duration_ms": 28.0}),
    ]
    many = [
        RunEvent(nightly.run_id, "page_read", after(nightly.start_time, 70 * number), {"number": number, "bytes": 900})
        for number in range(40)
    ]
    return [*many, *few]


@define
class StoreDouble:
    """A store in memory, that answers like a real one; of `where` it knows one condition."""

    stored: list[RunRecord] = field(factory=some_runs)
    stored_events: list[RunEvent] | None = None
    linked: dict[str, list[dict[str, Any]]] = field(factory=dict)
    is_closed: bool = False

    def __attrs_post_init__(self) -> None:
        if self.stored_events is None:
            self.stored_events = some_events(self.stored) if len(self.stored) > 2 else []

    def runs(self, query: RunQuery) -> Iterator[RunRecord]:
        assert query.where in ((), _HAS_ERROR), "the double knows no other conditions"
        found = sorted(filter(lambda run: self._is_asked(query, run), self.stored), key=lambda run: run.start_time)
        ordered = found if query.oldest_first else found[::-1]
        if query.after is not None:
            key = query.after
            ordered = [run for run in ordered if (run.start_time, run.run_id) < key]
        return iter(ordered[: query.limit])

    def _is_asked(self, query: RunQuery, run: RunRecord) -> bool:
        pairs = (
            (query.agent, run.agent_name), (query.job, run.job_type), (query.status, run.status),
            (query.parent_run_id, run.parent_run_id),
        )  # fmt: skip
        is_in_time = (query.since or "") <= run.start_time < (query.until or "9")
        has_error = run.error_summary is not None or query.where != _HAS_ERROR
        return is_in_time and has_error and all(wanted in (None, value) for wanted, value in pairs)

    def get_run(self, run_id: str) -> RunRecord | None:
        return next((run for run in self.stored if run.run_id == run_id), None)

    def find_ids(self, part: str, limit: int = 10) -> list[str]:
        found = [run.run_id for run in self.stored if run.run_id.startswith(part) or run.run_id.endswith(part)]
        return [part] if part in found else found[:limit]

    def events(self, run_id: str | None = None, event_type: str | None = None) -> Iterator[RunEvent]:
        for event in self.stored_events or ():
            if run_id in (None, event.run_id) and event_type in (None, event.event_type):
                yield event

    def commits(self, run_id: str) -> list[dict[str, Any]]:
        return self.linked.get(run_id, [])

    def stats(self) -> dict[str, Any]:
        counts = Counter(run.status for run in self.stored)
        return {"total_runs": len(self.stored), "status_counts": dict(counts), "pending_api_posts": 0}

    def summary(self, by: str, query: RunQuery) -> list[dict[str, Any]]:
        keys = {"agent": "agent_name", "job": "job_type", "status": "status", "error": "error_summary"}
        groups: dict[Any, list[RunRecord]] = {}
        for run in self.runs(evolve(query, limit=None)):
            key = run.start_time[:10] if by == "day" else getattr(run, keys[by])
            if by == "error" and key is None:
                continue
            groups.setdefault(key, []).append(run)
        return [_summarized(key, runs) for key, runs in groups.items()]

    def close(self) -> None:
        self.is_closed = True


def _summarized(key: Any, runs: list[RunRecord]) -> dict[str, Any]:
    counts = {
        status: sum(run.status == status for run in runs) for status in ("running", "success", "failed", "partial")
    }
    durations = sorted(run.duration_ms for run in runs if run.duration_ms is not None)
    ended = len(runs) - counts["running"]
    return {
        "key": key, "runs": len(runs), **counts, "failure_rate": counts["failed"] / ended if ended else 0.0,
        "p50_ms": durations[(len(durations) - 1) // 2] if durations else None,
        "p95_ms": durations[-1] if durations else None,
    }  # fmt: skip


@define
class Answer:
    """What a command line wrote, and its exit code."""

    code: int
    out: str
    err: str


@define
class Bench:
    """Run command lines in this process, on a screen of any kind, over a store of the test's."""

    store: StoreDouble = field(factory=StoreDouble)
    base_dir: Path | None = None

    def screen(self, **traits: Any) -> Screen:
        """Return a screen that writes into memory; its clock stands at NOW."""
        return Screen(io.StringIO(), io.StringIO(), **{"now": lambda: NOW, "width": 120} | traits)

    def run(self, *arguments: str, on: Screen | None = None) -> Answer:
        """Run `telemetry` with *arguments*; the answer comes in plain columns unless *on* is a terminal."""
        screen = on or self.screen()
        desk = Desk(screen, base_dir=self.base_dir, open_store=lambda config: self.store)
        code = run_cli(arguments, desk)
        return Answer(code, screen.out.getvalue(), screen.err.getvalue())  # type: ignore[attr-defined]

    def show(self, *arguments: str, **traits: Any) -> Answer:
        """Run `telemetry` with *arguments* on a terminal."""
        return self.run(*arguments, on=self.screen(**{"is_terminal": True} | traits))


@pytest.fixture
def bench() -> Bench:
    """Return a bench over runs of every kind."""
    return Bench()


@pytest.fixture
def real_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench over the real store in an empty base directory, which is also what the environment names."""
    base = tmp_path / "base"
    base.mkdir(mode=0o700)
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(base))
    monkeypatch.chdir(tmp_path)

    class RealBench(Bench):
        def run(self, *arguments: str, on: Screen | None = None) -> Answer:
            screen = on or self.screen(now=lambda: datetime.now().astimezone())
            code = run_cli(arguments, Desk(screen))
            return Answer(code, screen.out.getvalue(), screen.err.getvalue())  # type: ignore[attr-defined]

        def show(self, *arguments: str, **traits: Any) -> Answer:
            real = {"is_terminal": True, "now": lambda: datetime.now().astimezone()}
            return self.run(*arguments, on=self.screen(**real | traits))

    return RealBench(base_dir=base)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that pretends that further entry points are installed."""
    from telemetry.plugins import discovery
    from telemetry.plugins.entry_points import PluginEntry

    found = list(discovery.scanned_entries())

    def install(**fields: str) -> None:
        found.append(PluginEntry(**_ENTRY | fields))
        monkeypatch.setattr(discovery, "scanned_entries", lambda: tuple(found))

    return install


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs the real command in a process of its own, with pipes for all three streams."""

    def run_command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **options.pop("env", {})}
        program = [sys.executable, "-P", "-c", "from telemetry.core.cli.main import main; main()", *arguments]
        return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, **options)

    return run_command


@pytest.fixture
def picture() -> Callable[[str, str], None]:
    """
    Return what compares a text with the stored picture of this name.

    Escape characters stand as `ESC` in the file. With UPDATE_PICTURES=1 the text becomes the picture; look at it.
    """

    def compare(name: str, text: str) -> None:
        path = _PICTURES / f"{name}.txt"
        shown = text.replace("\x1b", "ESC")
        if os.environ.get("UPDATE_PICTURES"):
            path.write_text(shown, "utf-8")
        assert path.read_text("utf-8") == shown

    return compare


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of whoever runs the tests that would change colours or widths."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM"):
        monkeypatch.delenv(name, raising=False)
