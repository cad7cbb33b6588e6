"""Prove that `telemetry merge` comes to the same, whatever copies come in what order, how often, and how torn."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry import TelemetryClient, open_store
from telemetry.core.gathering.bringing import Bringing
from telemetry.core.gathering.sources import journal_at
from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, RunEvent, RunRecord, encode_line
from telemetry.plugins.lines import decode_lines
from telemetry.sinks.journal import Journal
from telemetry.sinks.journal.gathering import Gatherer

DAYS = ("20261126", "20261127", "20261128")


def at(day: int, second: int) -> str:
    """Return a moment of one of the days."""
    return f"{DAYS[day][:4]}-{DAYS[day][4:6]}-{DAYS[day][6:]}T10:{second // 60:02}:{second % 60:02}.000000+00:00"


@attrs.define
class Machine:
    """A machine that records: its journal's lines by day, in the order in which they were written."""

    days: list[list[bytes]] = attrs.field(factory=lambda: [[] for _ in DAYS])
    _number: Iterator[int] = attrs.field(factory=lambda: count(1))

    def write(self, day: int, record: Any) -> None:
        """Append *record* to the journal of *day*."""
        self.days[day].append(encode_line(record))


@st.composite
def machines(draw: st.DrawFn, name: str) -> Machine:
    """Return a machine on which runs came and went, also over midnight, each by a process of its own."""
    machine = Machine()
    for number in range(draw(st.integers(1, 3))):
        _record_run(draw, machine, f"{name}-run-{number}", f"{name}-writer-{number}")
    return machine


def _record_run(draw: st.DrawFn, machine: Machine, run_id: str, writer: str) -> None:
    seqs, day = count(1), draw(st.integers(0, 2))
    run = RunRecord(run_id=run_id, agent_name="a", start_time=at(day, 0), host=run_id, writer=writer, seq=next(seqs))
    machine.write(day, run)
    metrics: dict[str, Any] = {}
    for second, step in enumerate(draw(st.lists(st.sampled_from("emc "), max_size=6)), start=1):
        day = min(2, day + (step == " "))
        if step == "e":
            payload = draw(st.sampled_from([None, {"same": 1}, {"text": 'a"b\\c\n{"record_type":"run"}'}]))
            machine.write(day, RunEvent(run_id, "step", at(day, second), payload, writer, next(seqs)))
        if step == "m":
            update = {draw(st.sampled_from("xy")): second}
            metrics |= update
            machine.write(day, MetricsUpdate(run_id, at(day, second), update, writer=writer, seq=next(seqs)))
        if step == "c":
            link = {"run_id": run_id, "timestamp": at(day, second), "commit_hash": f"c{second}"}
            machine.write(day, CommitLink(**link, writer=writer, seq=next(seqs)))
    if draw(st.booleans()):
        end = {"status": "success", "end_time": at(day, 30), "metrics": metrics, "seq": next(seqs)}
        machine.write(day, attrs.evolve(run, **end))
        report = DeliveryReport(run_id, at(day, 40), "hq", writer=writer, seq=next(seqs))
        machine.write(day, report)


@st.composite
def copies(draw: st.DrawFn, machine: Machine) -> list[dict[str, bytes]]:
    """Return copies of a journal, as files by name: some days only, cut anywhere, gzipped; the last one is whole."""
    made = []
    for _ in range(draw(st.integers(0, 2))):
        files = {}
        for day, lines in enumerate(machine.days):
            blob = b"".join(lines)
            cut = draw(st.one_of(st.just(0), st.just(len(blob)), st.integers(0, len(blob))))
            if cut:
                files |= _file(day, blob[:cut], is_gzipped=draw(st.booleans()))
        made.append(files)
    made.append(
        {name: body for day, lines in enumerate(machine.days) for name, body in _file(day, b"".join(lines)).items()}
    )
    return made


def _file(day: int, blob: bytes, *, is_gzipped: bool = False) -> dict[str, bytes]:
    name = f"events_{DAYS[day]}.ndjson"
    return {f"{name}.gz": gzip.compress(blob)} if is_gzipped else {name: blob}


def merged(place: Path, brought: list[dict[str, bytes]]) -> Path:
    """Merge copies into a new base directory, one after the other, each twice now and then."""
    for number, files in enumerate(brought):
        folder = place / f"copy-{number}" / "raw"
        folder.mkdir(parents=True)
        for name, blob in files.items():
            (folder / name).write_bytes(blob)
        if files:
            merge(place / "all", folder.parent)
    return place / "all"


def merge(base: Path, folder: Path) -> int:
    """Merge one copy; return how many lines were new."""
    gatherer = Gatherer(Journal(base / "raw", fsync="never"))
    try:
        bringing = Bringing(gatherer, lambda: open_store(base), lambda size: None)
        return sum(account.total for account in bringing.bring([journal_at(folder)]))
    finally:
        gatherer.close()


def identities(base: Path) -> Counter[tuple[str, int]]:
    """Return how often each record, by writer and number, is in the journal of *base*."""
    blob = b"".join(path.read_bytes() for path in (base / "raw").glob("*.ndjson"))
    return Counter((record.writer, record.seq) for record in decode_lines(blob))


def answers(base: Path) -> dict[str, Any]:
    """Return what the store says of every run; of one that goes on, not which value of a metric is the later."""
    told = {}
    with closing(open_store(base)) as store:
        for run_id in {record.run_id for record in decode_lines(b"".join(_lines(base)))}:
            run = store.get_run(run_id)
            changes = {"seq": None, "created_at": None, "updated_at": None}
            if run.is_running:
                changes["metrics"] = dict.fromkeys(run.metrics)
            events = Counter((e.event_type, e.timestamp, json.dumps(e.payload)) for e in store.events(run_id))
            commits = sorted(commit["commit_hash"] for commit in store.commits(run_id))
            told[run_id] = (attrs.evolve(run, **changes), events, commits)
    return told


def _lines(base: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in (base / "raw").glob("*.ndjson"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_merge_is_commutative_and_idempotent(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Partial, torn, repeated copies of two machines, in two orders: the same records, each once, the same answers."""
    made = [data.draw(machines(name)) for name in ("one", "two")]
    brought = [copy for machine in made for copy in data.draw(copies(machine))]
    brought += data.draw(st.lists(st.sampled_from(brought), max_size=2))
    place = tmp_path_factory.mktemp("merge")
    try:
        first = merged(place / "a", brought)
        second = merged(place / "b", data.draw(st.permutations(brought)))

        written = Counter(
            (record.writer, record.seq)
            for machine in made
            for lines in machine.days
            for record in decode_lines(b"".join(lines))
        )
        assert written == identities(first) == identities(second)
        assert answers(first) == answers(second)
        assert 0 == merge(first, second)
    finally:
        shutil.rmtree(place)


def test_merge_brings_machines_together(target, new_target, opened) -> None:
    """What agents recorded elsewhere answers here, in lists, events and verification; a second merge adds nothing."""
    others = [new_target(name) for name in ("ci-1", "ci-2")]
    for other in others:
        with TelemetryClient(metrics_dir=other.base) as client, client.track_run(other.base.name, "job") as run:
            run.log_event("step", {"n": 1})
    with TelemetryClient(metrics_dir=target.base) as client, client.track_run("here", "job"):
        pass

    code, out, err = target.run("merge", others[0].base, others[1].base / "raw", "--json")
    again = json.loads(target.run("merge", others[1].base, others[0].base, "--json")[1])

    assert (0, "") == (code, err)
    assert [2, 2] == [account["run_lines"] for account in json.loads(out)]
    assert [0, 0] == [account["run_lines"] + account["event_lines"] for account in again]
    assert {"here", "ci-1", "ci-2"} == {row.split("\t")[1] for row in target.run("runs")[1].splitlines()[1:]}
    assert 2 == len(list(opened(target.base).events()))
    assert 0 == target.run("verify")[0]


def test_merge_keeps_lines_of_a_kind_that_only_a_later_version_knows(target, new_target) -> None:
    """They go through as they stand."""
    other = new_target("other")
    (other.base / "raw").mkdir()
    line = '{"record_type":"cost","run_id":"r","writer":"w","seq":1,"usd":2}\n'
    (other.base / "raw" / "events_20261128.ndjson").write_text(line)

    target.run("merge", other.base)
    target.run("merge", other.base)

    assert [line.encode().strip()] == target.journal()


def test_merge_takes_what_is_written_meanwhile(target, new_target) -> None:
    """The copy may be alive: each merge brings what came since."""
    other = new_target("other")
    client = TelemetryClient(metrics_dir=other.base)
    run_id = client.start_run("agent", "job")
    target.run("merge", other.base)
    client.log_event(run_id, "late")
    client.end_run(run_id)
    client.close()

    _, out, _ = target.run("merge", other.base, "--json")

    assert (1, 1, 1) == tuple(json.loads(out)[0][key] for key in ("run_lines", "event_lines", "known"))


def test_merge_of_a_folder_without_a_journal(target, new_target) -> None:
    """It says what was looked for, and what brings in a database."""
    code, _, err = target.run("merge", new_target("other").base)

    assert 1 == code
    assert "holds no journal" in err
    assert "telemetry import" in err


def test_merge_without_a_journal_to_write_to(target, new_target, tmp_path: Path, monkeypatch) -> None:
    """A set-up without one cannot take anything in."""
    other = new_target("other")
    with TelemetryClient(metrics_dir=other.base) as client, client.track_run("agent", "job"):
        pass
    (tmp_path / "telemetry.toml").write_text('[sinks.db]\ntype = "sqlite"\n')

    code, _, err = target.run("--config", tmp_path / "telemetry.toml", "merge", other.base)

    assert 1 == code
    assert "type 'ndjson'" in err
