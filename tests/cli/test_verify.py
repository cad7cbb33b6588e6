"""Prove that `telemetry verify` finds a record that is missing, and says so by its exit code."""

import json

import pytest

from telemetry import TelemetryClient


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


def test_without_a_journal_there_is_nothing_to_verify(real_bench, tmp_path):
    """A set-up with a database alone cannot be verified, and says what would help."""
    (tmp_path / "telemetry.toml").write_text('[sinks.db]\ntype = "sqlite"\n')

    answer = real_bench.run("verify")

    assert (1, "") == (answer.code, answer.out)
    assert "type 'ndjson'" in answer.err
