"""Prove that a reader gets every event once and in order, whether it is indexed or only in the journal."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import RunEvent, RunRecord, SinkContext, encode_line, get_iso8601_timestamp
from telemetry.sinks.journal import Reader, journal_files
from telemetry.sinks.reading.pages import PAGE
from telemetry.sinks.sqlite import caught_up
from telemetry.sinks.sqlite.catch_up import EVENTS, CatchUp
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.event_lines import EventReader
from telemetry.sinks.sqlite.storable import payload_of
from telemetry.sinks.sqlite.store import SqliteStore

_moments = itertools.count(1_795_600_000)


def an_event(payload: Any = None, run_id: str = "r1", event_type: str = "step") -> RunEvent:
    """Return an event at a time of its own."""
    return RunEvent(run_id, event_type, get_iso8601_timestamp(next(_moments)), payload)


def payloads(events: Any) -> list[Any]:
    """Return the payloads of *events*."""
    return [event.payload for event in events]


@pytest.fixture
def store(path: Path, context: SinkContext) -> Iterator[SqliteStore]:
    """Return the store of the set-up."""
    store = SqliteStore(path, context.journal_dir, wait_s=0.05)
    yield store
    store.close()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a call index one batch only, as if the journal were far too long."""
    monkeypatch.setattr(caught_up, "_INDEX_S", 0.0)


def test_an_event_comes_back_as_it_was_logged(store: SqliteStore, journal: Callable[..., None]):
    """Run, type, time and payload; the id is that of its row."""
    logged = [an_event(payload) for payload in (None, 0, "x", [1.5, None], {"a": {"b": True}}, "ü\n")]
    journal(*logged)

    found = list(store.events("r1"))

    assert logged == found
    assert all(event.id for event in found)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((), [0, 1, 2, 3]),
        (("r1",), [0, 2, 3]),
        (("r1", "step"), [0, 3]),
        ((None, "other"), [1, 2]),
        (("r3",), []),
        (("\ud800", "\ud800"), []),
    ],
)
def test_events_are_filtered(
    store: SqliteStore, journal: Callable[..., None], asked: tuple[Any, ...], expected: list[int]
):
    """By run, by type, by both, by nothing."""
    journal(an_event(0), an_event(1, "r2", "other"), an_event(2, event_type="other"), an_event(3))

    assert expected == payloads(store.events(*asked))


def test_more_events_than_fit_a_page_come_once(store: SqliteStore, journal: Callable[..., None]):
    """Pages follow each other without a gap."""
    journal(*(an_event(number) for number in range(2 * PAGE + 3)))

    assert list(range(2 * PAGE + 3)) == payloads(store.events())


@pytest.mark.usefixtures("unhurried")
def test_what_is_not_indexed_yet_comes_from_the_journal(
    store: SqliteStore, journal: Callable[..., None], rows: Callable[..., list[Any]]
):
    """The answer is whole at once, and each call indexes a little more."""
    journal(*(an_event(number, f"r{number % 2}") for number in range(700)))
    expected = list(range(1, 700, 2))

    answers, counts = [], []
    for _ in range(3):
        answers.append(payloads(store.events("r1")))
        counts += rows("SELECT count(*) FROM run_events")[0]

    assert [expected] * 3 == answers
    assert 0 < counts[0] < counts[1]
    assert 700 == counts[2]


@pytest.mark.usefixtures("unhurried")
def test_what_another_process_indexes_meanwhile_is_not_told_twice(
    store: SqliteStore, path: Path, context: SinkContext, journal: Callable[..., None]
):
    """Between the question and its pages the index grows: each event still comes once."""
    journal(*(an_event(number) for number in range(2 * PAGE)))
    events = store.events("r1")
    other = Database(path)
    CatchUp(other, context.journal_dir).run(EVENTS)
    other.close()

    assert list(range(2 * PAGE)) == payloads(events)


@pytest.mark.usefixtures("unhurried")
def test_lines_written_twice_are_told_once(store: SqliteStore, context: SinkContext, journal: Callable[..., None]):
    """Where lines stand in two files, the index is brought up first: only it can tell them apart."""
    events = [an_event(number) for number in range(600)]
    journal(*events)
    again = context.journal_dir / "events_20261123.r1.ndjson"
    again.write_bytes(b"".join(map(encode_line, [*events[-2:], an_event(600)])))

    assert list(range(601)) == payloads(store.events("r1"))


def test_rows_of_other_programs_are_events_too(store: SqliteStore, database: Database, journal: Callable[..., None]):
    """Text that is no JSON is told as it stands; what has no type or time gets a word for it."""
    insert = "INSERT INTO run_events (run_id, event_type, timestamp, payload_json) VALUES ('r1', ?, ?, ?)"
    with database.writing(1.0) as opened:
        for values in [("x", "t", "{no JSON"), ("", "", None), ("x", "t", 7), ("x", "t", b"[1]")]:
            opened.connection.execute(insert, values)
    journal(an_event("ours"))

    found = list(store.events("r1"))

    assert ["{no JSON", None, 7, [1], "ours"] == payloads(found)
    assert ("unknown", "unknown") == (found[1].event_type, found[1].timestamp)


def test_a_database_that_may_only_be_read_tells_all_events(
    store: SqliteStore, path: Path, journal: Callable[..., None], rows: Callable[..., list[Any]]
):
    """Nothing can be indexed, and nothing lacks."""
    journal(an_event(0))
    list(store.events())
    journal(an_event(1), an_event(2))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    found = payloads(store.events("r1"))

    other.close()
    assert [0, 1, 2] == found
    assert [(1,)] == rows("SELECT count(*) FROM run_events")


RUN_IDS = ["r1", 'quo"te', "back\\slash", "ümlaut", "tab\t", "r"]


@pytest.mark.parametrize("run_id", RUN_IDS)
def test_events_of_a_run_are_found_whatever_its_id_is(tmp_path: Path, run_id: str):
    """An id that JSON escapes, in one way or another, is not searched for as text."""
    events = [an_event(number, name) for number, name in enumerate(RUN_IDS * 2)]
    legacy = RunEvent("ümlaut", "step", "t").to_json().replace("ü", "\\u00fc").encode()
    path = tmp_path / "events_20261123.ndjson"
    path.write_bytes(b"".join(map(encode_line, events)) + legacy.replace(b"{", b'{"record_type": "event", ', 1) + b"\n")
    [file] = journal_files(tmp_path)

    found = [line.run_id for line in EventReader(file, run_id=run_id) if line.run_id == run_id]

    assert [run_id] * (3 if run_id == "ümlaut" else 2) == found


lines = st.one_of(
    st.builds(
        lambda payload: encode_line(an_event(payload)), st.recursive(st.none() | st.text(), st.lists, max_leaves=3)
    ),
    st.builds(lambda n: encode_line(RunRecord(run_id=f"r{n}", agent_name="event", start_time="t")), st.integers(0, 9)),
    st.just(encode_line(an_event('{"record_type":"event","run_id":"inside","event_type":"x"}'))),
    st.binary(max_size=20),
    st.sampled_from(
        [
            b"\n",
            b"\r\n",
            b'{"record_type": "event", "run_id": "r1", "event_type": "old", "timestamp": "t", "payload_json": "[1]"}\n',
            b'{"record_type":"event","run_id":"r1","event_type":5,"timestamp":"t","payload":NaN}\n',
            b'{"run_id":"r1","record_type":"event","payload":1}\n',
        ]
    ),
)


@given(st.lists(lines, max_size=8), st.integers(0, 60))
def test_the_quick_reader_reads_what_the_careful_one_reads(tmp_path_factory, pieces, cut):
    """Whatever stands in a file, wherever it is cut: events and their places are those of the journal's reader."""
    folder = tmp_path_factory.mktemp("raw")
    blob = b"".join(pieces)
    (folder / "events_20261123.ndjson").write_bytes(blob[: max(0, len(blob) - cut)])
    [file] = journal_files(folder)

    quick, careful = EventReader(file), Reader(file, kinds={"event"})
    found = [
        (line.offset, line.run_id, line.event_type, line.timestamp, payload_of(line.payload_json)) for line in quick
    ]

    expected = [(offset, e.run_id, e.event_type, e.timestamp, e.payload) for offset, _, e in careful]
    assert expected == found
    assert careful.position == quick.position
