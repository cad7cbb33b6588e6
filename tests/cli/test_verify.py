"""Prove that `telemetry verify` finds a record that is missing, and says so by its exit code."""

import json
from contextlib import closing
from types import SimpleNamespace

import pytest

from telemetry import TelemetryClient, open_store
from telemetry.core.verify import verify
from telemetry.plugins import RunEvent, RunRecord, encode_line
from telemetry.plugins.changing import changed
from telemetry.sinks.journal import journal_files, read_records


@pytest.fixture
def recorded(real_bench):
    """Return a bench over one run of five events."""
    with TelemetryClient() as client, client.track_run("agent", "job") as run:
        for number in range(5):
            run.log_event("step", number)
    return real_bench


def test_a_whole_journal_is_complete(recorded):
    """Every number of the writer is there once, in journal and store."""
    answer, shown = recorded.run("verify", "--json"), recorded.show("verify")

    [writer] = json.loads(answer.out)
    assert (0, 7, 7) == (answer.code, writer["records"], writer["highest"])
    assert (0, True) == (shown.code, shown.out.endswith("Complete.\n"))


def test_a_lost_line_is_found(recorded):
    """One line less: the writer misses a number, the exit code is 1, and events of the store have no line any more."""
    recorded.run("show", "last")
    journal = next(recorded.base_dir.glob("raw/*.ndjson"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3] + lines[4:]))

    answer, shown = recorded.run("verify", "--json"), recorded.show("verify")

    [writer] = json.loads(answer.out)
    assert (1, [4]) == (answer.code, writer["missing"])
    assert (1, True) == (shown.code, shown.out.endswith("Not complete.\n"))


def test_what_agents_write_meanwhile_is_not_astray(recorded):
    """The store is asked after the journal was read: it may know more than the journal said, and not more than now."""
    with closing(open_store(recorded.base_dir)) as store:
        [file] = journal_files(recorded.base_dir / "raw")
        now = [found.record for found in read_records(file)]
        readings = iter([now[:-2], now])
        growing, standing = verify(lambda: next(readings), store), verify(lambda: iter(now[:-2]), store)

    assert (True, {}, 0) == (growing.is_complete, growing.runs_astray, growing.events_astray)
    assert (False, ["running in the journal, success in the store"], -1) == (
        standing.is_complete,
        list(standing.runs_astray.values()),
        standing.events_astray,
    )


def test_a_run_that_slips_through_between_two_pages_is_asked_for(recorded):
    """Runs are told page by page; one whose start is corrected meanwhile may stand on neither of two."""
    [file] = journal_files(recorded.base_dir / "raw")
    with closing(open_store(recorded.base_dir)) as store:
        slipping = SimpleNamespace(runs=lambda query: iter(()), get_run=store.get_run, events=store.events)
        found = verify(lambda: (found.record for found in read_records(file)), slipping)

    assert (True, {}) == (found.is_complete, found.runs_astray)


def test_a_line_that_stands_twice_is_told_from_two_with_one_number(recorded):
    """A line that was written again after a failed sync is doubled, and loses nothing; another under its number may."""
    journal = next(recorded.base_dir.glob("raw/*.ndjson"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines, lines[2], lines[3].replace(b'"step"', b'"leap"')]))

    answer = recorded.show("verify")

    assert 1 == answer.code
    assert "1 doubled number with the same line each time: nothing is lost by it" in answer.out


def test_a_writer_that_died_may_have_numbers_that_nobody_was_promised(recorded):
    """A call that takes a number and is killed before it writes leaves a gap: that is said where a process died."""
    run = RunRecord(run_id="r", agent_name="a", start_time="2026-11-24T10:00:00+00:00", writer="dead", seq=1)
    died = changed(run, status="failed", verdict=True, writer="judge", seq=1)
    event = RunEvent("r", "step", run.start_time, None, "dead", 3)
    with next(recorded.base_dir.glob("raw/*.ndjson")).open("ab") as journal:
        journal.writelines(map(encode_line, (run, event, died)))

    answer = recorded.show("verify")

    assert 1 == answer.code
    assert "dead died in mid run: calls that never returned may have taken what it misses" in answer.out


def test_without_a_journal_there_is_nothing_to_verify(real_bench, tmp_path):
    """A set-up with a database alone cannot be verified, and says what would help."""
    (tmp_path / "telemetry.toml").write_text('[sinks.db]\ntype = "sqlite"\n')

    answer = real_bench.run("verify")

    assert (1, "") == (answer.code, answer.out)
    assert "type 'ndjson'" in answer.err
