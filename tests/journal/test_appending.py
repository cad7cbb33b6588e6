"""A line is in today's file, whole and on its own, before `append()` returns, whatever happens to the file."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import decode_lines
from telemetry.sinks.journal import Journal, journal_files
from telemetry.sinks.journal.disk import Disk

DAY = "events_20261123.ndjson"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has modes and limits like these")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_line_is_in_the_file_of_the_day(open_journal, tmp_path, line):
    """One line a record, byte by byte as it was given; another process could read it now."""
    journal = open_journal()

    for n in range(3):
        journal.append(line(n))

        assert b"".join(map(line, range(n + 1))) == (tmp_path / "raw" / DAY).read_bytes()


def test_nothing_is_made_before_the_first_line(open_journal, tmp_path):
    """A program that records nothing leaves no traces; closing and syncing need no file."""
    journal = open_journal()

    assert journal.sync(1.0)
    journal.close()
    assert [] == list(tmp_path.iterdir())


def test_an_unknown_mode_is_refused(open_journal):
    """The message tells the value and the modes."""
    with pytest.raises(ValueError, match="fsync is 'sometimes'; it must be one of always, interval, never"):
        open_journal(fsync="sometimes")


@POSIX
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777])
def test_files_are_private_whatever_the_umask_says(open_journal, tmp_path, line, umask):
    """0600 for files, 0700 for each directory that was missing; what is there already keeps its mode."""
    (tmp_path / "base").mkdir(mode=0o755)
    os.chmod(tmp_path / "base", 0o755)
    before = os.umask(umask)
    try:
        open_journal(tmp_path / "base" / "new" / "raw").append(line(1))
    finally:
        os.umask(before)

    raw = tmp_path / "base" / "new" / "raw"
    assert {0o600} == {_mode(path) for path in raw.iterdir()}
    assert (0o755, 0o700, 0o700) == (_mode(tmp_path / "base"), _mode(raw.parent), _mode(raw))


@POSIX
def test_the_mode_of_a_file_that_exists_stays(open_journal, tmp_path, line):
    """Its owner may have opened it to a group on purpose."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / DAY).touch()
    os.chmod(tmp_path / "raw" / DAY, 0o640)

    open_journal().append(line(1))

    assert 0o640 == _mode(tmp_path / "raw" / DAY)


def test_a_new_utc_day_begins_a_new_file(open_journal, clock, tmp_path, line):
    """The first line after midnight goes to the new file, at the second; so does one after the clock was set back."""
    journal = open_journal()
    midnight = 1795478400.0

    for n, moment in enumerate((midnight - 0.001, midnight, midnight + 5, midnight - 10)):
        clock.now = moment
        journal.append(line(n))

    files = {path.name: path.read_bytes() for path in (tmp_path / "raw").glob("*.ndjson")}
    assert {DAY: line(0) + line(3), "events_20261124.ndjson": line(1) + line(2)} == files


@POSIX
def test_a_day_that_cannot_be_opened_goes_on_in_the_old_file(open_journal, clock, tmp_path, line):
    """No descriptor is left at midnight, say: yesterday's file is better than none; a second later it is tried anew."""
    import resource

    journal = open_journal()
    journal.append(line(1))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    clock.now += 86400

    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limit[1]))
    try:
        journal.append(line(2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    clock.now += 1
    journal.append(line(3))

    assert line(1) + line(2) == (tmp_path / "raw" / DAY).read_bytes()
    assert line(3) == (tmp_path / "raw" / "events_20261124.ndjson").read_bytes()
    assert 1 == journal.health()["open_faults"]
    assert "close files or raise the limit" in journal.health()["last_fault"]


@given(st.integers(0, 60), st.integers(1, 3))
def test_a_torn_tail_is_ended_and_never_cut(tmp_path_factory, cut, count):
    """Whatever a killed writer left: its bytes stay, and the next line begins on a line of its own."""
    directory = tmp_path_factory.mktemp("raw")
    torn = b'{"record_type":"event","run_id":"x","payload":{"text":"abcd"'[:cut]
    whole = b'{"record_type":"event","run_id":"r","event_type":"e","timestamp":"t"}\n'
    journal = Journal(directory, fsync="never", clock=lambda: 1795435200.0)

    for _ in range(count):
        with (directory / DAY).open("ab") as stream:
            stream.write(torn)
        journal.append(whole)
    journal.close()

    blob = (directory / DAY).read_bytes()
    assert (torn + (b"\n" if torn else b"") + whole) * count == blob
    assert count == len(list(decode_lines(blob)))
    assert count * bool(torn) == journal.health()["tails_mended"]


def test_a_tail_is_looked_at_only_after_others_wrote(open_journal, tmp_path, line, monkeypatch):
    """Our own lines end with a newline; reading the last byte each time would cost a fifth of a call."""
    looks = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *arguments: looks.append(arguments) or pread(*arguments))
    ours, theirs = open_journal(fsync="never"), open_journal(fsync="never")

    for journal in (ours, ours, ours, theirs, theirs, ours, ours):
        journal.append(line(1))

    assert 2 == len(looks)
    assert line(1) * 7 == (tmp_path / "raw" / DAY).read_bytes()


def _short(*portions: int):
    """Return a write that takes only so many bytes, call by call, and then all."""
    left = list(portions)

    def write(descriptor: int, text: bytes | memoryview) -> int:
        return os.write(descriptor, text[: left.pop(0)] if left else text)

    return write


@given(st.lists(st.integers(1, 200), max_size=5))
def test_a_short_write_is_continued(tmp_path_factory, portions):
    """A signal or a disk that is nearly full may cut a write; the line is whole in the end."""
    directory = tmp_path_factory.mktemp("raw")
    journal = Journal(directory, fsync="never", disk=Disk(write=_short(*portions)), clock=lambda: 1795435200.0)

    journal.append(b"1" * 300 + b"\n")
    journal.append(b"2" * 300 + b"\n")
    journal.close()

    assert b"1" * 300 + b"\n" + b"2" * 300 + b"\n" == (directory / DAY).read_bytes()


def _interrupted_by(line: bytes, path: Path, is_seen_before: bool):
    """Return a write that is cut at its first call, with *line* of somebody else in the gap."""
    calls: list[int] = []

    def write(descriptor: int, text: bytes | memoryview) -> int:
        calls.append(len(text))
        written = os.write(descriptor, text[:20]) if len(calls) == 1 else 0
        # Either before we look at the end of the file, or just after that and before we go on.
        if len(calls) == (1 if is_seen_before else 2):
            with path.open("ab") as stream:
                stream.write(b"\n" + line)
        return written or os.write(descriptor, text)

    return write


@pytest.mark.parametrize("is_seen_before", [True, False])
def test_a_line_that_was_interrupted_by_another_is_written_anew(open_journal, tmp_path, line, numbers, is_seen_before):
    """Somebody without the lock wrote into the gap of a short write: of two halves nothing could be read."""
    path = tmp_path / "raw" / DAY
    write = _interrupted_by(line(2), path, is_seen_before)

    open_journal(disk=Disk(write=write)).append(line(1))

    assert [2, 1] == numbers(tmp_path / "raw")
    assert path.read_bytes().startswith(line(1)[:20] + b"\n" + line(2))
    assert path.read_bytes().endswith(b"\n" + line(1)) or is_seen_before


@pytest.mark.parametrize("portions", [[-20], [10, -20], [10, 20, -150, -20]])
def test_lines_before_an_interrupted_one_are_not_written_twice(open_journal, tmp_path, line, numbers, portions):
    """A group of lines was cut in its last one: only that one starts over."""
    path = tmp_path / "raw" / DAY
    left = list(portions)

    def write(descriptor: int, text: bytes | memoryview) -> int:
        if not left:
            return os.write(descriptor, text)
        written = os.write(descriptor, text[: left.pop(0)])
        if not left:
            with path.open("ab") as stream:
                stream.write(b"\n" + line(9))
        return written

    journal = open_journal(disk=Disk(write=write))
    journal._write(line(1) + line(2) + line(3))

    assert [1, 2, 9, 3] == numbers(tmp_path / "raw")


@pytest.mark.parametrize("is_seen_before", [True, False])
def test_lines_behind_an_interrupted_one_are_not_written_twice(open_journal, tmp_path, line, numbers, is_seen_before):
    """A group of lines was cut in its first one: whether the others stand behind the gap or not, each is there once."""
    write = _interrupted_by(line(9), tmp_path / "raw" / DAY, is_seen_before)

    journal = open_journal(disk=Disk(write=write))
    journal._write(line(1) + line(2) + line(3))
    journal._write(line(4))

    assert [1, 2, 3, 4, 9] == sorted(numbers(tmp_path / "raw"))


def test_a_line_that_cannot_be_written_anew_is_told_once(open_journal, tmp_path, line):
    """Cut by another writer, and then the disk is full: one sentence says so."""
    calls: list[int] = []

    def write(descriptor: int, text: bytes | memoryview) -> int:
        calls.append(len(text))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with (tmp_path / "raw" / DAY).open("ab") as stream:
            count = os.write(descriptor, text[:20])
            stream.write(line(2))
        return count

    with pytest.raises(OSError, match="free some space there") as caught:
        open_journal(disk=Disk(write=write)).append(line(1))

    assert 2 == len(calls)
    assert 1 == str(caught.value).count("cannot append")


def test_a_full_disk_is_told_with_path_and_cure(open_journal, tmp_path, line):
    """The line is refused, not half accepted; when there is space again the next one stands on a line of its own."""
    room = [len(line(1)) + 30]

    def write(descriptor: int, text: bytes | memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = os.write(descriptor, text[: room[0]])
        room[0] -= count
        return count

    journal = open_journal(disk=Disk(write=write))
    journal.append(line(1))
    for _ in range(3):
        with pytest.raises(OSError, match="free some space there") as caught:
            journal.append(line(2))
    room[0] = 10_000
    journal.append(line(3))

    assert (errno.ENOSPC, str(tmp_path / "raw" / DAY)) == (caught.value.errno, caught.value.filename)
    assert line(1) + line(2)[:30] + b"\n" + line(3) == (tmp_path / "raw" / DAY).read_bytes()
    assert (3, 1) == (journal.health()["append_faults"], journal.health()["tails_mended"])


def test_a_write_that_takes_nothing_is_a_full_disk(open_journal, line):
    """Some file systems answer 0 in place of an error; that must not loop for ever."""
    with pytest.raises(OSError, match="No space left") as caught:
        open_journal(disk=Disk(write=lambda descriptor, text: 0)).append(line(1))

    assert errno.ENOSPC == caught.value.errno


LIMITED = """
import resource, sys
from telemetry.sinks.journal import Journal

journal = Journal(sys.argv[1], fsync=sys.argv[2])
journal.append(b"1" * 99 + b"\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        journal.append(b"2" * 99 + b"\\n")
    except OSError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(b"3" * 99 + b"\\n")
"""


@POSIX
@pytest.mark.parametrize("fsync", ["always", "never"])
def test_a_real_limit_of_the_file_size_is_survived(tmp_path, fsync):
    """The kernel itself cuts the write short and then refuses it; the journal goes on when the limit is gone."""
    run = subprocess.run([sys.executable, "-c", LIMITED, tmp_path, fsync], capture_output=True, text=True, check=True)

    (file,) = journal_files(tmp_path)
    lines = file.path.read_bytes().split(b"\n")
    assert [b"1" * 99, b"2" * 50, b"3" * 99, b""] == lines
    assert 2 == run.stdout.count("raise the limit of the file size")


@pytest.mark.parametrize(("there", "opened"), [(DAY, 1), ("events_20261123.r1.ndjson", 2)])
def test_a_day_that_was_gzipped_goes_on_in_another_file(open_journal, tmp_path, numbers, line, there, opened):
    """A clock may be set back into it; the gzipped file is complete for ever."""
    directory = tmp_path / "raw"
    directory.mkdir()
    (directory / f"{there}.gz").write_bytes(gzip.compress(line(1)))

    for n in (2, 3):
        journal = open_journal()
        journal.append(line(n))
        journal.close()

    assert [1, 2, 3] == numbers(directory)
    assert line(2) + line(3) == (directory / f"events_20261123.r{opened}.ndjson").read_bytes()


def test_a_deleted_directory_is_made_again(open_journal, clock, tmp_path, numbers, line):
    """Within a second the journal is back, lock and all; what was deleted is gone."""
    journal = open_journal()
    journal.append(line(1))

    shutil.rmtree(tmp_path / "raw")
    clock.now += 1
    journal.append(line(2))
    journal.append(line(3))

    assert [2, 3] == numbers(tmp_path / "raw")
    assert (tmp_path / "raw" / ".lock").exists()
    assert 2 == journal.health()["files_opened"]


@pytest.mark.parametrize("how", ["deleted", "renamed", "replaced"])
def test_a_file_that_was_taken_away_is_begun_anew(open_journal, clock, tmp_path, line, how):
    """logrotate or a hand took today's file: a second later lines go where readers look for them."""
    journal, path = open_journal(), tmp_path / "raw" / DAY
    journal.append(line(1))

    if how == "deleted":
        path.unlink()
    else:
        path.rename(path.with_suffix(".old"))
    if how == "replaced":
        path.write_bytes(line(8))
    clock.now += 1
    journal.append(line(2))

    assert (line(8) if how == "replaced" else b"") + line(2) == path.read_bytes()


def test_the_path_is_looked_at_once_a_second(open_journal, clock, line, monkeypatch):
    """A look at each line would cost as much as the write."""
    journal = open_journal(fsync="never")
    journal.append(line(1))
    looks = []
    look = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: looks.append(path) or look(path, **options))

    for _ in range(40):
        clock.now += 0.25
        journal.append(line(1))

    assert 2 * 10 == len(looks)  # the file and the lock file


def test_a_path_that_cannot_be_looked_at_is_written_on(open_journal, clock, tmp_path, line, monkeypatch):
    """Whatever stat() says but "not there": the open descriptor still works."""
    journal = open_journal()
    journal.append(line(1))

    def refused(path: str) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refused)
        clock.now += 1
        journal.append(line(2))

    assert line(1) + line(2) == (tmp_path / "raw" / DAY).read_bytes()
    assert 1 == journal.health()["files_opened"]


@pytest.mark.parametrize("fsync", ["always", "never"])
def test_a_place_that_takes_no_directory_is_told(open_journal, tmp_path, line, fsync):
    """A file stands where the journal belongs: each line says so, and the first one after it is gone is kept."""
    (tmp_path / "raw").write_text("in the way")
    journal = open_journal(fsync=fsync)

    for _ in range(2):
        with pytest.raises(OSError, match="cannot open the journal") as caught:
            journal.append(line(1))
    (tmp_path / "raw").unlink()
    journal.append(line(2))

    assert str(tmp_path / "raw") == caught.value.filename
    assert line(2) == (tmp_path / "raw" / DAY).read_bytes()


def test_a_closed_journal_opens_again(open_journal, tmp_path, line):
    """A line that comes in an atexit handler, after the client was closed, is kept as well."""
    journal = open_journal()
    for n in range(3):
        journal.append(line(n))
        journal.close()
        journal.close()

    assert line(0) + line(1) + line(2) == (tmp_path / "raw" / DAY).read_bytes()


def test_no_descriptor_is_left_open(open_journal, clock, tmp_path, line):
    """Days, deletions and closings come and go; two descriptors are open at a time, none in the end."""
    journal = open_journal()
    journal.append(line(0))
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None

    for n in range(20):
        clock.now += 86400 if n % 2 else 1
        if n % 3 == 0:
            shutil.rmtree(tmp_path / "raw")
        journal.append(line(n))
    journal.append(line(99))
    after = len(os.listdir("/proc/self/fd")) if before else None
    journal.close()

    assert before == after
    assert before is None or before - 2 == len(os.listdir("/proc/self/fd"))


def test_health_tells_place_mode_and_faults(open_journal, tmp_path, line):
    """Plain facts for `client.status()`; before the first line there is no file."""
    journal = open_journal(fsync="interval")
    before = journal.health()

    journal.append(line(1))

    assert {"directory": str(tmp_path / "raw"), "file": None, "fsync": "interval", "files_opened": 0} == {
        key: before[key] for key in ("directory", "file", "fsync", "files_opened")
    }
    assert (str(tmp_path / "raw" / DAY), 1) == (journal.health()["file"], journal.health()["files_opened"])
    assert {0} == {value for key, value in journal.health().items() if key.endswith(("faults", "misses", "timeouts"))}
    assert (None, None) == (journal.health()["last_fault"], journal.health()["lock_fault"])
