"""What looks after a store leaves no folder open to others, even when it makes the first one."""

import os
import stat
import sys
from datetime import timedelta

import pytest

from telemetry import TelemetryConfig
from telemetry.core.care import Care

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has modes like these")

ACTS = {
    "backup": lambda care: care.backup(),
    "prune": lambda care: care.prune(timedelta(days=30)),
    "rebuild": lambda care: care.rebuild(),
    "replay": lambda care: care.replay("sqlite"),
}


@pytest.fixture(autouse=True)
def ordinary_umask():
    """Have the umask of most systems in force: others may read what is not closed to them."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_folders(path):
    """Return the folders in *path*, itself too, that others may enter or read."""
    folders = [path, *(found for found in path.rglob("*") if found.is_dir())]
    return [str(folder) for folder in folders if stat.S_IMODE(folder.stat().st_mode) != 0o700]


@pytest.mark.parametrize("act", ACTS)
def test_folders_of_a_new_base_are_private(tmp_path, act):
    """Each act makes the base directory and all in it for its user alone."""
    base = tmp_path / "new" / "base"

    ACTS[act](Care(TelemetryConfig.load(base_dir=base)))

    assert base.is_dir()
    assert [] == open_folders(tmp_path / "new")


def test_folders_above_a_backup_are_private(base, tmp_path):
    """So are those that were missing above the folder that was asked for."""
    base.record(1)

    base.care.backup(tmp_path / "new" / "place" / "monday")

    assert [] == open_folders(tmp_path / "new")


def test_restoring_into_a_new_base_keeps_it_private(base, tmp_path):
    """What comes from a backup is as closed as what was written here."""
    base.record(1)
    made = base.care.backup(tmp_path / "monday")
    there = tmp_path / "new" / "there"

    Care(TelemetryConfig.load(base_dir=there)).restore(tmp_path / "monday")

    assert made.files
    assert [] == open_folders(tmp_path / "new")
