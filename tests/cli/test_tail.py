"""Prove that `telemetry tail` shows the end of the journal and follows it, whatever happens to its files."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from telemetry import TelemetryClient
from telemetry.plugins import RunEvent, encode_line
from telemetry.sinks.journal.following import Follower


def a_line(number: int, **fields) -> bytes:
    """Return the journal line of an event with this number."""
    event = RunEvent(fields.get("run_id", "r1"), fields.get("event_type", "step"), "2026-11-24T10:00:00+00:00", number)
    return encode_line(event)


def numbers(records) -> list[int]:
    """Return the payloads of events."""
    return [record.payload for record in records]


class Journal:
    """A journal written by hand, day by day."""

    def __init__(self, folder: Path) -> None:
        """Write into *folder*."""
        self.folder = folder

    def write(self, day: str, *given: int) -> None:
        """Append events with the numbers *given* to the file of a day."""
        with (self.folder / f"events_{day}.ndjson").open("ab") as file:
            file.write(b"".join(map(a_line, given)))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return an empty journal."""
    return Journal(tmp_path)


@pytest.mark.parametrize("asked", [0, 1, 3, 7, 1000])
def test_latest_come_across_days_oldest_first(journal: Journal, asked: int):
    """The last records of all files together, in their order; none is read twice."""
    journal.write("20261122", *range(5))
    journal.write("20261123", *range(5, 7))
    journal.write("20261124", *range(7, 10))

    found = numbers(Follower(journal.folder).latest(asked))

    assert list(range(10))[max(0, 10 - asked) :] == found if asked else found == []


def test_latest_of_a_large_file_reads_its_end(journal: Journal):
    """A window that begins in the middle of a line loses and doubles nothing, however long the lines are."""
    journal.write("20261124", *range(30_000))

    follower = Follower(journal.folder)
    began = time.thread_time()  # what others do on the machine does not count
    found = numbers(follower.latest(5))
    end_s = time.thread_time() - began
    began = time.thread_time()
    rare = numbers(Follower(journal.folder).latest(3, lambda record: record.payload % 9_000 == 0))
    whole_s = time.thread_time() - began

    assert [29_995, 29_996, 29_997, 29_998, 29_999] == found
    assert [9_000, 18_000, 27_000] == rare
    assert end_s * 5 < whole_s


def test_added_records_come_once_and_in_order(journal: Journal):
    """Between two calls anything may be added, also to a new day and to the day before."""
    journal.write("20261123", 1)
    follower = Follower(journal.folder)
    follower.latest(10)

    journal.write("20261123", 2)
    journal.write("20261124", 3, 4)
    first = numbers(follower.added())
    journal.write("20261124", 5)

    assert ([2, 3, 4], [5], []) == (first, numbers(follower.added()), numbers(follower.added()))


def test_half_a_line_waits_for_its_other_half(journal: Journal):
    """A record that is being written comes when it is whole."""
    line = a_line(7)
    path = journal.folder / "events_20261124.ndjson"
    path.write_bytes(line[:20])
    follower = Follower(journal.folder)

    before = numbers(follower.latest(10))
    path.write_bytes(line)

    assert ([], [7]) == (before, numbers(follower.added()))


def test_a_day_that_is_gzipped_is_not_read_again(journal: Journal):
    """What was seen plain does not come out of the compressed file a second time."""
    journal.write("20261123", 1, 2)
    journal.write("20261124", 3)
    follower = Follower(journal.folder)
    seen = numbers(follower.latest(10))
    plain = journal.folder / "events_20261123.ndjson"
    plain.with_name("events_20261123.ndjson.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()

    assert ([1, 2, 3], []) == (seen, numbers(follower.added()))
    assert [1, 2, 3] == numbers(Follower(journal.folder).latest(10))


def test_a_file_that_was_replaced_is_read_from_its_beginning(journal: Journal):
    """After a restore the day is a shorter file: what is in it is news."""
    journal.write("20261124", 1, 2, 3)
    follower = Follower(journal.folder)
    follower.latest(10)

    (journal.folder / "events_20261124.ndjson").write_bytes(a_line(9))

    assert [9] == numbers(follower.added())


def test_no_journal_yet_is_nothing_and_then_something(tmp_path: Path):
    """A folder that is not there yet is followed as well."""
    follower = Follower(tmp_path / "raw")
    before = (follower.latest(5), list(follower.added()))

    (tmp_path / "raw").mkdir()
    Journal(tmp_path / "raw").write("20261124", 1)

    assert ([], []) == before
    assert [1] == numbers(follower.added())


def record_some(base: Path) -> str:
    """Record a run with two events and one that fails; return the id of the first."""
    with TelemetryClient() as client:
        with client.track_run("reader", "pages") as run:
            run.log_event("page", {"number": 1, "title": "a\tb"})
            run.log_event("done")
        other = client.start_run("writer", "rows")
        client.log_event(other, "row", [1, 2])
        client.end_run(other, "failed", error_summary="E: no\nmore")
    return run.run_id


def test_tail_shows_events_and_what_frames_them(real_bench):
    """Starts and ends of runs stand among the events; in a pipe there are whole values with tabs between."""
    run_id = record_some(real_bench.base_dir)

    rows = [line.split("\t") for line in real_bench.run("tail").out.splitlines()]

    assert [
        ("reader", "run running"),
        ("reader", "page"),
        ("reader", "done"),
        ("reader", "run success"),
        ("writer", "run running"),
        ("writer", "row"),
        ("writer", "run failed"),
    ] == [(row[2], row[3]) for row in rows]
    assert {5} == set(map(len, rows))
    assert run_id == rows[0][1]
    assert {"number": 1, "title": "a\tb"} == json.loads(rows[1][4])


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (("--type", "page"), ["page"]),
        (("--type", "run", "--agent", "reader"), ["run", "run"]),
        (("--agent", "writer"), ["run", "row", "run"]),
        (("-n", "2"), ["row", "run"]),
        (("-n", "0"), []),
    ],
)
def test_tail_filters(real_bench, arguments, kinds):
    """By type, `run` among them, by agent, and by count."""
    record_some(real_bench.base_dir)

    records = json.loads(real_bench.run("tail", *arguments, "--json").out)

    assert kinds == [record.get("event_type", record["record_type"]) for record in records]


def test_tail_of_one_run(real_bench):
    """A short id is enough, as everywhere; an unknown one is not found."""
    run_id = record_some(real_bench.base_dir)

    rows = real_bench.run("tail", "--run", run_id[-8:], "--nl").out.splitlines()

    assert {run_id} == {json.loads(row)["run_id"] for row in rows}
    assert 3 == real_bench.run("tail", "--run", "zzzz").code


@pytest.mark.parametrize("width", [140, 80])
def test_tail_fits_the_terminal(real_bench, width: int):
    """One line a record, however much there is in it."""
    with TelemetryClient() as client, client.track_run("日本語" * 8, "job") as run:
        run.log_event("an_event_with_a_very_long_type", {"text": "x" * 500})
        run.log_event("escape", "\x1b[2J")

    shown = real_bench.show("tail", width=width).out

    from telemetry.core.cli.letters import width_of

    assert 4 == len(shown.splitlines())
    assert all(width_of(line) <= width for line in shown.splitlines())
    assert "\x1b" not in shown


def test_tail_without_a_journal_says_what_is_missing(real_bench, monkeypatch, tmp_path):
    """A set-up without an ndjson sink keeps no journal; that is a fault, with its cure."""
    config = tmp_path / "telemetry.toml"
    config.write_text('[sinks.db]\ntype = "sqlite"\n')
    monkeypatch.setenv("TELEMETRY_CONFIG", str(config))

    answer = real_bench.run("tail")

    assert (1, "") == (answer.code, answer.out)
    assert "configure a sink of type 'ndjson'" in answer.err


def test_tail_of_a_strangers_id_finds_the_agent_at_its_start(real_bench):
    """An id that says nothing of its agent is known by the line in which its run began."""
    with TelemetryClient() as client:
        client.start_run("owner", "job", run_id="my-own-id")
        client.log_event("my-own-id", "step")
        client.end_run("my-own-id")

    assert 3 == len(real_bench.run("tail", "--agent", "owner").out.splitlines())


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_tail_follows_other_processes_until_interrupted(tmp_path: Path, monkeypatch):
    """New lines of any process come within moments; ^C is the way to leave, and no fault."""
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(tmp_path))
    yesterday = f"{datetime.now(UTC) - timedelta(days=1):%Y%m%d}"
    (tmp_path / "raw").mkdir()
    Journal(tmp_path / "raw").write(yesterday, 1)
    program = "from telemetry.core.cli.main import main; main()"
    tail = subprocess.Popen(
        [sys.executable, "-P", "-c", program, "tail", "-f", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    first = json.loads(tail.stdout.readline())

    Journal(tmp_path / "raw").write(yesterday, 2)
    late = json.loads(tail.stdout.readline())
    writer = (
        "import telemetry\nwith telemetry.TelemetryClient() as c, c.track_run('a', 'b') as run: run.log_event('x', 3)"
    )
    subprocess.run([sys.executable, "-P", "-c", writer], check=True, timeout=60)
    others = [json.loads(tail.stdout.readline()) for _ in range(3)]
    tail.send_signal(signal.SIGINT)
    _, faults = tail.communicate(timeout=60)

    assert [1, 2, 3] == [first["payload"], late["payload"], others[1]["payload"]]
    assert ["running", "success"] == [others[0]["status"], others[2]["status"]]
    assert (0, "") == (tail.returncode, faults)
