"""The claim to be alive holds whatever becomes of its file, and what failed once is tried again."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.core.claims import Claim, claims_held

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the locks are POSIX")

PROBE = """
import os, sys
from telemetry.core.claims import lock
try:
    lock(os.open(sys.argv[1], os.O_RDWR))
    print("free")
except OSError as error:
    print("held" if isinstance(error, BlockingIOError) else error)
"""


@pytest.fixture
def claim(tmp_path: Path) -> Iterator[Claim]:
    """A claim that was not taken yet."""
    claim = Claim(tmp_path / "state" / "live", "0123456789ab")
    yield claim
    claim.let_go()


def _probed(path: Path) -> str:
    """Return how another process finds the lock of the claim at *path*."""
    done = subprocess.run([sys.executable, "-c", PROBE, path], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _passes_a_second(claim: Claim) -> None:
    claim.sure_until = -math.inf


def _delete(claim: Claim) -> None:
    shutil.rmtree(claim.folder.parent)


def _put_a_copy_there(claim: Claim) -> None:
    # Moved, not deleted: a file system may give a number that is free to the next file.
    moved = claim.folder.rename(claim.folder.with_name("moved"))
    shutil.copytree(moved, claim.folder)


@pytest.mark.parametrize("accident", [_delete, _put_a_copy_there])
def test_a_claim_that_is_gone_is_taken_again(claim, accident):
    """Within a second of the accident, by the next start of a run."""
    claim.take()
    accident(claim)

    _passes_a_second(claim)
    claim.take()

    assert "held" == _probed(claim.path)
    assert [claim.path] == list(claim.folder.iterdir())


def test_a_claim_in_its_place_is_not_written_again(claim):
    """A look finds the same file there, also when it says already what is adopted."""
    claim.adopt("a run")
    known = claim.path.stat()

    _passes_a_second(claim)
    claim.take()
    claim.adopt("a run")

    assert os.path.samestat(known, claim.path.stat())
    assert math.isfinite(claim.sure_until)


def test_a_claim_that_could_not_be_taken_is_taken_at_the_next_call(claim):
    """Something stands where its folder should be; when that is gone it is taken, and nothing is left of the first."""
    claim.folder.parent.mkdir()
    claim.folder.touch()
    with pytest.raises(NotADirectoryError):
        claim.take()
    was_held = claim.path.name in claims_held

    claim.folder.unlink()
    claim.take()

    assert (False, True) == (was_held, claim.path.name in claims_held)
    assert "held" == _probed(claim.path)


def test_an_adoption_that_could_not_be_told_is_told_at_the_next_call(claim):
    """What it said before stands until then, and its lock."""
    claim.take()
    moved = claim.folder.rename(claim.folder.with_name("moved"))
    claim.folder.touch()
    with pytest.raises(NotADirectoryError):
        claim.adopt("a run")
    held_before = _probed(moved / claim.path.name)

    claim.folder.unlink()
    moved.rename(claim.folder)
    claim.adopt("a run")

    assert "held" == held_before
    assert ["a run"] == json.loads(claim.path.read_text())["adopted"]


def test_threads_that_start_at_once_take_one_claim(claim):
    """Each of them would have made a draft of its own, and the second found that of the first."""
    start, faults = threading.Barrier(8), []

    def take() -> None:
        start.wait()
        try:
            claim.take()
        except OSError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == faults
    assert "held" == _probed(claim.path)


def test_an_agent_that_closes_all_descriptors_keeps_its_own_files(claim, tmp_path):
    """As daemons do: the number may be another file's by now, which is not ours to close."""
    claim.take()
    number = claim._locked.descriptor
    os.close(number)
    theirs = os.open(tmp_path / "theirs", os.O_RDWR | os.O_CREAT)

    _passes_a_second(claim)
    claim.take()

    assert number == theirs
    assert os.path.samestat(os.fstat(theirs), (tmp_path / "theirs").stat())
    assert "held" == _probed(claim.path)
    os.close(theirs)
