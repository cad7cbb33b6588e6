"""The files of a journal are found in the order in which they were written, whatever became of them since."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from telemetry.sinks.journal import JournalFile, journal_files

DAY = "events_20261123.ndjson"


def _only(directory: Path) -> JournalFile:
    (file,) = journal_files(directory)
    return file


def test_files_come_oldest_first(tmp_path):
    """By day, and within a day by the number that counts faults of the disk; `r10` comes after `r9`."""
    names = [
        "events_20251231.ndjson",
        "events_20261122.ndjson",
        "events_20261123.ndjson",
        "events_20261123.r1.ndjson",
        "events_20261123.r9.ndjson",
        "events_20261123.r10.ndjson",
        "events_20261124.ndjson",
    ]
    for name in sorted(names, reverse=True):
        (tmp_path / name).touch()

    assert names == [file.name for file in journal_files(tmp_path)]


def test_other_files_are_left_alone(tmp_path):
    """Only what this platform names is read: no backups, no locks, no half-finished copies."""
    for name in (
        ".lock",
        "events_20261123.ndjson.bak",
        "events_2026.ndjson",
        "notes.ndjson",
        "xevents_20261123.ndjson",
    ):
        (tmp_path / name).touch()

    assert [] == journal_files(tmp_path)


@pytest.mark.parametrize("where", ["missing", "file"])
def test_no_directory_holds_no_files(tmp_path, where):
    """A journal that was never written, or whose place is taken by a file, is empty."""
    (tmp_path / "file").touch()

    assert [] == journal_files(tmp_path / where)


def test_a_gzipped_file_keeps_its_name_head_and_size(tmp_path):
    """Cursors outlive the gzip of a closed day: they count uncompressed bytes and know the file by its first line."""
    (tmp_path / DAY).write_bytes(b"first line\nsecond\n")
    plain = _only(tmp_path)
    before = (plain.name, plain.head, plain.size)

    (tmp_path / f"{DAY}.gz").write_bytes(gzip.compress((tmp_path / DAY).read_bytes()))
    (tmp_path / DAY).unlink()
    zipped = _only(tmp_path)

    assert (True, False) == (zipped.is_closed, plain.is_closed)
    assert before == (zipped.name, zipped.head, zipped.size)
    assert (True, False) == (zipped.has_more(17), zipped.has_more(18))


def test_the_plain_file_counts_while_gzip_is_at_work(tmp_path):
    """Both lie there when gzip works or was killed: the half-written one must not hide the whole one."""
    (tmp_path / DAY).write_bytes(b"line\n")
    (tmp_path / f"{DAY}.gz").write_bytes(gzip.compress(b"line\n")[:-9])

    assert tmp_path / DAY == _only(tmp_path).path


@pytest.mark.parametrize("plain", [b"other\nlines\n", b"a torn line", b""])
def test_a_plain_file_that_is_another_one_hides_no_gzipped_one(tmp_path, plain):
    """A clock that is set back into a gzipped day has its writer make a second file of that name: both are read."""
    (tmp_path / f"{DAY}.gz").write_bytes(gzip.compress(b"first\nlines\n"))
    (tmp_path / DAY).write_bytes(plain)
    (tmp_path / "events_20261123.r1.ndjson").write_bytes(b"after a fault of the disk\n")

    files = journal_files(tmp_path)

    assert [DAY, "events_20261123.r1.ndjson", "events_20261123.r2.ndjson"] == [file.name for file in files]
    assert [f"{DAY}.gz", "events_20261123.r1.ndjson", DAY] == [file.path.name for file in files]


def test_a_second_file_is_found_when_it_was_gzipped_meanwhile(tmp_path):
    """It was listed under the name that it is packed under."""
    (tmp_path / f"{DAY}.gz").write_bytes(gzip.compress(b"first\n"))
    (tmp_path / DAY).write_bytes(b"second\n")
    _, listed = journal_files(tmp_path)
    (tmp_path / "events_20261123.r1.ndjson.gz").write_bytes(gzip.compress(b"second\n"))
    (tmp_path / DAY).unlink()

    with listed.open() as stream:
        assert b"second\n" == stream.read()
    assert [file.name for file in journal_files(tmp_path)] == [DAY, listed.name]


def test_the_head_tells_two_files_of_one_name_apart(tmp_path):
    """It is None until the first line has its newline, then it never changes while lines are added."""
    heads = []
    for text in (b"", b"one", b"one\n", b"one\ntwo\n", b"two\n"):
        (tmp_path / DAY).write_bytes(text)
        heads.append(_only(tmp_path).head)

    assert [None, None] == heads[:2]
    assert heads[2] == heads[3] != heads[4]
    assert None not in heads[2:]


def test_the_head_of_a_long_first_line_is_that_of_all_of_it(tmp_path):
    """A first line of more than one piece is digested whole."""
    long = b"x" * 200_000
    (tmp_path / DAY).write_bytes(long + b"a\n")
    one = _only(tmp_path).head
    (tmp_path / DAY).write_bytes(long + b"b\n")

    assert one != _only(tmp_path).head


def test_has_more_is_told_without_reading(tmp_path):
    """A plain file has more as long as it is longer than the offset."""
    (tmp_path / DAY).write_bytes(b"0123456789")

    assert [True, False, False] == [_only(tmp_path).has_more(offset) for offset in (9, 10, 11)]


def test_a_file_that_is_gone_is_empty(tmp_path):
    """Whoever prunes may do so between the listing and the look."""
    (tmp_path / DAY).touch()
    (tmp_path / "events_20261124.ndjson.gz").touch()
    files = journal_files(tmp_path)
    for file in files:
        file.path.unlink()

    assert [(None, 0, False)] == [(file.head, file.size, file.has_more(0)) for file in files if not file.is_closed]
    assert [(None, 0)] == [(file.head, file.size) for file in files if file.is_closed]


def test_a_file_gzipped_since_it_was_listed_is_still_read(tmp_path):
    """`open()` finds it under its new name; a gzipped file that is gone is not looked for elsewhere."""
    (tmp_path / DAY).write_bytes(b"line\n")
    listed = _only(tmp_path)
    (tmp_path / f"{DAY}.gz").write_bytes(gzip.compress(b"line\n"))
    (tmp_path / DAY).unlink()

    with listed.open() as stream:
        assert b"line\n" == stream.read()

    zipped = _only(tmp_path)
    zipped.path.unlink()
    with pytest.raises(FileNotFoundError):
        zipped.open()


@pytest.mark.parametrize("cut", [0, 5, 17, 40, -9])
def test_a_cut_gzip_file_gives_what_it_holds(tmp_path, cut):
    """A part of the size is better than an error; a look into the file decides what there is."""
    whole = gzip.compress(bytes(range(256)) * 400)
    (tmp_path / f"{DAY}.gz").write_bytes(whole[:cut])
    file = _only(tmp_path)

    assert 0 <= file.size <= 256 * 400
    assert file.has_more(0)
