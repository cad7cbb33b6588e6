"""Prove that `telemetry doctor` finds each fault that is put before it, with evidence and cure, and no other."""

import json
import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from telemetry import TelemetryClient
from telemetry.core.checkup.database import check_database, check_library
from telemetry.core.checkup.finding import FAULT, LEVELS, NOTE, OK, WARNING
from telemetry.core.checkup.journal import check_clock, check_journal
from telemetry.core.checkup.locks import check_file_system, check_locks
from telemetry.core.checkup.packages import check_name
from telemetry.core.checkup.places import check_access, check_disk, check_fsync
from telemetry.plugins import RunRecord


@pytest.fixture
def recorded(real_bench):
    """Return a bench over one run."""
    with TelemetryClient() as client, client.track_run("agent", "job") as run:
        run.log_event("step")
    for path in real_bench.base_dir.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return real_bench


def findings(bench) -> dict[str, list[dict]]:
    """Return what the doctor found, by area."""
    found: dict[str, list[dict]] = {}
    for finding in json.loads(bench.run("doctor", "--json").out):
        found.setdefault(finding["area"], []).append(finding)
    return found


def test_a_sound_store_has_no_fault(recorded):
    """Every area is looked at; what is not good is a note at most."""
    answer = recorded.run("doctor")
    found = findings(recorded)

    assert 0 == answer.code
    areas = "configuration directories disk fsync file-system locks journal sqlite database schema clock sinks packages"
    assert {area.replace("-", " ") for area in areas.split()} == found.keys()
    assert {OK, NOTE} >= {finding["level"] for each in found.values() for finding in each if each[0]["area"] != "disk"}


def test_nothing_recorded_yet_is_no_fault(real_bench):
    """A new machine is told what comes next, and nothing is created."""
    answer = real_bench.show("doctor")

    assert 0 == answer.code
    assert "there is none yet" in answer.out
    assert [] == list(real_bench.base_dir.iterdir())


def test_faults_return_1_and_tell_their_cure(recorded, tmp_path: Path):
    """On the terminal evidence and cure stand below the fault, and the sum in the last line."""
    (tmp_path / "telemetry.toml").write_text("colour = 1\n")

    answer = recorded.show("doctor", width=80)

    assert 1 == answer.code
    assert "✗ configuration" in answer.out
    assert "try: telemetry config check" in answer.out
    assert answer.out.splitlines()[-1].startswith("1 fault")
    assert all(len(line) <= 80 for line in answer.out.splitlines())


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_open_modes_are_found_and_mended(recorded):
    """Others can read what agents recorded: --fix closes it."""
    journal = next(recorded.base_dir.glob("raw/*.ndjson"))
    recorded.base_dir.chmod(0o755)
    journal.chmod(0o644)

    before = findings(recorded)["directories"][0]
    recorded.run("doctor", "--fix")
    after = findings(recorded)["directories"][0]

    assert (WARNING, True, OK) == (before["level"], before["can_fix"], after["level"])
    assert "0755" in before["evidence"]
    assert [0o700, 0o600] == [stat.S_IMODE(path.stat().st_mode) for path in (recorded.base_dir, journal)]


def test_a_directory_that_cannot_be_written_is_a_fault(tmp_path: Path, monkeypatch):
    """The system's word counts, whoever runs this test."""
    monkeypatch.setattr("telemetry.core.checkup.places.os.access", lambda path, mode: False)

    [finding] = check_access(tmp_path)

    assert (FAULT, []) == (finding.level, list(check_fsync(tmp_path)))


def test_a_full_disk_and_a_slow_one_are_warnings(tmp_path: Path, monkeypatch):
    """Little room, or syncs that hold each event for long."""
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100e9, 99.5e9, 0.5e9))
    monkeypatch.setattr("telemetry.core.checkup.places._syncs_ms", lambda folder: [5.0, 50.0, 60.0])

    [disk], [fsync] = check_disk(tmp_path / "not" / "there"), check_fsync(tmp_path)

    assert (WARNING, WARNING) == (disk.level, fsync.level)
    assert "0.5 GB of 100.0 GB" in disk.what
    assert "50.0 ms" in fsync.what


@pytest.mark.parametrize(
    ("version", "level"), [((3, 6, 23), OK), ((3, 7, 0), NOTE), ((3, 51, 2), NOTE), ((3, 51, 3), OK), ((4, 0, 0), OK)]
)
def test_sqlite_versions_with_the_reset_fault_are_named(version, level: str):
    """3.7.0 to 3.51.2."""
    [finding] = check_library(version)

    assert level == finding.level


def test_a_damaged_database_is_found(tmp_path: Path):
    """A page of noise in the middle, and a file that is no database at all."""
    broken, foreign = tmp_path / "broken.sqlite", tmp_path / "foreign.sqlite"
    connection = sqlite3.connect(broken)
    connection.execute("CREATE TABLE agent_runs (x)")
    connection.executemany("INSERT INTO agent_runs VALUES (?)", [("y" * 500,) for _ in range(200)])
    connection.commit()
    connection.close()
    with broken.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)
    foreign.write_bytes(b"this is no database" * 300)

    levels = [next(iter(check_database(path))).level for path in (broken, foreign)]

    assert [FAULT, FAULT] == levels


@pytest.mark.parametrize(
    ("statements", "level", "told"),
    [
        ((), NOTE, "no tables yet"),
        (("CREATE TABLE agent_runs (x)",), NOTE, "does not say its version"),
        (
            (
                "CREATE TABLE agent_runs (x)",
                "CREATE TABLE schema_migrations (version INTEGER)",
                "INSERT INTO schema_migrations VALUES (5)",
            ),
            NOTE,
            "version 5, of another writer",
        ),
        (
            (
                "CREATE TABLE agent_runs (x)",
                "CREATE TABLE schema_migrations (version INTEGER)",
                "INSERT INTO schema_migrations VALUES (9)",
            ),
            FAULT,
            "newer than any",
        ),
    ],
)
def test_schemas_are_told_apart(tmp_path: Path, statements, level: str, told: str):
    """Ours, another writer's, none, or one from the future."""
    path = tmp_path / "db.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()

    schema = next(finding for finding in check_database(path) if finding.area == "schema")

    assert level == schema.level
    assert told in schema.what


def test_a_large_database_is_not_looked_through_for_ever(recorded, monkeypatch):
    """What cannot be checked in time is said to be unchecked."""
    monkeypatch.setattr("telemetry.core.checkup.database._PATIENCE_S", -1.0)
    monkeypatch.setattr("telemetry.core.checkup.database._STEPS", 1)

    assert "too large" in findings(recorded)["database"][0]["what"]


def test_a_wal_that_grew_is_a_warning(recorded, monkeypatch):
    """Some reader holds it open."""
    monkeypatch.setattr("telemetry.core.checkup.database._LARGE_WAL_BYTES", -1)

    assert WARNING == findings(recorded)["database"][1]["level"]


def test_a_torn_journal_is_a_note(recorded):
    """A writer died in the middle of a line: nobody needs to do anything."""
    journal = next(recorded.base_dir.glob("raw/*.ndjson"))
    with journal.open("ab") as file:
        file.write(b'{"record_type":"ev')

    finding = findings(recorded)["journal"][0]

    assert (NOTE, True) == (finding["level"], "torn" in finding["what"])


def test_an_empty_journal_file_is_whole(tmp_path: Path):
    """A file without a line has no torn one."""
    (tmp_path / "events_20261124.ndjson").touch()

    assert [OK] == [finding.level for finding in check_journal(tmp_path)]


def test_runs_of_the_future_are_a_warning():
    """A clock is wrong somewhere; a time that is none says nothing."""
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    runs = [RunRecord(run_id="r", agent_name="a", start_time=time) for time in (later, "soon")]

    assert [[WARNING], [], []] == [[finding.level for finding in check_clock(run)] for run in (*runs, None)]


def test_another_package_of_our_name_is_a_fault():
    """Two distributions that install `telemetry` overwrite each other."""
    [clash] = check_name({"telemetry": ["local-telemetry", "telemetry"]})
    [alone] = check_name({"telemetry": ["local-telemetry"]})

    assert (FAULT, OK) == (clash.level, alone.level)
    assert "pip uninstall telemetry" in clash.cure


def test_broken_sinks_and_plugins_are_faults(recorded, tmp_path: Path, monkeypatch):
    """With the reason, and the way to do without them."""
    from telemetry.plugins import discovery
    from telemetry.plugins.entry_points import PluginEntry

    broken = PluginEntry("gone", "telemetry", "no_such_module", "", "acme", "1.0")
    spare = PluginEntry("spare", "telemetry.sinks", "no_such_module", "Sink", "acme", "1.0")
    shadow = PluginEntry("ndjson", "telemetry.sinks", "json", "loads", "acme", "1.0")
    found = (*discovery.scanned_entries(), broken, spare, shadow)
    monkeypatch.setattr(discovery, "scanned_entries", lambda: found)
    (tmp_path / "telemetry.toml").write_text('[sinks.a]\ntype = "nosuch"\n[sinks.raw]\ntype = "ndjson"\n')

    faults = findings(recorded)

    assert [FAULT, OK] == [finding["level"] for finding in faults["sinks"]]
    assert [WARNING, WARNING, FAULT] == [finding["level"] for finding in faults["plugins"]]
    assert "no_such_module" in faults["plugins"][2]["evidence"]


def test_a_store_that_cannot_be_read_is_a_fault(real_bench, tmp_path: Path):
    """A set-up that nobody can read from records into the void."""
    (tmp_path / "telemetry.toml").write_text('[sinks.m]\ntype = "memory"\n')

    found = findings(real_bench)

    assert FAULT == found["store"][0]["level"]
    assert NOTE == found["database"][0]["level"]


def test_levels_have_an_order():
    """From good to bad."""
    assert (OK, NOTE, WARNING, FAULT) == LEVELS


def test_locks_that_keep_nobody_out_are_a_warning(tmp_path: Path, monkeypatch):
    """As on some network mounts: two processes would write at once."""
    import filelock

    sound = [finding.level for finding in check_locks(tmp_path, ())]
    monkeypatch.setattr(filelock, "lock_descriptor", lambda descriptor, blocking: True)

    assert ([OK], [WARNING]) == (sound, [finding.level for finding in check_locks(tmp_path, ())])


def test_a_frozen_holder_of_a_lock_is_a_warning(tmp_path: Path):
    """With its file, by which lsof finds the process."""
    import filelock

    with (tmp_path / ".lock").open("wb") as file:
        filelock.lock_descriptor(file.fileno(), blocking=False)
        [finding] = check_locks(tmp_path, (tmp_path / ".lock", tmp_path / "none"))

    assert (WARNING, True) == (finding.level, str(tmp_path / ".lock") in finding.evidence)


def test_a_shared_file_system_is_a_note(tmp_path: Path):
    """The database works there, without what makes it fast."""
    told = [next(check_file_system(tmp_path, *given)) for given in (("ext4", True), ("nfs4", False), ("", True))]

    assert [OK, NOTE, OK] == [finding.level for finding in told]
    assert "nfs4" in told[1].what
    assert "telemetry merge" in told[1].cure


def test_a_damaged_database_is_mended(recorded):
    """--fix builds it anew from the journal, and the runs are all there."""
    path = recorded.base_dir / "db" / "telemetry.sqlite"
    before = recorded.run("runs", "--nl").out
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096 * 12)
    for rest in path.parent.glob("*-*"):
        rest.unlink()

    found = findings(recorded)["database"][0]
    answer = recorded.run("doctor", "--fix", "--json")

    assert (FAULT, True, "telemetry rebuild") == (found["level"], found["can_fix"], found["cure"])
    assert [OK] == [each["level"] for each in json.loads(answer.out) if each["area"] == "database"]
    assert 0 == answer.code
    after = recorded.run("runs", "--nl").out
    old, new = ([json.loads(line)["run_id"] for line in text.splitlines()] for text in (before, after))
    assert old == new != []


@pytest.mark.parametrize(("hours", "level"), [(0.1, OK), (3, WARNING)])
def test_a_remote_sink_that_lags_is_a_warning(recorded, monkeypatch, hours: float, level: str):
    """Records that wait for hours, though nothing is known to hold them up: no process delivers."""
    from telemetry.core.cli.commands.sinks import SinkRow

    oldest = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    row = SinkRow("hq", "api", "here", pending=7, oldest=oldest, dead=0)
    monkeypatch.setattr("telemetry.core.cli.commands.doctor.sink_rows", lambda desk: [row])

    [finding] = findings(recorded)["sinks"]

    assert level == finding["level"]
    assert (level == WARNING) == ("7 records to deliver, the oldest for 3 h" in finding["what"])
