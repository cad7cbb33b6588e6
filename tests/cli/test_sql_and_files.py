"""Prove that `telemetry query` cannot change the store, and that `telemetry export` writes all of it or nothing."""

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from telemetry import TelemetryClient
from telemetry.core.exporting import EVENT_COLUMNS, RUN_COLUMNS
from telemetry.plugins import decode_lines

# Tells when the database is about to be asked: ^C before that is another story.
_TELLING = """
from telemetry.core.cli.commands import query
from telemetry.core.cli.main import main
opened = query.read_only_database
def told(path):
    print("asking", flush=True)
    return opened(path)
query.read_only_database = told
main()
"""


@pytest.fixture
def recorded(real_bench):
    """Return a bench over three runs with events, one of them with a newline in its texts."""
    with TelemetryClient() as client:
        for number in range(3):
            with client.track_run("agent", f"job {number}") as run:
                run.log_event("step", {"number": number, "text": 'a\nb,"c"'})
                run.set_metrics(files=number, output_summary="two\nlines" if number == 1 else "one")
    return real_bench


def test_query_answers_with_names_and_values(recorded):
    """Tables and the view of all, events included, with what was written a moment ago."""
    sql = "SELECT r.job_type, e.event_type, length(x'00ff') AS size, NULL AS empty, x'00ff' AS raw FROM runs r "
    sql += "JOIN run_events e USING (run_id) ORDER BY 1"

    rows = json.loads(recorded.run("query", sql, "--json").out)

    assert 3 == len(rows)
    assert {"job_type": "job 0", "event_type": "step", "size": 2, "empty": None, "raw": "00ff"} == rows[0]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM agent_runs",
        "UPDATE agent_runs SET status = 'failed'",
        "DROP TABLE run_events",
        "CREATE TABLE mine (x)",
        "PRAGMA query_only = OFF; DELETE FROM agent_runs",
        "PRAGMA user_version = 99",
        "ATTACH 'other.db' AS o",
    ],
)
def test_query_cannot_change_anything(recorded, sql: str, tmp_path: Path):
    """Whatever is tried, the store is as it was and no file appears."""
    before, version = recorded.run("runs", "--nl").out, _user_version(recorded)

    recorded.run("query", sql)

    assert before == recorded.run("runs", "--nl").out
    assert version == _user_version(recorded)
    assert not (tmp_path / "other.db").exists()


def _user_version(bench) -> int:
    connection = sqlite3.connect(bench.base_dir / "db" / "telemetry.sqlite")
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


def test_query_faults_name_the_tables(recorded):
    """Wrong SQL is wrong usage; a write is told apart."""
    wrong, write = recorded.run("query", "SELECT * FROM nowhere"), recorded.run("query", "DELETE FROM agent_runs")

    assert (2, 2) == (wrong.code, write.code)
    assert "no such table: nowhere" in wrong.err
    assert "agent_runs" in wrong.err
    assert "cannot be changed from here" in write.err


@pytest.mark.parametrize(
    ("sql", "cure"),
    [
        ("SELECT * FROM nowhere", "the tables are "),
        ("SELECT colour FROM runs", 'telemetry query "SELECT * FROM runs LIMIT 1" --json shows the columns'),
        ("SELEC 1", "telemetry query --help, which has examples"),
        ("SELECT 'a", "telemetry query --help, which has examples"),
        ("", "telemetry query --help, which has examples"),
        (" \n", "telemetry query --help, which has examples"),
        ("/* nothing */", "SELECT only"),
        ("BEGIN", "SELECT only"),
    ],
)
def test_wrong_sql_has_a_cure_that_fits(recorded, sql: str, cure: str):
    """A list of tables mends no slip of syntax, and nothing to ask is no answer."""
    answer = recorded.run("query", sql)

    assert (2, "") == (answer.code, answer.out)
    assert f"try:   {cure}" in answer.err


def test_query_says_that_columns_found_no_room(recorded):
    """On a terminal that is too narrow for them, how many and how to see them."""
    narrow = recorded.show("query", "SELECT * FROM agent_runs LIMIT 1", width=80)
    wide = recorded.show("query", "SELECT run_id, status FROM agent_runs LIMIT 1", width=80)

    shown = len(narrow.out.splitlines()[0].split())
    more = int(narrow.err.removeprefix("no room for ").split()[0])
    all_columns = json.loads(recorded.run("query", "SELECT * FROM agent_runs LIMIT 1", "--json").out)[0]
    assert len([value for value in all_columns.values() if value not in (None, "")]) == shown + more
    assert "columns more: name those that you want, or --json shows all\n" in narrow.err
    assert "" == wide.err


def test_query_shows_a_table_on_a_terminal(recorded):
    """Column names stand as they are, values as they are, in one line each."""
    shown = recorded.show("query", "SELECT job_type, output_summary FROM runs ORDER BY 1").out

    assert ["job_type  output_summary", "job 0     one", "job 1     two lines", "job 2     one"] == shown.splitlines()


def test_numbers_of_a_query_line_up_at_their_last_digit(recorded):
    """As in every other table."""
    shown = recorded.show("query", "SELECT 'a' AS name, 7 AS n, 0.5 AS x UNION ALL SELECT 'b', 1234, NULL").out

    assert ["name     n    x", "a        7  0.5", "b     1234"] == shown.splitlines()


def test_query_of_nothing_recorded(real_bench):
    """There is no file to ask yet."""
    answer = real_bench.run("query", "SELECT 1")

    assert (3, "") == (answer.code, answer.out)
    assert "telemetry demo" in answer.err


def test_query_without_a_database(real_bench, monkeypatch, tmp_path: Path):
    """A set-up with the journal alone cannot be asked in SQL, and says what would help."""
    (tmp_path / "telemetry.toml").write_text('[sinks.raw]\ntype = "ndjson"\n')

    answer = real_bench.run("query", "SELECT 1")

    assert 1 == answer.code
    assert "type 'sqlite'" in answer.err


def test_query_reads_standard_input(command, recorded):
    """`-` stands for a file of SQL."""
    done = command("query", "-", "--tsv", input="SELECT count(*) AS n FROM runs")

    assert "n\n3\n" == done.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_query_is_interrupted_by_the_keyboard(recorded):
    """A query that would take for ever ends at ^C, with 130 and no traceback."""
    import signal
    import time

    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _TELLING, "query", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "asking\n" == process.stdout.readline()
    time.sleep(0.5)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert (130, "", "") == (process.returncode, out, err)


def test_export_can_be_read_like_a_journal(recorded, tmp_path: Path):
    """Runs and events, each a line, the oldest run first; nothing is lost on the way."""
    out = tmp_path / "all.ndjson"

    answer = recorded.run("export", "--what", "all", "--out", str(out))

    records = list(decode_lines(out.read_bytes()))
    kinds = [type(record).__name__ for record in records]
    assert (0, "") == (answer.code, answer.out)
    assert ["RunRecord", "RunEvent"] * 3 == kinds
    assert ["job 0", "job 1", "job 2"] == [record.job_type for record in records[::2]]
    assert {"number": 1, "text": 'a\nb,"c"'} == records[3].payload
    assert f"{out}: 3 runs" in answer.err
    assert [out] == list(tmp_path.glob("all*"))


@pytest.mark.parametrize(("what", "columns"), [("runs", "run_id"), ("events", "payload")])
def test_export_as_csv(recorded, tmp_path: Path, what: str, columns: str):
    """Every value stands in its column, whatever commas and newlines are in it."""
    out = tmp_path / "out.csv"

    recorded.run("export", "--what", what, "--format", "csv", "--out", str(out))

    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8"), newline="")))
    assert 3 == len(rows)
    assert columns in rows[0]
    if what == "runs":
        assert ("two\nlines", {"files": 1}) == (rows[1]["output_summary"], json.loads(rows[1]["metrics"]))
    else:
        assert [0, 1, 2] == [json.loads(row["payload"])["number"] for row in rows]


@pytest.mark.parametrize(("what", "columns"), [("runs", RUN_COLUMNS), ("events", EVENT_COLUMNS)])
def test_export_of_nothing_as_csv_has_a_heading(recorded, tmp_path: Path, what: str, columns):
    """As `runs --csv` has one, and Parquet its columns: who reads it need not know that nothing matched."""
    out = tmp_path / "none.csv"

    recorded.run("export", "--what", what, "--format", "csv", "--agent", "nobody", "--out", str(out))

    assert f"{','.join(columns)}\n" == out.read_text("utf-8")


def test_export_filters_and_goes_to_standard_output(command, recorded):
    """Without a file the lines come out, ready for a pipe."""
    done = command("export", "--job", "job 2")

    assert (0, "") == (done.returncode, done.stderr)
    assert ["job 2"] == [json.loads(line)["job_type"] for line in done.stdout.splitlines()]


def test_export_that_fails_leaves_no_file(recorded, tmp_path: Path, monkeypatch):
    """An old file stays as it was; half of a new one does not appear."""
    out = tmp_path / "out.ndjson"
    out.write_text("old")

    def failing(records, form, kind):
        yield b"half"
        raise OSError(28, "No space left on device", str(out))

    monkeypatch.setattr("telemetry.core.cli.commands.export.lines_of", failing)

    answer = recorded.run("export", "--out", str(out))

    assert 1 == answer.code
    assert "No space left on device" in answer.err
    assert "old" == out.read_text()
    assert [out] == list(tmp_path.glob("out*"))


def test_export_of_both_kinds_has_no_csv(recorded):
    """Runs and events have other columns, so this is refused with the ways out."""
    answer = recorded.run("export", "--what", "all", "--format", "csv")

    assert (2, "") == (answer.code, answer.out)
    assert "--format ndjson" in answer.err


def test_export_shows_progress_with_a_file_only(recorded, tmp_path: Path):
    """Between us and a pipe nothing is drawn."""
    screen = recorded.screen(is_live=True)

    answer = recorded.run("export", "--out", str(tmp_path / "x"), on=screen)

    assert "3/3" in answer.err
