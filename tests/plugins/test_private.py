"""A folder of ours is closed to others, however many folders had to be made for it."""

import os
import stat
import sys

import pytest

from telemetry.plugins.private import make_private_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX alone has modes like these")


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def umask(request):
    """Return a umask that is in force."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    """Return the mode of *path*."""
    return stat.S_IMODE(path.stat().st_mode)


def test_each_missing_folder_is_private_whatever_the_umask(tmp_path, umask):
    """0700 for each that was missing; what is there already keeps its mode."""
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o755)

    make_private_folder(there / "a" / "b" / "c")

    folders = (there, there / "a", there / "a" / "b", there / "a" / "b" / "c")
    assert [0o755, 0o700, 0o700, 0o700] == [mode(folder) for folder in folders]


def test_a_folder_that_exists_is_fine(tmp_path):
    """A second call changes nothing."""
    tmp_path.chmod(0o750)

    make_private_folder(str(tmp_path))

    assert 0o750 == mode(tmp_path)


def test_a_relative_folder_lies_where_we_are(tmp_path, monkeypatch):
    """As with every other call that takes a path."""
    monkeypatch.chdir(tmp_path)

    make_private_folder("a/b")

    assert 0o700 == mode(tmp_path / "a")
    assert 0o700 == mode(tmp_path / "a" / "b")


@pytest.mark.parametrize("below", ["", "a/b"])
def test_a_file_in_its_place_is_told(tmp_path, below):
    """The error says that it is no folder, and where it lies."""
    (tmp_path / "taken").write_text("")

    with pytest.raises(NotADirectoryError, match="taken"):
        make_private_folder(tmp_path / "taken" / below)
