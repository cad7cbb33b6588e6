"""The files of a delivery are whole after a crash, private, and made once."""

import errno
import os
import stat
import threading

import pytest

from telemetry.sinks.delivery.places import Places, create_file, replace_file


def test_all_state_lies_under_the_state_directory(tmp_path):
    """Cursor, lock, dead letters and the own journal carry the sink's name."""
    places = Places(tmp_path, "hq")

    names = {
        "hq.cursor.json": places.cursor,
        "hq.lock": places.lock,
        "hq.dead.ndjson": places.dead_letters,
        "hq.dead.lock": places.dead_letters_lock,
        "hq": places.journal,
    }
    assert {name: tmp_path / name for name in names} == names


def test_the_state_directory_is_private(tmp_path):
    """Made 0700, with its parents, whatever the umask, and a second time without complaint."""
    places = Places(tmp_path / "base" / "state", "hq")

    before = os.umask(0o022)
    try:
        places.prepare()
        places.prepare()
    finally:
        os.umask(before)

    folders = (places.state_dir, places.state_dir.parent)
    assert [0o700, 0o700] == [stat.S_IMODE(folder.stat().st_mode) for folder in folders]


def test_replace_leaves_one_private_file(tmp_path):
    """The old content or the new, and no draft beside it."""
    path = tmp_path / "cursor"

    replace_file(path, b"old")
    replace_file(path, b"new")

    assert b"new" == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777
    assert ["cursor"] == os.listdir(tmp_path)


@pytest.mark.parametrize("write", [replace_file, create_file])
def test_content_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch, write):
    """After a power cut a name must not stand before an empty file; and the name itself is synced last."""
    acts = []

    def noting(name):
        real = getattr(os, name)
        return lambda *arguments: (acts.append(name), real(*arguments))[1]

    for name in ("fsync", "replace", "link"):
        monkeypatch.setattr(os, name, noting(name))

    write(tmp_path / "cursor", b"content")

    assert ["fsync", "replace" if write is replace_file else "link", "fsync"] == acts


def test_create_never_overwrites(tmp_path):
    """The first one wins."""
    path = tmp_path / "cursor"

    assert create_file(path, b"first")
    assert not create_file(path, b"second")
    assert b"first" == path.read_bytes()
    assert ["cursor"] == os.listdir(tmp_path)


def test_of_many_creators_exactly_one_wins(tmp_path):
    """What stands there afterwards is whole, and is what the winner wrote."""
    path = tmp_path / "cursor"
    won = []

    def create(number):
        if create_file(path, b"%d" % number * 1000):
            won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(won)
    assert b"%d" % won[0] * 1000 == path.read_bytes()


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_system_without_links_is_served_too(tmp_path, monkeypatch, is_there):
    """FAT refuses link(); then O_EXCL decides."""
    path = tmp_path / "cursor"
    if is_there:
        path.write_bytes(b"first")
    monkeypatch.setattr(os, "link", _refused)

    assert create_file(path, b"second") is not is_there
    assert (b"first" if is_there else b"second") == path.read_bytes()


def _refused(source, target):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("put", [create_file, replace_file])
def test_a_folder_that_cannot_be_synced_is_no_fault(tmp_path, monkeypatch, put):
    """Some network shares sync files and no folders; the cursor is written all the same."""
    fsync = os.fsync

    def refused(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refused)

    put(tmp_path / "cursor", b"here")

    assert b"here" == (tmp_path / "cursor").read_bytes()
