"""A cursor survives whatever can be read back, and says so when it cannot be."""

import gzip
import shutil

import pytest

from telemetry.plugins.errors import StoreError
from telemetry.sinks.delivery.cursor import (
    Cursor,
    Mark,
    Trouble,
    create_cursor,
    first_cursor,
    is_still_there,
    load_cursor,
    mark_at,
    save_cursor,
)
from telemetry.sinks.journal import journal_files


def test_what_is_saved_is_loaded(tmp_path):
    """Every field comes back."""
    cursor = Cursor(
        "20261123",
        (Mark("events_20261123.ndjson", "abc", 17, "0a"),),
        ("key1", "key2"),
        Trouble("2026-11-23T10:00:00+00:00", 3, 1, "503", "run", "key", "2026-11-23T10:00:04+00:00"),
        ("events_20261122.ndjson",),
    )

    save_cursor(tmp_path / "c", cursor)

    assert cursor == load_cursor(tmp_path / "c")


def test_no_file_is_no_cursor(tmp_path):
    """None, and no error."""
    assert load_cursor(tmp_path / "c") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"version": 1, "marks": 3}', b'{"first_day": ""}'])
def test_damage_is_told(tmp_path, content):
    """Never an empty cursor out of a broken file: the caller decides what that means."""
    (tmp_path / "c").write_bytes(content)

    with pytest.raises(ValueError, match="is no cursor"):
        load_cursor(tmp_path / "c")


def test_a_cursor_of_the_future_is_left_alone(tmp_path):
    """A later version may mean something else by the same words."""
    (tmp_path / "c").write_bytes(b'{"version": 2, "marks": {"new": "shape"}}')

    with pytest.raises(StoreError, match="later version"):
        load_cursor(tmp_path / "c")


def test_creating_leaves_an_existing_cursor(tmp_path):
    """The process that came first said where the delivery begins."""
    assert create_cursor(tmp_path / "c", Cursor("20261123"))
    assert not create_cursor(tmp_path / "c", Cursor())
    assert Cursor("20261123") == load_cursor(tmp_path / "c")


def test_a_new_sink_begins_behind_what_is_there(base):
    """Plain files are measured, since they may grow; of gzipped ones the names are enough."""
    base.write_runs("r1", "r2")
    (file,) = journal_files(base.raw)
    shutil.copy(file.path, base.raw / "events_20200102.ndjson")
    (base.raw / "events_20200101.ndjson.gz").write_bytes(gzip.compress(file.path.read_bytes()))

    cursor = first_cursor(base.raw, is_backfill=False)

    names = ["events_20200102.ndjson", file.name]
    assert (file.name[7:15], ("events_20200101.ndjson",)) == (cursor.first_day, cursor.left_out)
    assert [(name, file.head, file.size) for name in names] == [(m.name, m.head, m.offset) for m in cursor.marks]


@pytest.mark.parametrize(("has_journal", "is_backfill"), [(False, False), (True, True)])
def test_otherwise_it_begins_at_the_beginning(base, has_journal, is_backfill):
    """With backfill, or with no journal but its own."""
    base.write_runs("r1")

    assert Cursor() == first_cursor(base.raw if has_journal else None, is_backfill=is_backfill)


def test_a_journal_directory_that_does_not_exist_is_an_empty_one(base):
    """The first client of all opens its sinks before any file is there."""
    assert Cursor() == first_cursor(base.raw, is_backfill=False)


def test_a_mark_knows_its_place_again(base):
    """Growth keeps it, a lost end does not."""
    base.write_runs("r1", "r2")
    (file,) = journal_files(base.raw)
    mark = mark_at(file, file.name, file.head, file.size)

    base.write_runs("r3")
    assert is_still_there(file, mark)

    file.path.write_bytes(file.path.read_bytes()[: mark.offset - 9] + b"x" * 500)
    assert not is_still_there(file, mark)


def test_a_mark_holds_in_the_gzipped_file(base):
    """A closed day is complete, and its offsets count uncompressed bytes."""
    base.write_runs("r1", "r2")
    (file,) = journal_files(base.raw)
    mark = mark_at(file, file.name, file.head, file.size)
    with gzip.open(f"{file.path}.gz", "wb") as stream:
        stream.write(file.path.read_bytes())
    file.path.unlink()
    (zipped,) = journal_files(base.raw)

    assert is_still_there(zipped, mark)
    assert (mark.name, mark.head, "") == (zipped.name, zipped.head, mark_at(zipped, zipped.name, "h", 5).tail)
