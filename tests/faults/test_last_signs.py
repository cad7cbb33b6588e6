"""A run that died has ended when it was last heard of, whatever it said then, and wherever that is read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from victims import seen_by_a_reader

from telemetry.sinks.sqlite.journal_store import JournalStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

AGENT = """
import os, signal, sys, time
from telemetry import TelemetryClient
from telemetry.plugins.ids import get_iso8601_timestamp as now
from telemetry.sinks.ndjson import NdjsonSink
client = TelemetryClient(sinks={"raw": NdjsonSink()} if sys.argv[1] == "journal" else None)
run_id = client.start_run("mortal", "life")
client.log_event(run_id, "breath")
time.sleep(0.02)
"""
SIGNS = {
    "an event": "client.log_event(run_id, 'last words')",
    "metrics": "client.set_metrics(run_id, loss=0.1)",
    "a field": "client.set_metrics(run_id, items_succeeded=3)",
    "a count": "client.increment(run_id, 'pages')",
    "a commit": "client.associate_commit(run_id, 'abc1234')",
}


def _told(base_dir: Path, sign: str, stores: str) -> list[str]:
    """Let a run die after *sign*; return its id and the moments before and after the sign."""
    code = f"{AGENT}before = now()\n{sign}\nprint(run_id, before, now(), flush=True)\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}time.sleep(0.02); os.kill(os.getpid(), signal.SIGKILL)", stores],
        capture_output=True,
        text=True,
        env={**os.environ, "TELEMETRY_BASE_DIR": str(base_dir)},
    )
    assert -signal.SIGKILL == done.returncode, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("stores", ["journal", "database"])
@pytest.mark.parametrize("sign", SIGNS)
def test_a_dead_run_has_ended_at_its_last_sign(tmp_path, sign, stores):
    """And the database, a database that is built anew and the journal alone say the same."""
    run_id, before, after = _told(tmp_path, SIGNS[sign], stores)

    run = seen_by_a_reader(tmp_path, run_id)
    for file in (tmp_path / "db").iterdir():
        file.unlink()
    rebuilt = seen_by_a_reader(tmp_path, run_id)
    with closing(JournalStore(tmp_path / "raw")) as journal:
        journaled = journal.get_run(run_id)

    assert ("failed", True) == (run.status, run.verdict)
    assert before <= (run.end_time or "") <= after
    assert run.duration_ms
    assert journaled is not None
    assert {(run.end_time, run.duration_ms)} == {(each.end_time, each.duration_ms) for each in (rebuilt, journaled)}
