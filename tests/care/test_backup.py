"""Prove that a backup is whole whatever agents do meanwhile, and that restoring loses nothing that is here."""

import gzip
import json
import os
import shutil
import signal
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from telemetry import TelemetryClient, TelemetryConfig, open_store
from telemetry.core.care import Care
from telemetry.plugins import NotFound, RunQuery, StoreError

DAYS = timedelta(days=1)


def care_of(path) -> Care:
    """Return the care of the base directory *path*, which is made."""
    path.mkdir(mode=0o700, exist_ok=True)
    return Care(TelemetryConfig.load(base_dir=path))


def told(path) -> dict:
    """Return what the base directory *path* tells of runs and events."""
    (path / "db").mkdir(exist_ok=True)
    with closing(open_store(path)) as store:
        runs = [attrs.evolve(run, created_at=None, updated_at=None) for run in store.runs(RunQuery(limit=None))]
        return {"runs": runs, "events": sorted((e.run_id, e.timestamp, str(e.payload)) for e in store.events())}


@pytest.fixture
def full(base):
    """Return the base directory with a few days, one of them gzipped, and rows that only the database has."""
    for day in (9, 3, 1, 0):
        base.record(day)
    base.told()
    base.care.prune(90 * DAYS, gzip_after=7 * DAYS)
    base.sql(
        "INSERT INTO agent_runs (run_id, agent_name, start_time, status) VALUES ('theirs', 'x', '2026', 'success')"
    )
    (base.path / "state" / "hq.cursor.json").write_text('{"version": 1}')
    return base


def test_backup_is_a_base_directory_itself(full, tmp_path):
    """It answers like the original, says what is in it, and nobody else may read it."""
    made = full.care.backup(tmp_path / "monday")

    assert str(tmp_path / "monday") == made.path
    assert 6 == made.files
    assert told(full.path) == told(tmp_path / "monday")
    assert 0o700 == (tmp_path / "monday").stat().st_mode & 0o777
    assert {0o600} == {p.stat().st_mode & 0o777 for p in (tmp_path / "monday" / "raw").iterdir() if p.suffix != ".lock"}


def test_backup_never_writes_over_anything(full, tmp_path):
    """A folder that exists is refused; without a name each gets one of its own."""
    (tmp_path / "monday").mkdir()

    with pytest.raises(StoreError, match="exists already"):
        full.care.backup(tmp_path / "monday")
    made = full.care.backup()

    assert full.path / "backups" == tmp_path.joinpath(made.path).parent


def test_restore_into_an_empty_directory_brings_everything(full, tmp_path):
    """Journal, rows of other programs, the state of deliveries."""
    full.care.backup(tmp_path / "monday")

    restored = care_of(tmp_path / "new").restore(tmp_path / "monday")

    assert told(full.path) == told(tmp_path / "new")
    assert (4, 0, ("state/hq.cursor.json",)) == (len(restored.days), restored.lines, restored.state)
    assert {"runs": 1} == restored.stores[0].carried


def test_restore_adds_what_is_missing_and_overwrites_nothing(full, tmp_path):
    """A day that was deleted, one that lost its end, one that began anew, a database that is gone."""
    full.care.backup(tmp_path / "monday")
    before = told(full.path)
    oldest, cut, anew, _ = sorted(full.raw.glob("events_*"))
    oldest.unlink()
    cut.write_bytes(cut.read_bytes()[:-700])
    anew.unlink()
    mine = full.record(1, name="mine")
    shutil.rmtree(full.database.parent)

    restored = full.care.restore(tmp_path / "monday")
    again = full.care.restore(tmp_path / "monday")

    after = told(full.path)
    assert {run.run_id for run in before["runs"]} | {mine} == {run.run_id for run in after["runs"]}
    assert set(before["events"]) < set(after["events"])
    assert len(before["events"]) + 2 == len(after["events"])
    assert 1 == len(restored.days)
    assert restored.lines > 4
    assert ((), 0) == (again.days, again.lines)
    assert all(run in after["runs"] for run in before["runs"])


def test_what_was_pruned_since_stays_pruned(full, tmp_path):
    """Its days are left out, its rows are not carried; into another directory they come back."""
    old = full.record(100)
    full.told()
    full.care.backup(tmp_path / "monday")
    full.care.prune(90 * DAYS)

    restored = full.care.restore(tmp_path / "monday")
    care_of(tmp_path / "new").restore(tmp_path / "monday")

    assert old not in full.ids()
    assert 1 == len(restored.pruned)
    assert old in {run.run_id for run in told(tmp_path / "new")["runs"]}


def test_agents_write_during_backup_and_restore(base, agent, tmp_path):
    """The backup has all that was acknowledged before it; the restore loses nothing that came since."""
    for day in range(1, 10):
        base.record(day, events=100)
    while agent.count() < 20:
        time.sleep(0.01)
    before = set(agent.acknowledged.read_text().split()[:-1])
    for number in range(3):
        base.care.backup(tmp_path / str(number))
    base.care.restore(tmp_path / "0")

    acknowledged = set(agent.stop())

    assert before <= {run.run_id for run in told(tmp_path / "0")["runs"]}
    assert acknowledged <= {run.run_id for run in told(base.path)["runs"] if run.status == "success"}
    assert len(told(base.path)["events"]) == 900 + len(acknowledged)
    assert [("ok",)] == base.sql("PRAGMA integrity_check")


_DYING = """
import os, signal, sys
from pathlib import Path
from telemetry.core.care import Care
from telemetry.sinks.sqlite import copying, rebuilding
copying._PAGES = rebuilding._PAGES = 16
def progress(stage, done, total):
    if stage == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
getattr(Care(), sys.argv[1])(Path(sys.argv[3]), progress=progress)
"""


@pytest.mark.parametrize("stage", ["copying", "copying files", "checking files"])
def test_backup_that_was_killed_is_none(full, processes, tmp_path, stage):
    """Nothing stands under its name, and the next one is not disturbed by what is left."""
    dying = processes.start(_DYING, "backup", stage, tmp_path / "monday")
    dying.communicate(timeout=60)
    left = (tmp_path / "monday").exists()
    full.care.backup(tmp_path / "monday")

    assert (-signal.SIGKILL, False) == (dying.returncode, left)
    assert told(full.path) == told(tmp_path / "monday")
    assert [] == list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("stage", ["restoring days", "reading runs", "copying"])
def test_restore_that_was_killed_is_gone_on_with(full, processes, tmp_path, monkeypatch, stage):
    """What is back is not brought twice."""
    full.care.backup(tmp_path / "monday")
    (tmp_path / "new").mkdir(mode=0o700)
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(tmp_path / "new"))

    dying = processes.start(_DYING, "restore", stage, tmp_path / "monday")
    dying.communicate(timeout=60)
    care_of(tmp_path / "new").restore(tmp_path / "monday")

    assert -signal.SIGKILL == dying.returncode
    assert told(full.path) == told(tmp_path / "new")


def test_damage_in_a_backup_is_told(full, tmp_path):
    """A file that is not as it was written is named, and what can be read of it is taken; a missing one is refused."""
    full.care.backup(tmp_path / "monday")
    [packed] = (tmp_path / "monday" / "raw").glob("*.gz")
    lines = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)
    packed.write_bytes(gzip.compress(lines[0] + b"{torn\n" + b"".join(lines[1:])))

    restored = care_of(tmp_path / "new").restore(tmp_path / "monday")
    packed.unlink()

    assert (f"raw/{packed.name}",) == restored.changed
    assert told(full.path) == told(tmp_path / "new")
    with pytest.raises(StoreError, match="is missing"):
        full.care.restore(tmp_path / "monday")


def test_damaged_database_is_not_backed_up(full, tmp_path):
    """A copy of it would pass for one that helps; the fault is told and nothing made."""
    blob = full.database.read_bytes()
    full.database.write_bytes(blob[:4096] + os.urandom(len(blob) - 4096))

    with pytest.raises(StoreError):
        full.care.backup(tmp_path / "monday")

    assert not (tmp_path / "monday").exists()


def test_what_is_no_backup_is_refused(full, tmp_path):
    """With the way to take in a plain base directory."""
    with pytest.raises(NotFound, match="there is no backup"):
        full.care.restore()
    with pytest.raises(NotFound, match="there is no backup"):
        full.care.restore(tmp_path / "nothing")
    with pytest.raises(StoreError, match="telemetry merge"):
        full.care.restore(full.path)


def test_commands_say_what_they_did(full, real_command, tmp_path):
    """In sentences and as JSON; the newest backup is taken when none is named."""
    made = real_command("backup")
    named = json.loads(real_command("backup", "--to", tmp_path / "monday", "--json").stdout)
    day = f"{datetime.now(UTC) - 3 * DAYS:%Y%m%d}"
    (full.raw / f"events_{day}.ndjson").unlink()

    restored = real_command("restore")
    again = json.loads(real_command("restore", tmp_path / "monday", "--json").stdout)
    nothing = real_command("restore", tmp_path / "nowhere")

    assert "checked:" in made.stdout
    assert str(tmp_path / "monday") == named["path"]
    assert "1 day of the journal" in restored.stdout
    assert [] == again["days"]
    assert (3, True) == (nothing.returncode, "there is no backup" in nothing.stderr)


def test_set_up_without_a_journal_is_backed_up_and_restored(base, tmp_path):
    """The database alone: what is missing comes back, what is here stays."""
    config = TelemetryConfig(metrics_dir=base.path, sinks={"db": {"type": "sqlite"}})
    with TelemetryClient(config) as client:
        gone, kept = (client.start_run("a", run_id=name) for name in ("gone", "kept"))
        client.end_run(gone)
        Care(config).backup(tmp_path / "monday")
        client.end_run(kept, "failed")
    base.sql("DELETE FROM agent_runs WHERE run_id = 'gone'")

    restored = Care(config).restore(tmp_path / "monday")

    assert {"runs": 2} == restored.stores[0].carried
    assert [("gone", "success"), ("kept", "failed")] == base.sql("SELECT run_id, status FROM agent_runs ORDER BY 1")


def test_journal_alone_is_backed_up_and_restored(base, tmp_path):
    """A set-up that keeps no database has a backup without one."""
    config = TelemetryConfig(metrics_dir=base.path, sinks={"raw": {"type": "ndjson"}})
    for day in (3, 1):
        base.record(day)
    made = Care(config).backup(tmp_path / "monday")
    for path in base.raw.iterdir():
        path.unlink()

    restored = Care(config).restore(tmp_path / "monday")

    assert (2, ()) == (made.files, made.stores)
    assert 2 == len(restored.days)
    assert 2 == len(base.ids())
