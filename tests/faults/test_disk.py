"""A disk that is full, read-only or gone stops no agent, and what was lost is owned up to."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry import TelemetryClient
from telemetry.plugins.records import RunEvent
from telemetry.sinks.journal import journal_files, read_records

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a small disk")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def _events(base_dir: Path) -> list[RunEvent]:
    records = (found.record for file in journal_files(base_dir / "raw") for found in read_records(file))
    return [record for record in records if isinstance(record, RunEvent)]


def test_a_full_disk_costs_only_what_finds_no_room(small_disk, caplog):
    """The agent goes on, one complaint is heard, and when there is room again the journal says what is missing."""
    caplog.set_level(logging.WARNING)
    client = TelemetryClient(base_dir=small_disk)
    run_id = client.start_run("agent", "job")
    filler = small_disk / "filler"
    _fill(filler)
    for number in range(200):
        client.log_event(run_id, "count", {"number": number, "pad": "x" * 500})
    lost = client.status()["lost"]

    filler.unlink()
    client.log_event(run_id, "room again")
    client.end_run(run_id)

    kept = _events(small_disk)
    (report,) = [event for event in kept if event.event_type == "telemetry_records_lost"]
    assert 0 < lost == report.payload["count"] == report.payload["by_run"][run_id]
    assert 200 - lost == sum(event.event_type == "count" for event in kept)
    assert "No space left" in report.payload["reason"]
    assert 1 == sum("sink ndjson failed" in record.getMessage() for record in caplog.records)
    run = client.get_run(run_id)
    assert run is not None
    assert "success" == run.status


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_a_deleted_directory_comes_back(tmp_path):
    """Somebody deletes the base directory under a running agent: it is made again, within about a second."""
    base_dir = tmp_path / "base"
    client = TelemetryClient(base_dir=base_dir)
    client.end_run(client.start_run("agent", "before"))
    shutil.rmtree(base_dir)
    time.sleep(1.1)
    run_id = client.start_run("agent", "after")
    client.log_event(run_id, "alive")
    client.end_run(run_id)

    assert ["alive"] == [event.event_type for event in _events(base_dir)]
    run = client.get_run(run_id)
    assert run is not None
    assert "success" == run.status


def test_a_rotated_file_is_left_behind(tmp_path):
    """Somebody renames today's file: after a second at most, lines go to a new one, and none is lost."""
    client = TelemetryClient(base_dir=tmp_path)
    run_id = client.start_run("agent", "job")
    (file,) = (tmp_path / "raw").glob("*.ndjson")
    moved = file.rename(file.with_suffix(".moved"))

    for number in range(12):
        client.log_event(run_id, "count", {"number": number})
        time.sleep(0.1)

    lines = moved.read_bytes().count(b'"count"') + file.read_bytes().count(b'"count"')
    assert 12 == lines
