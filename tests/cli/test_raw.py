"""Prove that SQL over the journal itself reads every day of it and changes nothing, and that Parquet holds all."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from telemetry import TelemetryClient
from telemetry.core.exporting import EVENT_COLUMNS, RUN_COLUMNS

_REASON = "DuckDB is installed in the tox environment `coverage`"
# Tells when DuckDB is about to be asked: ^C before that is another story.
_TELLING = """
from telemetry.core import duck
from telemetry.core.cli.main import main
ask = duck.raw_answer
def told(*arguments):
    print("asking", flush=True)
    return ask(*arguments)
duck.raw_answer = told
main()
"""


@pytest.fixture
def recorded(real_bench):
    """Return a bench over two days: a closed one, gzipped, and today, with a torn line and one of an older writer."""
    with TelemetryClient() as client:
        for number in range(3):
            with client.track_run("agent", f"job {number}") as run:
                run.log_event("step", {"number": number, "text": 'a\nb,"c"'})
                run.set_metrics(files=number)
    raw = real_bench.base_dir / "raw"
    old = {"record_type": "event", "run_id": "old", "event_type": "step", "timestamp": "2025-01-01T00:00:00+00:00"}
    line = json.dumps(old | {"payload_json": '{"number": 40}'})
    (raw / "events_20250101.ndjson.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
    with next(raw.glob("events_2*.ndjson")).open("ab") as file:
        file.write(b'{"record_type":"event","run_id":"to')
    return real_bench


@pytest.fixture
def duck(recorded):
    """Return that bench where DuckDB is installed."""
    pytest.importorskip("duckdb", reason=_REASON)
    return recorded


def test_raw_reads_every_day_of_the_journal(duck):
    """Also a closed one, and what earlier writers wrote; a torn line is passed over."""
    sql = "SELECT run_id = 'old' AS is_old, (payload->>'number')::INT AS n, year(timestamp) > 2024 AS dated FROM events"

    rows = json.loads(duck.run("query", "--raw", f"{sql} ORDER BY n", "--json").out)

    assert [0, 1, 2, 40] == [row["n"] for row in rows]
    assert [False, False, False, True] == [row["is_old"] for row in rows]
    assert all(row["dated"] for row in rows)


def test_raw_has_whole_lines_and_runs(duck):
    """What the views have no column for stands in the line."""
    lines = duck.run("query", "--raw", "SELECT count(*) AS n, count(DISTINCT file) AS files FROM lines", "--nl").out
    runs = duck.run(
        "query", "--raw", "SELECT job_type, line->>'seq' AS seq FROM run_lines WHERE status = 'success'"
    ).out

    assert {"n": 13, "files": 2} == json.loads(lines)
    assert 4 == len(runs.splitlines())


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO 'mine.csv'",
        "COPY (SELECT 1) TO '{journal}'",
        "ATTACH 'mine.db'",
        "CREATE TABLE mine (x INT)",
        "SELECT 1; COPY (SELECT 1) TO 'mine.csv'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "",
    ],
)
def test_raw_cannot_change_or_read_anything_else(duck, sql: str, tmp_path: Path):
    """Whatever is tried: wrong usage, no new file, the journal as it was."""
    journal = next((duck.base_dir / "raw").glob("events_2*.ndjson"))
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2")
    before = journal.read_bytes()

    answer = duck.run("query", "--raw", sql.format(journal=journal, secret=secret))

    assert (2, "") == (answer.code, answer.out)
    assert "hunter2" not in answer.err
    assert before == journal.read_bytes()
    assert [] == list(tmp_path.glob("mine*"))


def test_raw_faults_name_the_views(duck):
    """On a line of their own, below the carets; not where something else than a name is wrong."""
    unknown = duck.run("query", "--raw", "SELECT * FROM runs")
    broken = duck.run("query", "--raw", "SELECT 1 +")

    assert (2, 2) == (unknown.code, broken.code)
    assert "^^^^\n       The views are lines, events, run_lines.\n" in unknown.err
    assert "^\n" == broken.err[-2:]


def test_raw_of_nothing_recorded(real_bench):
    """An empty answer."""
    pytest.importorskip("duckdb", reason=_REASON)

    answer = real_bench.run("query", "--raw", "SELECT count(*) AS n FROM lines", "--nl")

    assert (0, {"n": 0}) == (answer.code, json.loads(answer.out))


@pytest.mark.parametrize("arguments", [("query", "--raw", "SELECT 1"), ("export", "--format", "parquet", "--out", "x")])
def test_missing_duckdb_is_named_with_its_command(recorded, arguments, monkeypatch, tmp_path: Path):
    """And nothing is left behind."""
    monkeypatch.setitem(sys.modules, "duckdb", None)

    answer = recorded.run(*arguments)

    assert (1, "") == (answer.code, answer.out)
    assert "pip install 'local-telemetry[duckdb]'" in answer.err
    assert [] == list(tmp_path.glob("x*"))


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_raw_is_interrupted_by_the_keyboard(duck):
    """A query that would take for ever ends at ^C, though DuckDB does not look at signals."""
    sql = "SELECT count(*) FROM range(100000000000) a, range(1000) b"
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _TELLING, "query", "--raw", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert b"asking\n" == process.stdout.readline()
    time.sleep(1)  # for DuckDB itself, which takes its time to be imported

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert (-signal.SIGINT, b"", b"") == (process.returncode, out, err)


@pytest.mark.parametrize(("what", "columns"), [("runs", RUN_COLUMNS), ("events", EVENT_COLUMNS)])
def test_export_as_parquet(duck, tmp_path: Path, what: str, columns: tuple[str, ...]):
    """With every column, times as moments, metrics as JSON."""
    import duckdb

    out = tmp_path / "out.parquet"

    answer = duck.run("export", "--what", what, "--format", "parquet", "--out", str(out))

    found = duckdb.sql(f"SELECT * FROM '{out}'")
    types = dict(zip(found.columns, map(str, found.types), strict=True))
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    moment = "start_time" if what == "runs" else "timestamp"
    assert 0 == answer.code, answer.err
    assert list(columns) == found.columns
    assert "TIMESTAMP WITH TIME ZONE" == types[moment]
    assert 0o600 == out.stat().st_mode & 0o777
    assert [out] == list(tmp_path.glob("out*"))
    if what == "runs":
        assert [{"files": number} for number in range(3)] == [
            json.loads(row["metrics"]) for row in rows if row["job_type"]
        ]
        assert {"BIGINT"} == {types["duration_ms"], types["items_failed"]}
    else:
        assert {0, 1, 2, 40} == {json.loads(row["payload"])["number"] for row in rows}


def test_export_of_no_runs_as_parquet(duck, tmp_path: Path):
    """A file with its columns and no rows."""
    import duckdb

    out = tmp_path / "none.parquet"

    duck.run("export", "--agent", "nobody", "--format", "parquet", "--out", str(out))

    assert [(0,)] == duckdb.sql(f"SELECT count(*) FROM '{out}'").fetchall()


@pytest.mark.parametrize(
    ("arguments", "cure"), [(("--what", "all", "--out", "x"), "--format ndjson"), ((), "--out runs.parquet")]
)
def test_parquet_needs_a_file_of_one_kind(recorded, arguments, cure: str):
    """What cannot be written is wrong usage, with the way out."""
    answer = recorded.run("export", "--format", "parquet", *arguments)

    assert (2, "") == (answer.code, answer.out)
    assert cure in answer.err
