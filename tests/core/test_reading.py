"""Prove that a store opens for reading wherever somebody points at, and says what is wrong where none is."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import telemetry
from telemetry.plugins import ConfigError, RunQuery, RunRecord, RunStore, StoreError, encode_line
from telemetry.sinks.sqlite.journal_store import JournalStore
from telemetry.sinks.sqlite.store import SqliteStore

RUN = RunRecord(run_id="r1", agent_name="a", start_time="2026-11-23T10:00:00+00:00")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a base directory with a journal of one run."""
    raw = tmp_path / "base" / "raw"
    raw.mkdir(parents=True)
    (raw / "events_20261123.ndjson").write_bytes(encode_line(RUN))
    return raw.parent


@pytest.fixture
def build(base: Path) -> Callable[[], Path]:
    """Return a function that makes the database of the base directory, and returns its path."""

    def build() -> Path:
        database = base / "db" / "telemetry.sqlite"
        store = SqliteStore(database, base / "raw")
        store.stats()
        store.close()
        return database

    return build


def told(store: RunStore) -> list[str]:
    """Return the ids of all runs, and close the store."""
    found = [run.run_id for run in store.runs(RunQuery(limit=None))]
    store.close()
    return found


def test_a_base_directory_is_read_through_its_database(base: Path, build: Callable[[], Path]):
    """Text or path; with the journal behind it, so that what the database lacks is fetched."""
    build()
    with (base / "raw" / "events_20261123.ndjson").open("ab") as file:
        file.write(encode_line(RunRecord(run_id="r2", agent_name="a", start_time="2026-11-24T10:00:00+00:00")))

    store = telemetry.open_store(str(base))

    assert isinstance(store, SqliteStore)
    assert ["r2", "r1"] == told(store)


def test_a_database_that_was_deleted_is_built_again(base: Path, build: Callable[[], Path]):
    """Its folder tells that there was one."""
    database = build()
    database.unlink()

    assert ["r1"] == told(telemetry.open_store(base))
    assert database.exists()


def test_a_base_directory_without_a_database_is_read_through_its_journal(base: Path):
    """Nothing is made there: it may be a copy, or somebody else's."""
    store = telemetry.open_store(base)

    assert isinstance(store, JournalStore)
    assert ["r1"] == told(store)
    assert ["raw"] == [path.name for path in base.iterdir()]


def test_a_journal_folder_is_read_alone(base: Path, build: Callable[[], Path]):
    """Who names the journal gets the journal."""
    build()

    store = telemetry.open_store(base / "raw")

    assert isinstance(store, JournalStore)
    assert ["r1"] == told(store)


def test_the_database_of_a_base_directory_follows_its_journal(base: Path, build: Callable[[], Path]):
    """A deleted row comes back from the journal only by a rebuild, but what the journal adds is there at once."""
    database = build()
    (base / "raw" / "events_20261124.ndjson").write_bytes(
        encode_line(RunRecord(run_id="r2", agent_name="a", start_time="2026-11-24T10:00:00+00:00"))
    )

    assert ["r2", "r1"] == told(telemetry.open_store(database))


def test_a_database_elsewhere_is_read_as_it_is(base: Path, build: Callable[[], Path], tmp_path: Path):
    """A copy follows no journal, and is not changed."""
    copy = tmp_path / "copy.sqlite"
    shutil.copy(build(), copy)
    before = copy.read_bytes()

    assert ["r1"] == told(telemetry.open_store(copy))
    assert before == copy.read_bytes()


def test_the_home_directory_is_understood(base: Path, isolated_environment: Path):
    """`~` is the home of the user."""
    base.rename(isolated_environment / "telemetry")

    assert ["r1"] == told(telemetry.open_store("~/telemetry"))


def test_the_configured_store_is_the_default(base: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a path the environment says where; the database is asked, not the journal before it."""
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(base))

    store = telemetry.open_store()

    assert isinstance(store, SqliteStore)
    assert ["r1"] == told(store)


def test_a_set_up_without_a_database_is_read_through_its_journal(base: Path, monkeypatch: pytest.MonkeyPatch):
    """The file names the journal only."""
    settings = base / "telemetry.toml"
    settings.write_text('[sinks.raw]\ntype = "ndjson"\n[sinks.gone]\ntype = "no such type"\n')
    monkeypatch.setenv("TELEMETRY_CONFIG", str(settings))
    monkeypatch.setenv("TELEMETRY_BASE_DIR", str(base))

    store = telemetry.open_store()

    assert isinstance(store, JournalStore)
    assert ["r1"] == told(store)


def test_a_set_up_that_cannot_be_read_says_why(base: Path, monkeypatch: pytest.MonkeyPatch):
    """Each sink that might have answered, with its reason."""
    settings = base / "telemetry.toml"
    settings.write_text('[sinks.gone]\ntype = "no such type"\n[sinks.here]\ntype = "memory"\n')
    monkeypatch.setenv("TELEMETRY_CONFIG", str(settings))

    with pytest.raises(StoreError, match=r"no such type(?s:.*)'sqlite' or 'ndjson'"):
        telemetry.open_store()


def test_a_broken_configuration_raises_in_strict_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Who asked for strictness gets the faults of the file, not the store of the defaults."""
    settings = tmp_path / "telemetry.toml"
    settings.write_text("base_dir = 7\n")
    monkeypatch.setenv("TELEMETRY_CONFIG", str(settings))
    monkeypatch.setenv("TELEMETRY_STRICT", "1")

    with pytest.raises(ConfigError, match="base_dir"):
        telemetry.open_store()


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_place_without_a_store_is_told_apart(tmp_path: Path, name: str):
    """The message quotes the place and names what would be one."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(StoreError) as raised:
        telemetry.open_store(tmp_path / name)

    assert repr(str(tmp_path / name)) in str(raised.value)
    assert "base directory" in str(raised.value)
    assert [] == list((tmp_path / "empty").iterdir())
