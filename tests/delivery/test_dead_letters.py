"""What was given up is kept, with its reason, until somebody tries it again."""

import os
import threading

import pytest

from telemetry.plugins import RunRecord, StoreError
from telemetry.sinks.delivery import dead_letters as dead_letters_of
from telemetry.sinks.delivery import retry_dead
from telemetry.sinks.delivery.dead import DeadLetter, DeadLetters
from telemetry.sinks.delivery.item import key_of
from telemetry.sinks.delivery.locks import PathLock
from telemetry.sinks.delivery.places import Places
from telemetry.sinks.journal import journal_files, read_records


def letter(number, **changes):
    """Return the dead letter of a run with this number."""
    run = RunRecord(run_id=f"r{number}", agent_name="a", start_time="t", status="failed", writer="w", seq=number)
    values = {"when": "2026-11-23T10:00:00+00:00", "reason": "422", "attempts": 2, "key": key_of(run), "record": run}
    return DeadLetter(**{**values, **changes})


@pytest.fixture
def places(tmp_path):
    """Return where the state of the sink `hq` lies."""
    return Places(tmp_path, "hq")


def test_what_is_added_is_listed(places):
    """Every field comes back, oldest first; the file is private."""
    dead = DeadLetters(places)

    dead.add([letter(1), letter(2)])
    dead.add([letter(3, reason='line\nbreak "quoted"')])

    assert [letter(1), letter(2), letter(3, reason='line\nbreak "quoted"')] == list(dead)
    assert 0o600 == places.dead_letters.stat().st_mode & 0o777
    assert 3 == places.dead_letters.read_bytes().count(b"\n")


def test_a_letter_is_on_disk_when_add_returns(places, monkeypatch):
    """The cursor passes its record next: after a power cut nothing else would know of it."""
    synced = []
    real = os.fsync

    def noting(descriptor):
        synced.append(os.fstat(descriptor).st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noting)

    DeadLetters(places).add([letter(1)])

    assert places.dead_letters.stat().st_size in synced


def test_no_file_means_no_letters(places):
    """The usual case is no error."""
    assert [] == list(dead_letters_of(places.state_dir, "hq"))


def test_a_letter_that_was_added_twice_is_listed_once(places):
    """A crash between the letter and the cursor brings the record again."""
    dead = DeadLetters(places)
    dead.add([letter(1)])
    dead.add([letter(1), letter(2)])

    assert ["r1", "r2"] == [one.record.run_id for one in dead]


@pytest.mark.parametrize("torn", [b'{"when": "2026', b'{"when": 1}\n', b"[]\n", b"\xff\n", b'{"record": {}}'])
def test_a_torn_line_costs_only_itself(places, torn):
    """Letters before and after it are read, and it stays where it is."""
    dead = DeadLetters(places)
    dead.add([letter(1)])
    with places.dead_letters.open("ab") as stream:
        stream.write(torn)

    dead.add([letter(2)])

    assert ["r1", "r2"] == [one.record.run_id for one in dead]
    dead.retry([key_of(letter(1).record)], lambda letters: None)
    assert torn.rstrip() in places.dead_letters.read_bytes()


def test_retried_letters_go_to_the_own_journal_under_their_keys(places):
    """From there the pump delivers them like everything else."""
    DeadLetters(places).add([letter(1), letter(2), letter(3)])

    assert 1 == retry_dead(places.state_dir, "hq", [key_of(letter(2).record)])

    assert ["r1", "r3"] == [one.record.run_id for one in dead_letters_of(places.state_dir, "hq")]
    (file,) = journal_files(places.journal)
    assert [key_of(letter(2).record)] == [key_of(found.record) for found in read_records(file)]


def test_all_letters_can_be_retried_at_once(places):
    """The file is gone afterwards; a second time there is nothing to do."""
    DeadLetters(places).add([letter(1), letter(2)])

    assert (2, 0) == (retry_dead(places.state_dir, "hq"), retry_dead(places.state_dir, "hq"))
    assert not places.dead_letters.exists()


def test_a_letter_that_dies_again_at_once_is_not_forgotten(places):
    """While letters are queued again, none can be added: the pump's waits."""
    dead = DeadLetters(places)
    dead.add([letter(1)])
    adding = threading.Thread(target=lambda: DeadLetters(places).add([letter(1, reason="again")]))

    def requeue(letters):
        adding.start()
        adding.join(0.1)
        assert adding.is_alive()

    dead.retry(None, requeue)
    adding.join(5)

    assert ["again"] == [one.reason for one in dead]


def test_letters_stay_when_they_cannot_be_queued(places):
    """A full disk must not cost what was given up once already."""
    dead = DeadLetters(places)
    dead.add([letter(1)])

    def requeue(letters):
        raise OSError(28, os.strerror(28))

    with pytest.raises(OSError, match="No space"):
        dead.retry(None, requeue)

    assert ["r1"] == [one.record.run_id for one in dead]


def test_a_lock_that_nobody_lets_go_of_is_told(places, monkeypatch):
    """Bounded waiting, then an error that says what to do."""
    monkeypatch.setattr("telemetry.sinks.delivery.dead._LOCK_WAIT_S", 0.01)
    lock = PathLock(places.dead_letters_lock)
    lock.acquire()

    with pytest.raises(StoreError, match="locked by another process"):
        DeadLetters(places).add([letter(1)])

    lock.release()
