"""Prove that a database reads its journal once, whole, in order, and whatever lies in it or in the way."""

import contextlib
import gzip
import itertools
import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from telemetry.plugins import (
    CommitLink,
    DeliveryReport,
    MetricsUpdate,
    Retryable,
    RunEvent,
    RunRecord,
    encode_line,
    get_iso8601_timestamp,
)
from telemetry.sinks.journal import JournalFile
from telemetry.sinks.sqlite.catch_up import EVENTS, RUNS, CatchUp
from telemetry.sinks.sqlite.connection import Database
from telemetry.sinks.sqlite.unindexed import find_unindexed
from telemetry.sinks.sqlite.writes import load_run, write_run

RUN_ID = "20261123T100000Z-crawler-00000001"
TODAY = "events_20261123.ndjson"
TOMORROW = "events_20261124.ndjson"
_moments = itertools.count(1_795_600_000)


def a_start(run_id: str = RUN_ID, **fields: Any) -> RunRecord:
    """Return a run that begins."""
    told = {"agent_name": "crawler", "start_time": "2026-11-23T10:00:00.5+00:00", "writer": "w", "seq": 1}
    return RunRecord(run_id=run_id, **told | fields)


def an_end(run_id: str = RUN_ID, **fields: Any) -> RunRecord:
    """Return a run that has ended well."""
    result = {"status": "success", "end_time": "2026-11-23T10:00:01.5+00:00", "seq": 9}
    return a_start(run_id, **result | fields)


def an_event(run_id: str = RUN_ID, payload: Any = None, **fields: Any) -> RunEvent:
    """Return an event at a time of its own."""
    return RunEvent(run_id, "step", get_iso8601_timestamp(next(_moments)), payload, **fields)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return the empty folder of a journal."""
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


@pytest.fixture
def write(journal: Path) -> Callable[..., None]:
    """Return a function that appends records, or lines as bytes, to the file of a day."""

    def append(*lines: Any, name: str = TODAY) -> None:
        with (journal / name).open("ab") as file:
            file.writelines(line if isinstance(line, bytes) else encode_line(line) for line in lines)

    return append


@pytest.fixture
def database(tmp_path: Path) -> Any:
    """Return a database that nobody has opened yet."""
    database = Database(tmp_path / "db" / "telemetry.sqlite")
    yield database
    database.close()


@pytest.fixture
def catch_up(database: Database, journal: Path) -> CatchUp:
    """Return what brings the database up to the journal."""
    return CatchUp(database, journal)


def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    """Return what *sql* finds."""
    with database.reading() as opened:
        return opened.connection.execute(sql).fetchall()


def the_run(database: Database, run_id: str = RUN_ID) -> RunRecord:
    """Return the run as the database has it, without the database's own times."""
    with database.reading() as opened:
        run = load_run(opened.connection, opened.shape, run_id)
    assert run is not None
    return attrs.evolve(run, created_at=None, updated_at=None)


def payloads(database: Database) -> list[Any]:
    """Return the payloads of all events, in the order of their ids."""
    return [json.loads(text) for (text,) in rows(database, "SELECT payload_json FROM run_events ORDER BY id")]


def test_lines_of_a_run_become_its_row(database, write, catch_up):
    """Start, metrics, end and delivery are folded into one row; a commit gets a row of its own."""
    update = MetricsUpdate(RUN_ID, "2026-11-23T10:00:01+00:00", {"tokens": 5}, {"product": "p"}, "w", 2)
    link = CommitLink(run_id=RUN_ID, timestamp="2026-11-23T10:00:01+00:00", commit_hash="c" * 40)
    delivered = DeliveryReport(RUN_ID, "2026-11-23T10:00:02+00:00", "hq", attempts=2)
    write(a_start(job_type="crawl"), update, an_end(metrics={"tokens": 7}, product="p"), link, delivered)

    is_done = catch_up.run(RUNS)

    expected = an_end(
        metrics={"tokens": 7},
        product="p",
        job_type="crawl",
        duration_ms=1000,
        api_posted=True,
        api_posted_at="2026-11-23T10:00:02+00:00",
        api_retry_count=2,
    )
    assert is_done
    assert expected == the_run(database)
    assert [("c" * 40, RUN_ID)] == rows(database, "SELECT commit_hash, run_id FROM commits")


def test_an_event_is_named_by_the_place_of_its_line(database, write, catch_up):
    """The id of an event is its file's number and its byte offset, and the payload is the journal's own text."""
    first, second = an_event(payload={"n": 1}), an_event()
    write(a_start(), first, second)

    catch_up.run(EVENTS)

    offset = len(encode_line(a_start()))
    assert [
        (1 << 40 | offset, RUN_ID, "step", first.timestamp, '{"n":1}'),
        (1 << 40 | offset + len(encode_line(first)), RUN_ID, "step", second.timestamp, None),
    ] == rows(database, "SELECT id, run_id, event_type, timestamp, payload_json FROM run_events")


def test_a_second_catch_up_changes_nothing(database, write, catch_up):
    """What was read is not read again."""
    write(a_start(), an_event(payload=1), an_end())
    catch_up.run(RUNS, EVENTS)
    before = rows(database, "SELECT * FROM runs, run_events, journal_files")

    catch_up.run(RUNS, EVENTS)

    assert before == rows(database, "SELECT * FROM runs, run_events, journal_files")


def test_passes_go_on_independently(database, write, catch_up):
    """Runs are read past a million events without storing one, and the events come when they are asked for."""
    write(a_start(), an_event(payload=1), an_end())

    catch_up.run(RUNS)

    assert "success" == the_run(database).status
    assert [] == payloads(database)
    catch_up.run(EVENTS)
    assert [1] == payloads(database)


@pytest.mark.parametrize("closed", [False, True])
def test_a_question_asks_the_store_no_more_because_there_are_more_days(database, journal, write, catch_up, closed):
    """A journal of 730 days that was read to its end cost each question 730 queries."""

    def asked() -> int:
        statements: list[str] = []
        with database.reading() as opened:
            opened.connection.set_trace_callback(statements.append)
        catch_up.run(RUNS, EVENTS)
        with database.reading() as opened:
            opened.connection.set_trace_callback(None)
        return len(statements)

    for day in range(20):
        write(a_start(f"r{day}"), an_event(f"r{day}"), name=f"events_202610{day:02}.ndjson")
    catch_up.run(RUNS, EVENTS)
    for plain in list(journal.iterdir()) if closed else []:
        plain.with_name(f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()

    assert 0 < asked() < 20


def test_a_deadline_stops_between_two_batches(database, journal, write):
    """What was done stays done, and the next call goes on there."""
    write(*(an_event(payload=number) for number in range(5)))

    is_done = CatchUp(database, journal, lines=2).run(EVENTS, deadline_s=0.0)

    assert not is_done
    assert [0, 1] == payloads(database)
    assert CatchUp(database, journal).run(EVENTS)
    assert [0, 1, 2, 3, 4] == payloads(database)


def test_progress_counts_every_byte_once(journal, write, catch_up):
    """The counts of one pass add up to the size of the journal."""
    write(*(an_event(payload=number) for number in range(1000)))
    write(an_event(), name=TOMORROW)
    counts: list[int] = []

    catch_up.run(EVENTS, progress=counts.append)

    assert sum(path.stat().st_size for path in journal.iterdir()) == sum(counts)
    assert len(counts) > 2


def test_large_lines_make_small_batches(write, catch_up):
    """No transaction takes more than some megabytes, however few lines these are."""
    write(*(an_event(payload="x" * 1_000_000) for _ in range(12)))
    counts: list[int] = []

    catch_up.run(EVENTS, progress=counts.append)

    assert len(counts) >= 3
    assert max(counts) < 6_000_000


@pytest.mark.parametrize("kind", [RUNS, EVENTS])
def test_two_processes_catch_up_at_once(database, journal, write, kind):
    """Whoever finds the cursor moved goes on from there; nothing is stored twice or left out."""
    for number in range(20):
        run_id = f"20261123T100000Z-crawler-{number:08x}"
        write(a_start(run_id), an_event(run_id, payload=number))
    other = Database(database.path)
    others = CatchUp(other, journal, lines=3)

    CatchUp(database, journal, lines=2).run(kind, progress=lambda _: others.run(kind, deadline_s=0.0))

    other.close()
    assert 20 == rows(database, "SELECT count(*) FROM agent_runs")[0][0]
    assert (list(range(20)) if kind == EVENTS else []) == payloads(database)


def test_a_file_that_is_gzipped_keeps_its_cursor(database, journal, write, catch_up):
    """A closed day goes on where the open one was left, with the same ids."""
    write(an_event(payload=1))
    catch_up.run(EVENTS)
    write(an_event(payload=2))
    plain = journal / TODAY
    (journal / f"{TODAY}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()

    catch_up.run(EVENTS)

    assert [1, 2] == payloads(database)
    assert 1 == rows(database, "SELECT count(*) FROM journal_files")[0][0]


def test_a_file_with_another_first_line_is_another_file(database, journal, write, catch_up):
    """A file that was replaced is read from its start; what the old one held stays."""
    write(an_event(payload="old"), an_event(payload="in both"))
    catch_up.run(EVENTS)
    old, both = (journal / TODAY).read_bytes().splitlines(keepends=True)
    (journal / TODAY).unlink()
    write(an_event(payload="new"), both, an_event(payload="more"), old[:0])

    catch_up.run(EVENTS)

    assert ["old", "in both", "new", "more"] == payloads(database)


def test_another_file_of_the_same_size_is_another_file(database, journal, write, catch_up):
    """The day was deleted, and the same job made as many bytes again: its size says nothing."""
    write(an_event(payload="old 1"), an_event(payload="old 2"))
    catch_up.run(RUNS, EVENTS)
    size = (journal / TODAY).stat().st_size
    (journal / TODAY).unlink()
    write(an_event(payload="new 1"), an_event(payload="new 2"))
    assert size == (journal / TODAY).stat().st_size

    catch_up.run(RUNS, EVENTS)

    assert ["old 1", "old 2", "new 1", "new 2"] == payloads(database)
    assert 2 == rows(database, "SELECT count(*) FROM journal_files")[0][0]


@pytest.mark.parametrize("age_s", [0, 3 * 86_400], ids=["looked at before", "old"])
def test_a_day_that_nobody_wrote_is_not_looked_into(journal, write, catch_up, monkeypatch, age_s):
    """Its size is enough when it is old: there may be hundreds. One of today is looked into once."""
    write(a_start(), an_event())
    catch_up.run(RUNS, EVENTS)
    moment = time.time() - age_s
    os.utime(journal / TODAY, (moment, moment))
    if not age_s:
        catch_up.run(RUNS, EVENTS)
    looks: list[str] = []
    monkeypatch.setattr(JournalFile, "head", property(lambda file: looks.append(file.name)))

    catch_up.run(RUNS, EVENTS)

    assert [] == looks


def test_a_file_that_shrank_is_read_again(database, journal, write, catch_up):
    """After a power cut the file may be shorter: the lines that take the place of the lost ones are found."""
    write(a_start(), an_event(payload="kept"), an_event(payload="lost in the journal"))
    catch_up.run(RUNS, EVENTS)
    lines = (journal / TODAY).read_bytes().splitlines(keepends=True)
    (journal / TODAY).write_bytes(b"".join(lines[:-1]))
    catch_up.run(RUNS, EVENTS)
    write(an_event(payload="instead"), an_end())

    catch_up.run(RUNS, EVENTS)

    assert ["kept", "lost in the journal", "instead"] == payloads(database)
    assert "success" == the_run(database).status


@pytest.mark.parametrize("more", [(), ("more", "and more")], ids=["to its size", "beyond it"])
def test_a_file_that_lost_its_end_and_grew_again_is_read_again(database, journal, write, catch_up, more):
    """Before anybody looked: neither its size nor its first line tells, but the bytes before the cursor do."""
    write(a_start(), an_event(payload="kept"), an_event(payload="lost"))
    catch_up.run(RUNS, EVENTS)
    lines = (journal / TODAY).read_bytes().splitlines(keepends=True)
    (journal / TODAY).write_bytes(b"".join(lines[:-1]))
    write(an_event(payload="new!"), *(an_event(payload=text) for text in more))

    catch_up.run(RUNS, EVENTS)

    assert ["kept", "lost", "new!", *more] == payloads(database)


@pytest.mark.parametrize("change", ["DROP COLUMN", "ADD COLUMN"])
def test_a_store_of_an_earlier_version_goes_on_where_it_was(database, journal, write, catch_up, change):
    """It has no bytes before its cursors; or they speak of another place, since an earlier version moved the cursor."""
    write(a_start(), an_event(payload=1), an_event(payload=2))
    catch_up.run(RUNS, EVENTS)
    database.close()
    with contextlib.closing(sqlite3.connect(database.path)) as earlier:
        if change == "DROP COLUMN":
            earlier.execute("ALTER TABLE journal_files DROP COLUMN runs_tail")
            earlier.execute("ALTER TABLE journal_files DROP COLUMN events_tail")
        else:
            earlier.execute("UPDATE journal_files SET runs_tail = '7:00', events_tail = '7:00'")
        earlier.commit()
    size = (journal / TODAY).stat().st_size
    write(an_event(payload=3), an_end())
    with contextlib.closing(Database(database.path, is_read_only=True)) as looker, looker.reading() as opened:
        assert [size] == [cursor.offset for cursor in find_unindexed(opened, journal).cursors]
    reader = Database(database.path)

    CatchUp(reader, journal).run(RUNS, EVENTS)

    assert [1, 2, 3] == payloads(reader)
    ((offset, tail, count),) = rows(reader, "SELECT events_offset, events_tail, count(*) OVER () FROM journal_files")
    reader.close()
    assert (1, f"{offset}:") == (count, tail[: len(f"{offset}:")])


def test_lines_written_again_after_a_failed_sync_count_once(database, write, catch_up):
    """The file that takes over after a fault of the disk repeats lines; their events stay single."""
    events = [an_event(payload=number) for number in range(3)]
    write(a_start(), *events[:2])
    write(events[1], events[2], an_end(), name="events_20261123.r1.ndjson")

    catch_up.run(RUNS, EVENTS)

    assert [0, 1, 2] == payloads(database)
    assert "success" == the_run(database).status


def test_files_are_numbered_in_their_order(database, write, catch_up):
    """A day without runs comes before the next one all the same."""
    write(an_event(payload="first"))
    write(a_start(), an_event(payload="second"), name=TOMORROW)

    catch_up.run(RUNS)
    catch_up.run(EVENTS)

    assert ["first", "second"] == payloads(database)


def test_a_torn_line_is_read_once_it_is_whole(database, journal, write, catch_up):
    """The tail of a file is left until its writer has ended it."""
    line = encode_line(an_event(payload="late"))
    write(an_event(payload="whole"), line[:40])
    catch_up.run(RUNS, EVENTS)
    write(line[40:])

    catch_up.run(RUNS, EVENTS)

    assert ["whole", "late"] == payloads(database)


def test_the_only_line_counts_without_its_newline(database, write, catch_up):
    """A file of one line whose newline was lost is read, and known again when the newline has come."""
    write(encode_line(an_event(payload=1))[:-1])
    catch_up.run(EVENTS)
    write(b"\n", an_event(payload=2))

    catch_up.run(EVENTS)

    assert [1, 2] == payloads(database)
    assert 1 == rows(database, "SELECT count(*) FROM journal_files")[0][0]


def test_an_event_of_an_unknown_run_gets_a_run(database, write, catch_up):
    """No event dangles: what the id tells stands as a run until its own lines come."""
    write(an_event())
    catch_up.run(EVENTS)

    guessed = the_run(database)
    assert ("crawler", "manual", "running") == (guessed.agent_name, guessed.trigger_type, guessed.status)
    assert [] == rows(database, "PRAGMA foreign_key_check")
    write(a_start(agent_name="Crawler & Co"))
    catch_up.run(RUNS)
    assert a_start(agent_name="Crawler & Co") == the_run(database)


def test_rows_of_other_programs_stay(database, write, catch_up):
    """What only the database has is left alone."""
    with database.writing(1.0) as opened:
        opened.connection.execute(
            "INSERT INTO agent_runs (run_id, agent_name, start_time, status) VALUES ('theirs', 'x', '2026', 'success')"
        )
    write(a_start(), an_end())

    catch_up.run(RUNS, EVENTS)

    assert [("theirs",), (RUN_ID,)] == rows(database, "SELECT run_id FROM agent_runs ORDER BY run_id DESC")


def test_ids_that_another_program_took_do_not_hide_our_events(database, journal, write, catch_up):
    """A program that numbers on from our highest id takes the ids of lines to come; those get others, once."""
    write(an_event(payload=0))
    catch_up.run(EVENTS)
    size = (journal / TODAY).stat().st_size
    columns = "id, run_id, event_type, timestamp, payload_json"
    take = f"INSERT INTO run_events ({columns}) VALUES (?, 'theirs', 'x', 't', '9')"
    with database.writing(1.0) as opened:
        opened.connection.execute(take, (1 << 40 | size,))
    write(an_event(payload=1), an_event(payload=2))

    catch_up.run(EVENTS)
    with database.writing(1.0) as opened:
        opened.connection.execute(take, (None,))

    assert [0, 9, 2, 1, 9] == payloads(database)
    assert rows(database, "SELECT max(id) FROM run_events")[0][0] > 1 << 62


ODD_LINES = [
    b'{"record_type":"event","run_id":"\\ud800","event_type":"\\ud800","timestamp":"t","payload":"\\ud800"}\n',
    b'{"record_type":"run","run_id":"\\ud800","agent_name":"\\ud800","start_time":"t","status":"running"}\n',
    b'{"record_type":"metrics","run_id":"m","timestamp":"t","metrics":{"x":1e999,"\\ud800":2},"seq":"one"}\n',
    b'{"record_type":"metrics","run_id":"m","timestamp":"t","fields":{"items_failed":1' + b"0" * 30 + b"}}\n",
    b'{"record_type":"delivery","run_id":"m","timestamp":"\\udfff","sink":"s","attempts":1' + b"0" * 30 + b"}\n",
    b'{"record_type":"commit","run_id":"m","timestamp":"t","commit_hash":"\\ud800","insertions":1' + b"0" * 30 + b"}\n",
    b'{"record_type":"event","run_id":"e","event_type":"","timestamp":null,"payload_json":"{\\"n\\": NaN}"}\n',
    b'{"record_type":"event","run_id":"e","event_type":"x","timestamp":"t","payload":{"n":NaN}}\n',
    b'{"record_type":"event","run_id":"e","event_type":"x","timestamp":"t","payload":"\xff"}\n',
    b'{"record_type":"event","run_id":"e","event_type":"tor{"record_type":"event","run_id":"e","event_type":"x"}\n',
    b'{"record_type":"event","run_id":"","event_type":"x","timestamp":"t","payload":1}\n',
    b'{"record_type":"later","run_id":"e"}\n[]\n\x00\xff\n\n',
]


@pytest.mark.parametrize("odd", ODD_LINES, ids=range(len(ODD_LINES)))
def test_an_odd_line_does_not_stop_those_behind_it(database, write, catch_up, odd):
    """Whatever an earlier writer or a crash left there, the records after it arrive."""
    write(odd, a_start(), an_event(payload="behind"))

    is_done = catch_up.run(RUNS, EVENTS)

    assert is_done
    assert a_start() == the_run(database)
    assert [(RUN_ID, '"behind"')] == rows(
        database, f"SELECT run_id, payload_json FROM run_events WHERE run_id = '{RUN_ID}'"
    )


def test_odd_events_are_kept_as_well_as_they_can_be(database, write, catch_up):
    """Lone surrogates are written as their escapes, and NaN as a word."""
    write(*ODD_LINES)

    catch_up.run(RUNS, EVENTS)

    found = rows(database, "SELECT run_id, event_type, timestamp, payload_json FROM run_events ORDER BY id")
    assert ("\\ud800", "\\ud800", "t", '"\\\\ud800"') == found[0]
    assert ("e", "unknown", "unknown", '{"n":"NaN"}') == found[1]
    assert 5 == len(found)


def test_of_two_ends_the_first_in_the_journal_wins(database, write, catch_up):
    """The sink may have written the second end only: the journal decides, as it would in a database built anew."""
    first = an_end(status="partial", writer="a", seq=1)
    second = an_end(status="failed", error_summary="late", writer="b", seq=1)
    with database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, second)
    write(a_start(), first, second)

    catch_up.run(RUNS)

    run = the_run(database)
    assert ("partial", None, "a") == (run.status, run.error_summary, run.writer)


def test_an_end_of_the_sink_is_not_undone_by_metrics_before_it(database, write, catch_up):
    """Metrics of another process that come late to the database do not put their word over the end's."""
    end = an_end(metrics={"tokens": 9}, writer="b", seq=1)
    with database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, end)
    write(a_start(), MetricsUpdate(RUN_ID, "t", {"tokens": 1, "other": 2}, {}, "w", 2), end)

    catch_up.run(RUNS)

    assert {"tokens": 9, "other": 2} == the_run(database).metrics


def test_the_writer_of_a_running_run_is_known(database, write, catch_up):
    """The sink's INSERT leaves the writer out; verdicts on dead processes need it."""
    with database.writing(1.0) as opened:
        write_run(opened.connection, opened.shape, a_start())
    write(a_start())

    catch_up.run(RUNS)

    assert ("w", 1) == (the_run(database).writer, the_run(database).seq)


def test_a_locked_store_is_left_for_later(database, write, journal):
    """Waiting for another program is bounded, and nothing is half done."""
    write(a_start(), an_event(payload=1))
    CatchUp(database, journal).run(RUNS)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Retryable):
        CatchUp(database, journal, wait_s=0.01).run(EVENTS)

    other.close()
    assert [] == payloads(database)
    assert CatchUp(database, journal).run(EVENTS)
    assert [1] == payloads(database)


def test_a_run_that_the_file_refuses_does_not_stop_those_behind_it(tmp_path, journal, write, caplog):
    """A trigger of another program raises on one run: it stays in the journal, and the rest arrives."""
    database = Database(tmp_path / "db" / "telemetry.sqlite")
    with database.writing(1.0) as opened:
        opened.connection.execute(
            "CREATE TRIGGER theirs BEFORE INSERT ON agent_runs WHEN NEW.agent_name = 'bad' "
            "BEGIN SELECT raise(ABORT, 'no bad agents'); END"
        )
    write(a_start("20261123T100000Z-bad-00000000", agent_name="bad"), a_start())

    is_done = CatchUp(database, journal).run(RUNS)

    assert is_done
    assert [(RUN_ID,)] == rows(database, "SELECT run_id FROM agent_runs")
    assert "no bad agents" in caplog.text
    database.close()


def test_a_journal_that_is_not_there_is_up_to_date(database, tmp_path):
    """A folder that does not exist yet has nothing to catch up with."""
    assert CatchUp(database, tmp_path / "nowhere").run(RUNS, EVENTS)
