"""Let Hypothesis look for a history after which the database and the journal do not say the same."""

import gzip
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, RunEvent, RunQuery, RunRecord, encode_line
from telemetry.sinks.sqlite.catch_up import EVENTS, RUNS, CatchUp
from telemetry.sinks.sqlite.commits import save_commit
from telemetry.sinks.sqlite.connection import Damaged, Database, Opened
from telemetry.sinks.sqlite.store import SqliteStore
from telemetry.sinks.sqlite.writes import write_delivery, write_run

pytestmark = pytest.mark.once

RUN_IDS = [f"20261123T10000{number}Z-agent{number}-0000000{number}" for number in range(3)]
WRITERS = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]
IDENTITY = ("agent_name", "agent_owner", "job_type", "trigger_type", "start_time", "host", "parent_run_id")
RESULT = ("end_time", "status", "duration_ms", "error_summary", "output_summary", "status_detail", "verdict")
DEFAULTS = {field.name: field.default for field in attrs.fields(RunRecord)}
BOOKKEEPING = ("created_at", "updated_at", "schema_version")
OPEN = [
    name
    for name in DEFAULTS
    if name not in (*IDENTITY, *RESULT, *BOOKKEEPING, "run_id", "metrics", "attributes")
    and name not in ("writer", "seq")
]


class Killed(Exception):
    """The process died here."""


class Oracle:
    """What the lines of a journal say, by the words of the contract, in plain dicts."""

    def __init__(self) -> None:
        """Begin with an empty journal."""
        self.runs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[tuple[str, str, Any]]] = {}
        self.commits: dict[str, set[str]] = {}
        self._seen: set[tuple[str | None, int | None]] = set()

    def read(self, line: Any) -> None:
        """Take one more line into account."""
        run = self.runs.setdefault(line.run_id, guess(line.run_id))
        if isinstance(line, RunRecord):
            self._read_run(run, line.to_dict())
        elif isinstance(line, RunEvent):
            self._read_event(line)
        elif isinstance(line, CommitLink):
            self.commits.setdefault(line.run_id, set()).add(line.commit_hash)
        elif isinstance(line, MetricsUpdate):
            self._read_metrics(run, line)
        else:
            self._read_delivery(run, line)

    def _read_run(self, run: dict[str, Any], line: dict[str, Any]) -> None:
        is_end = line["status"] != "running"
        is_first_end = is_end and (run["status"] == "running" or (run["verdict"] and not line["verdict"]))
        for name in IDENTITY:
            is_told = line[name] not in (None, "unknown")
            if is_told and (not is_end or run["is_guess"] or run[name] is None):
                run[name] = line[name]
        has_the_say = is_first_end or (not is_end and run["status"] == "running")
        for name in OPEN:
            if line[name] != DEFAULTS[name] and (has_the_say or run[name] == DEFAULTS[name]):
                run[name] = line[name]
        for name in ("metrics", "attributes"):
            run[name] = {**run[name], **line[name]} if has_the_say else {**line[name], **run[name]}
        if has_the_say:
            run.update(writer=line["writer"], seq=line["seq"])
        if is_first_end:
            run.update({name: line[name] for name in RESULT})
        run["is_guess"] = False

    def _read_event(self, event: RunEvent) -> None:
        if (event.writer, event.seq) not in self._seen:
            self._seen.add((event.writer, event.seq))
            self.events.setdefault(event.run_id, []).append((event.event_type, event.timestamp, event.payload))

    @staticmethod
    def _read_metrics(run: dict[str, Any], line: MetricsUpdate) -> None:
        is_in_the_end_line = run["status"] != "running" and run["writer"] == line.writer and line.seq < run["seq"]
        if not is_in_the_end_line:
            run["metrics"] = {**run["metrics"], **line.metrics}
            run.update(line.fields)

    @staticmethod
    def _read_delivery(run: dict[str, Any], line: DeliveryReport) -> None:
        run["api_retry_count"] = max(run["api_retry_count"], line.attempts)
        if line.ok:
            run.update(api_posted=True, api_posted_at=line.timestamp)


def guess(run_id: str) -> dict[str, Any]:
    """Return what the id of a run tells of it."""
    known = RunRecord(
        run_id=run_id,
        agent_name=run_id.split("-")[1],
        start_time=f"2026-11-23T10:00:0{run_id[14]}.000000+00:00",
        trigger_type="manual",
    )
    return {**known.to_dict(), "is_guess": True}


def comparable(run: dict[str, Any]) -> dict[str, Any]:
    """Return *run* without what a database keeps for itself."""
    return {name: value for name, value in run.items() if name not in (*BOOKKEEPING, "is_guess")}


class Journal:
    """The files that a few writers leave behind, with the faults that they leave in them."""

    def __init__(self, folder: Path) -> None:
        """Begin in an empty *folder*."""
        self.folder = folder
        folder.mkdir(parents=True)
        self.lines: list[Any] = []
        self._in_file: list[Any] = []
        self._day = 23
        self._number = 0

    @property
    def path(self) -> Path:
        """The file that lines go to now."""
        number = f".r{self._number}" if self._number else ""
        return self.folder / f"events_202611{self._day}{number}.ndjson"

    def append(self, line: Any) -> None:
        """Write *line*; a torn line before it gets its newline first."""
        self._write(encode_line(line))
        self._keep(line)

    def tear(self, line: Any, cut: int) -> None:
        """Die in the middle of writing *line*; it counts if all but its newline is there."""
        text = encode_line(line)
        cut = min(cut, len(text) - 1)
        self._write(text[:cut])
        if cut == len(text) - 1:
            self._keep(line)

    def _write(self, text: bytes) -> None:
        with self.path.open("ab+") as file:
            size = file.seek(0, 2)
            if size and not self._ends_with_newline():
                text = b"\n" + text
            file.write(text)

    def _ends_with_newline(self) -> bool:
        return self.path.read_bytes().endswith(b"\n")

    def _keep(self, line: Any) -> None:
        self.lines.append(line)
        self._in_file.append(line)

    def next_day(self, *, is_gzipped: bool) -> None:
        """Go to the next day's file, and gzip the one of today."""
        if is_gzipped and self.path.exists() and self._ends_with_newline():
            with self.path.open("rb") as plain, gzip.open(f"{self.path}.gz", "wb") as packed:
                shutil.copyfileobj(plain, packed)
            self.path.unlink()
        self._day, self._number, self._in_file = self._day + 1, 0, []

    def write_again(self, count: int) -> None:
        """Write the last *count* lines of this file into a new one, as after a sync that failed."""
        again = self._in_file[-count:]
        self._number, self._in_file = self._number + 1, []
        for line in again:
            self.append(line)


run_ids = st.sampled_from(RUN_IDS)
writers = st.sampled_from(WRITERS)
small = st.integers(0, 3)
metrics = st.dictionaries(st.sampled_from(["tokens", "cost_usd"]), small, min_size=1, max_size=2)
settable = st.fixed_dictionaries(
    {}, optional={"items_failed": st.integers(1, 3), "product": st.sampled_from(["a", "b"])}
)
triggers = st.sampled_from(["cli", "web", "manual"])
ends = st.sampled_from(["success", "failed", "partial"])


class Histories(RuleBasedStateMachine):
    """Agents that write to a journal and to its database, catch-ups that are cut short, and accidents."""

    def __init__(self) -> None:
        """Begin with an empty base directory."""
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="agreement-"))
        self.journal = Journal(self.base / "raw")
        self.database = Database(self.base / "db" / "telemetry.sqlite")
        self.waiting: list[Any] = []
        self.numbers = dict.fromkeys(WRITERS, 0)
        self.set_by: dict[tuple[str, str], dict[str, Any]] = {}
        self.clock = 0

    def teardown(self) -> None:
        """Compare the database with the journal, whatever has happened."""
        try:
            self.compare()
        finally:
            self.database.close()
            shutil.rmtree(self.base)

    def now(self) -> str:
        """Return a time that no line before had."""
        self.clock += 1
        return f"2026-11-23T11:00:00.{self.clock:06d}+00:00"

    def number(self, writer: str) -> int:
        """Return the next number of *writer*."""
        self.numbers[writer] += 1
        return self.numbers[writer]

    def record(self, line: Any, is_direct: bool = False) -> None:
        """Write *line* to the journal first; the sink's own write waits for its turn."""
        self.journal.append(line)
        if is_direct:
            self.waiting.append(line)

    @rule(run_id=run_ids, writer=writers, trigger=triggers, is_direct=st.booleans())
    def start(self, run_id: str, writer: str, trigger: str, is_direct: bool) -> None:
        """Start a run, perhaps for the second time, or under an id that another process has started."""
        attributes = {"by": writer}
        told = {"agent_name": f"agent of {writer}", "trigger_type": trigger, "start_time": self.now()}
        self.set_by.setdefault((writer, run_id), {"metrics": {}}).update(told, attributes=attributes)
        start = RunRecord(
            run_id=run_id,
            **told,
            attributes=attributes,
            writer=writer,
            seq=self.number(writer),
        )
        self.record(start, is_direct)

    @rule(run_id=run_ids, writer=writers, payload=st.none() | small | st.dictionaries(st.text(max_size=3), small))
    def event(self, run_id: str, writer: str, payload: Any) -> None:
        """Log an event, perhaps before the start, after the end, or of a run that nobody knows."""
        self.record(RunEvent(run_id, "step", self.now(), payload, writer, self.number(writer)))

    @rule(run_id=run_ids, writer=writers, metrics=metrics, fields=settable)
    def set_metrics(self, run_id: str, writer: str, metrics: dict[str, int], fields: dict[str, Any]) -> None:
        """Set metrics and fields; the end line of this writer carries them again."""
        known = self.set_by.setdefault((writer, run_id), {"metrics": {}})
        known["metrics"] = {**known["metrics"], **metrics}
        known.update(fields)
        self.record(MetricsUpdate(run_id, self.now(), metrics, fields, writer, self.number(writer)))

    @rule(run_id=run_ids, writer=writers, status=ends, is_verdict=st.booleans(), is_direct=st.booleans())
    def end(self, run_id: str, writer: str, status: str, is_verdict: bool, is_direct: bool) -> None:
        """End a run, perhaps one of another process, or one that has ended."""
        guessed = {name: guess(run_id)[name] for name in ("agent_name", "trigger_type", "start_time")}
        end = RunRecord(
            run_id=run_id,
            status=status,
            end_time=self.now(),
            duration_ms=self.clock,
            verdict=is_verdict,
            error_summary=None if status == "success" else f"{status} {self.clock}",
            writer=writer,
            seq=self.number(writer),
            **guessed | self.set_by.get((writer, run_id), {}),
        )
        self.record(end, is_direct)

    @rule(run_id=run_ids, writer=writers, is_taken=st.booleans(), attempts=small, is_direct=st.booleans())
    def deliver(self, run_id: str, writer: str, is_taken: bool, attempts: int, is_direct: bool) -> None:
        """Hear from a remote sink."""
        report = DeliveryReport(run_id, self.now(), "hq", is_taken, attempts, None, writer, self.number(writer))
        self.record(report, is_direct)

    @rule(run_id=run_ids, writer=writers, commit=st.sampled_from("cd"), is_direct=st.booleans())
    def link(self, run_id: str, writer: str, commit: str, is_direct: bool) -> None:
        """Link a run with a commit."""
        link = CommitLink(run_id=run_id, timestamp=self.now(), commit_hash=commit * 40, writer=writer)
        self.record(attrs.evolve(link, seq=self.number(writer)), is_direct)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), is_lost=st.booleans())
    def write_directly(self, data: st.DataObject, is_lost: bool) -> None:
        """Let the sink write one of the records that wait, in any order; or lose it, as when the store is locked."""
        line = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        if not is_lost:
            self.guarded(lambda: self.write(line))

    def write(self, line: Any) -> None:
        """Do what the sink does with *line*."""
        with self.database.writing(5.0) as opened:
            if isinstance(line, RunRecord):
                write_run(opened.connection, opened.shape, line)
            elif isinstance(line, DeliveryReport):
                write_delivery(opened.connection, opened.shape, line)
            else:
                save_commit(opened.connection, line)

    def guarded(self, act: Callable[[], Any]) -> None:
        """Set the database aside when it is damaged, as the sink does."""
        try:
            act()
        except Damaged:
            self.database.quarantine(5.0)

    @rule(kind=st.sampled_from([RUNS, EVENTS]), lines=st.integers(1, 4))
    def catch_up_a_little(self, kind: str, lines: int) -> None:
        """Catch up by one batch."""
        catch_up = CatchUp(self.database, self.journal.folder, lines=lines)
        self.guarded(lambda: catch_up.run(kind, deadline_s=0.0))

    @rule(kinds=st.permutations([RUNS, EVENTS]), lines=st.integers(1, 4))
    def catch_up(self, kinds: list[str], lines: int) -> None:
        """Catch up to the end."""
        catch_up = CatchUp(self.database, self.journal.folder, lines=lines)
        self.guarded(lambda: catch_up.run(*kinds))

    @rule(kind=st.sampled_from([RUNS, EVENTS]), seed=st.integers(1, 3))
    def die_while_catching_up(self, kind: str, seed: int) -> None:
        """Be killed in the middle of a batch: what it did is not committed."""
        dying = DyingDatabase(self.database, seed)
        try:
            self.guarded(lambda: CatchUp(dying, self.journal.folder, lines=2).run(kind))
        except Killed:
            self.database.close()

    @rule(text=st.text("ab", max_size=2), cut=st.integers(1, 400))
    def tear(self, text: str, cut: int) -> None:
        """Be killed in the middle of a line."""
        writer = WRITERS[0]
        self.journal.tear(RunEvent(RUN_IDS[0], "torn", self.now(), text, writer, self.number(writer)), cut)

    @rule(is_gzipped=st.booleans())
    def next_day(self, is_gzipped: bool) -> None:
        """Go on in the file of the next day."""
        self.journal.next_day(is_gzipped=is_gzipped)

    @rule(count=st.integers(1, 3))
    def write_again(self, count: int) -> None:
        """Write lines a second time, since the disk had refused to sync them."""
        self.journal.write_again(count)

    @rule()
    def delete_database(self) -> None:
        """Lose the database."""
        self.database.close()
        shutil.rmtree(self.database.path.parent, ignore_errors=True)

    # Without a journal nothing could take its place, and it is left to its owner.
    @precondition(lambda self: self.database.path.exists() and self.journal.lines)
    @rule(skipped=st.sampled_from([0, 4096]))
    def corrupt_database(self, skipped: int) -> None:
        """Overwrite the database, all of it or all but its first page."""
        self.database.close()
        size = self.database.path.stat().st_size
        with self.database.path.open("r+b") as file:
            file.seek(skipped)
            file.write(bytes(max(0, size - skipped)))

    @rule()
    def compare(self) -> None:
        """Ask the store for everything, and compare with the lines of the journal."""
        oracle = Oracle()
        for line in self.journal.lines:
            oracle.read(line)
        store = SqliteStore(self.database.path, self.journal.folder)
        try:
            self.check(store, oracle)
        finally:
            store.close()

    def check(self, store: SqliteStore, oracle: Oracle) -> None:
        """Compare runs, events and commits."""
        events = {run_id: [(e.event_type, e.timestamp, e.payload) for e in store.events(run_id)] for run_id in RUN_IDS}
        runs = {run.run_id: comparable(run.to_dict()) for run in store.runs(RunQuery(limit=None))}
        commits = {run_id: {commit["commit_hash"] for commit in store.commits(run_id)} for run_id in RUN_IDS}

        assert {run_id: oracle.events.get(run_id, []) for run_id in RUN_IDS} == events
        assert {run_id: comparable(run) for run_id, run in oracle.runs.items()} == runs
        assert {run_id: oracle.commits.get(run_id, set()) for run_id in RUN_IDS} == commits


class DyingDatabase:
    """A database whose process is killed at the end of its n-th transaction, just before the commit."""

    def __init__(self, database: Database, transactions: int) -> None:
        """Let *transactions* - 1 of them through."""
        self._database = database
        self._left = transactions

    def reading(self) -> Any:
        """Lend the connection."""
        return self._database.reading()

    def checkpoint(self, wait_s: float) -> bool:
        """Do as the database does."""
        return self._database.checkpoint(wait_s)

    @contextmanager
    def writing(self, wait_s: float) -> Iterator[Opened]:
        """Lend the connection in a transaction, the last one to be rolled back."""
        with self._database.writing(wait_s) as opened:
            yield opened
            self._left -= 1
            if self._left == 0:
                raise Killed


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
