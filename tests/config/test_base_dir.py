"""Prove that the base directory is the first of the documented ones that the user can write, and no other."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from telemetry import TelemetryConfig
from telemetry.core.config import places

_USUAL = places._USUAL  # as they are before the fixture takes them away
FILE = "this is a file"


def test_database_comes_first(monkeypatch, folder):
    """TELEMETRY_DB_PATH's grandparent, else TELEMETRY_BASE_DIR, else AGENT_METRICS_DIR."""
    monkeypatch.setenv("AGENT_METRICS_DIR", str(folder / "older"))
    assert folder / "older" == TelemetryConfig.from_env().metrics_dir

    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(folder / "base"))
    assert folder / "base" == TelemetryConfig.from_env().metrics_dir

    monkeypatch.setenv("TELEMETRY_DB_PATH", str(folder / "a/b/c.sqlite"))
    config = TelemetryConfig.from_env()
    assert (folder / "a", folder / "a/b/c.sqlite") == (config.metrics_dir, config.database_path)
    assert folder / "a/raw" == config.ndjson_dir
    assert ("TELEMETRY_DB_PATH", ()) == (config.origins["metrics_dir"], config.faults)


def test_later_source_proposes_first(monkeypatch, folder, write):
    """An argument wins over a variable, a variable over the file."""
    write('base_dir = "file"\n')
    assert folder / "file" == TelemetryConfig.load().metrics_dir

    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(folder / "environment"))
    assert folder / "environment" == TelemetryConfig.load().metrics_dir

    assert folder / "a" == TelemetryConfig.load(database_path=folder / "a/b/c").metrics_dir
    assert folder / "argument" == TelemetryConfig.load(metrics_dir="argument").metrics_dir


def test_database_in_the_file_names_the_base_directory(folder, write):
    """In a file `base_dir` says it, and without it the grandparent of `database_path`."""
    write('database_path = "a/b/c.sqlite"\n')
    assert folder / "a" == TelemetryConfig.load().metrics_dir

    write('database_path = "a/b/c.sqlite"\nbase_dir = "base"\n')
    config = TelemetryConfig.load()
    assert (folder / "base", folder / "a/b/c.sqlite") == (config.metrics_dir, config.database_path)


def test_root_of_the_file_system_is_never_the_base_directory():
    """For /data/telemetry.sqlite, with a volume mounted at /data, it is /data."""
    root = Path(Path.cwd().anchor)

    assert root / "data" == places.base_of(root / "data/telemetry.sqlite")
    assert root == places.base_of(root / "telemetry.sqlite")
    assert root / "data" == places.base_of(root / "data/db/telemetry.sqlite")


def test_usual_directories_in_order(folder, monkeypatch, isolated_environment):
    """The first usual one that exists, then ~/.telemetry if it exists, else the platform's directory."""
    first, second = folder / "first", folder / "second"
    monkeypatch.setattr(places, "_USUAL", (str(first), str(second)))
    data = places.user_directory("data", os.environ)

    assert data == TelemetryConfig().metrics_dir
    (isolated_environment / ".telemetry").mkdir()
    assert isolated_environment / ".telemetry" == TelemetryConfig().metrics_dir
    second.mkdir()
    assert second == TelemetryConfig().metrics_dir
    first.mkdir()
    assert first == TelemetryConfig().metrics_dir


def test_usual_directories_are_those_of_the_contract():
    """Linux, Docker and Windows, in the documented order."""
    expected = ("/agent-metrics", "/opt/telemetry", "/data/telemetry", "D:/agent-metrics", "C:/agent-metrics")

    assert expected == _USUAL


@pytest.mark.skipif(sys.platform == "win32", reason="there it is a drive")
def test_windows_drive_is_no_folder_here(folder, monkeypatch):
    """A folder that happens to be called `D:` in the working directory is not taken."""
    monkeypatch.setattr(places, "_USUAL", ("D:/agent-metrics",))
    (folder / "D:/agent-metrics").mkdir(parents=True)

    assert "D:" not in TelemetryConfig().metrics_dir.parts


@pytest.mark.parametrize("variable", ["TELEMETRY_BASE_DIR", "AGENT_METRICS_DIR"])
def test_proposal_that_cannot_be_used_is_passed_over(variable, folder, monkeypatch):
    """A directory below a file cannot be made: a fault says which one is used instead."""
    (folder / FILE).write_text("", "utf-8")
    monkeypatch.setenv(variable, str(folder / FILE / "base"))

    config = TelemetryConfig.load()

    data = places.user_directory("data", os.environ)
    refused = f"{str(folder / FILE / 'base')!r} (from {variable}) cannot be written by this user; {str(data)!r} is used"
    assert (data, "default", (refused,)) == (config.metrics_dir, config.origins["metrics_dir"], config.faults)


def test_database_and_journal_that_cannot_be_written(folder, monkeypatch):
    """They move back into the base directory, with a fault each."""
    (folder / FILE).write_text("", "utf-8")
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(folder / "base"))
    monkeypatch.setenv("TELEMETRY_NDJSON_DIR", str(folder / FILE / "raw"))
    monkeypatch.setenv("TELEMETRY_DB_PATH", str(folder / FILE / "db/x.sqlite"))

    config = TelemetryConfig.load()

    assert (folder / "base/raw", folder / "base/db/telemetry.sqlite") == (config.ndjson_dir, config.database_path)
    assert ("default", "default") == (config.origins["ndjson_dir"], config.origins["database_path"])
    wanted = "wanted a place that this user can write"
    assert {
        f"database_path is {str(folder / FILE / 'db/x.sqlite')!r} (in TELEMETRY_DB_PATH); {wanted}",
        f"ndjson_dir is {str(folder / FILE / 'raw')!r} (in TELEMETRY_NDJSON_DIR); {wanted}",
    } <= set(config.faults)


def test_dangling_link_is_no_place_to_write(folder):
    """A directory cannot be made where a link that leads nowhere stands."""
    try:
        (folder / "link").symlink_to(folder / "nowhere")
    except OSError:
        pytest.skip("this user may make no links")

    assert not places.is_usable(folder / "link")
    assert not places.is_usable(folder / "link/below")
    assert places.is_usable(folder / "nowhere")


def test_closed_directory(shared_folder, as_ordinary_user, monkeypatch):
    """A directory that exists but is not ours to write is never taken, from whatever source."""
    closed, mine, data = shared_folder / "closed", shared_folder / "mine", shared_folder / "data"
    for directory in (closed, mine, data):
        directory.mkdir()
    closed.chmod(0o555)
    mine.chmod(0o777)
    data.chmod(0o777)
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    monkeypatch.setattr(places, "_USUAL", (str(closed), str(mine)))
    monkeypatch.setenv("TELEMETRY_CONFIG", os.devnull)
    monkeypatch.chdir(shared_folder)

    usual = as_ordinary_user(lambda: TelemetryConfig.load().metrics_dir)
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(closed / "below"))
    proposed = as_ordinary_user(lambda: TelemetryConfig.load().metrics_dir)
    valid, errors = as_ordinary_user(lambda: TelemetryConfig(metrics_dir=closed).validate())

    assert mine == usual == proposed
    assert not valid
    assert f"metrics_dir needs {str(closed)!r} (in argument), which this user cannot write" == errors[0]


def test_user_without_a_home(folder, monkeypatch):
    """A container may run a user id that has no name and no HOME: what is left is a directory of its own."""
    monkeypatch.setattr(places, "_home", lambda: None)
    monkeypatch.setattr(places, "user_directory", lambda kind, environ: None)
    monkeypatch.setattr(places, "_temporary", lambda: folder)

    config = TelemetryConfig()

    assert folder == config.metrics_dir.parent
    assert config.metrics_dir.name.startswith("telemetry-")
    notice = (
        f"No usual directory can be written by this user; {str(config.metrics_dir)!r} is used, which may be emptied"
    )
    assert (notice,) == config.faults


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX users")
def test_directory_of_another_user_is_not_the_last_resort(shared_folder, as_ordinary_user, monkeypatch):
    """In /tmp anybody can make a directory with the name that we would take, and read what we write into it."""
    monkeypatch.setattr(places, "_home", lambda: None)
    monkeypatch.setattr(places, "user_directory", lambda kind, environ: None)
    monkeypatch.setattr(places, "_temporary", lambda: shared_folder)
    user = as_ordinary_user(os.geteuid)
    (shared_folder / f"telemetry-{user}").symlink_to(shared_folder)
    if os.geteuid() == 0:
        (shared_folder / f"telemetry-{user}-1").mkdir(mode=0o777)

    taken = as_ordinary_user(lambda: TelemetryConfig().metrics_dir)

    assert shared_folder / f"telemetry-{user}-{2 if os.geteuid() == 0 else 1}" == taken


def test_home_is_found_for_a_user_with_a_name(isolated_environment, monkeypatch):
    """HOME names it; where nothing does, there is none."""
    assert isolated_environment == places._home()

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(places.Path, "home", no_home)
    assert places._home() is None


def test_other_platforms_are_asked_of_platformdirs(monkeypatch):
    """Linux is written down here; macOS and Windows are not."""
    import platformdirs

    monkeypatch.setattr(places.sys, "platform", "darwin")

    found = [places.user_directory(kind, {}) for kind in ("data", "config")]

    asked = (platformdirs.user_data_dir, platformdirs.user_config_dir)
    assert [Path(ask("telemetry", appauthor=False)) for ask in asked] == found


def test_temporary_directory(monkeypatch):
    """It is Python's own; where none can be written the root stands in, and the sinks say what fails."""
    assert Path(tempfile.gettempdir()) == places._temporary()

    def nothing_writable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nothing_writable)
    assert Path(os.sep) == places._temporary()


def test_name_that_is_no_name_is_not_the_last_resort(folder):
    """What cannot be looked at is not ours."""
    assert not places._is_ours_or_free(folder / ("x" * 5000))
    assert places._is_ours_or_free(folder / "x")
