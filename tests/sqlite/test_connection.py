"""One connection a process: locked for a bounded time, never carried across a fork, found again when its file goes."""

import contextlib
import gc
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from patience import quickest

from telemetry.plugins import Retryable, RunRecord, StoreError
from telemetry.sinks.sqlite.connection import CHECKPOINT_BYTES, Damaged, Database
from telemetry.sinks.sqlite.file_lock import FileLock
from telemetry.sinks.sqlite.turns import Turn, Turns
from telemetry.sinks.sqlite.writes import write_run

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")


def put(database: Database, run: RunRecord, wait_s: float = 1.0) -> None:
    """Write one run."""
    with database.writing(wait_s) as opened:
        write_run(opened.connection, opened.shape, run)


@pytest.fixture
def filled(database: Database, a_run: Callable[..., RunRecord]) -> Database:
    """Return a store with one run."""
    put(database, a_run(run_id="first"))
    return database


def test_a_failed_transaction_leaves_nothing_and_no_lock(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """Whatever is raised inside is rolled back and passes, and the next write goes on."""

    def fail() -> None:
        with filled.writing(1.0) as opened:
            write_run(opened.connection, opened.shape, a_run(run_id="half"))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    put(filled, a_run(run_id="next"))

    with filled.reading() as opened:
        assert [("first",), ("next",)] == opened.connection.execute("SELECT run_id FROM runs ORDER BY 1").fetchall()


def test_a_statement_that_cannot_work_is_named_and_the_file_looked_at_anew(filled: Database) -> None:
    """A table that is gone since may be there again; the connection is opened anew."""
    with pytest.raises(StoreError, match="no such table"), filled.writing(1.0) as before:
        before.connection.execute("SELECT * FROM nowhere")

    with filled.reading() as after:
        assert before.connection is not after.connection


def test_another_program_that_writes_costs_a_bounded_wait(
    filled: Database, lock_held: subprocess.Popen[str], a_run: Callable[..., RunRecord]
) -> None:
    """The lock of a stranger is waited for as long as was said, then the error says who is to blame."""
    began = time.monotonic()
    with pytest.raises(Retryable, match="another program"):
        put(filled, a_run(), wait_s=0.05)
    took_s = time.monotonic() - began

    lock_held.communicate("end\n")
    put(filled, a_run(run_id="next"))

    assert 0.05 <= took_s < 20  # else for as long as the stranger has it


def test_our_own_processes_wait_at_the_side_file(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """Commits and checkpoints of all our processes happen under one lock."""
    other = FileLock(filled.path.with_name(f"{filled.path.name}.lock"))
    assert other.acquire(0.0)

    with pytest.raises(Retryable, match="another process"):
        put(filled, a_run(), wait_s=0.01)
    other.close()
    put(filled, a_run(run_id="next"))


def test_a_lock_is_passed_on_when_its_holder_is_killed(filled: Database, processes: Any) -> None:
    """The kernel frees it, at the latest some milliseconds after the kill."""
    script = """
        import sys, time
        from pathlib import Path
        from telemetry.sinks.sqlite.file_lock import FileLock
        lock = FileLock(Path(sys.argv[1]))
        lock.acquire(1.0)
        print("ready", flush=True)
        time.sleep(60)
    """
    path = filled.path.with_name(f"{filled.path.name}.lock")
    holder = processes.start_ready(script, path)
    lock = FileLock(path)
    assert not lock.acquire(0.01)

    holder.kill()

    assert lock.acquire(60.0)
    lock.close()


def test_threads_share_the_connection(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """Eight threads that write at once all get their turn."""

    def write(name: int) -> None:
        for number in range(20):
            put(filled, a_run(run_id=f"{name}-{number}"), wait_s=60.0)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with filled.reading() as opened:
        assert (161,) == opened.connection.execute("SELECT count(*) FROM runs").fetchone()


def test_the_same_thread_cannot_enter_twice(filled: Database) -> None:
    """A signal handler that logs inside a write is told at once to come later."""
    began = time.monotonic()
    with filled.writing(1.0), pytest.raises(Retryable, match="in use"):
        filled.writing(60.0).__enter__()

    assert time.monotonic() - began < 30


class Interrupted(BaseException):
    """Raised by a signal handler, as KeyboardInterrupt is."""


@posix
def test_an_interrupt_at_any_instant_leaves_no_lock_behind(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """However a Ctrl-C falls into a write, this thread, other threads and other processes go on."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    usual_s = quickest(lambda: put(filled, a_run()), 0.0)
    before = signal.signal(signal.SIGALRM, interrupt)
    interrupts = 0
    try:
        for number in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00001 + usual_s * number / 250)
                put(filled, a_run())
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                interrupts += 1
            except Retryable:
                pytest.fail(f"write {number} met a lock that nobody holds")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    other = FileLock(filled.path.with_name(f"{filled.path.name}.lock"))
    put(filled, a_run(run_id="last"))
    assert other.acquire(0.0)
    other.close()
    assert interrupts > 20


def test_a_turn_that_its_owner_lost_is_over() -> None:
    """An interrupt between the end of the work and the end of the turn stops nobody."""
    turns, lost = Turns(), Turn()
    assert turns.take(lost, 0.0)
    assert not turns.take(Turn(), 0.0)

    del lost
    turn = Turn()

    assert turns.take(turn, 0.0)


def test_a_turn_is_one_threads() -> None:
    """Another thread waits as long as it said; one that has none cannot end it."""
    turns, turn, answers = Turns(), Turn(), []
    assert turns.take(turn, 0.0)

    def ask() -> None:
        other = Turn()
        answers.append(turns.take(other, 0.01))
        turns.give_back(other)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()

    assert [False] == answers
    assert not turns.take(Turn(), 0.0)
    turns.give_back(turn)
    last = Turn()
    assert turns.take(last, 0.0)


@posix
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_a_connection_and_locks_of_its_own(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """SQLite copies its books of locks into a child; with the parent's file open there it would lock nothing."""
    with filled.reading() as parents:
        before = parents.connection
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def write_in_child() -> None:
        put(filled, a_run(run_id="child"))
        held = Path("/proc/locks").read_text() if Path("/proc/locks").exists() else None
        answers.put(held is None or f" {os.getpid()} " in held)

    child = context.Process(target=write_in_child)
    child.start()
    has_lock = answers.get(timeout=60)
    child.join()
    put(filled, a_run(run_id="parent"))

    assert has_lock
    with filled.reading() as opened:
        assert before is not opened.connection
        assert [("child",), ("first",), ("parent",)] == opened.connection.execute(
            "SELECT run_id FROM runs ORDER BY 1"
        ).fetchall()


@posix
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_keeps_away_from_a_file_that_was_in_use_at_the_fork(filled: Database) -> None:
    """A fork in the middle of a transaction: the child refuses the file, the parent goes on."""
    with filled.writing(1.0) as opened:
        opened.connection.execute("UPDATE agent_runs SET host = 'parent'")
        child = os.fork()
        if child == 0:
            try:
                filled.writing(0.1).__enter__()
            except StoreError as error:
                os._exit(0 if "forked off" in str(error) else 1)
            os._exit(2)
        _, status = os.waitpid(child, 0)

    assert 0 == os.waitstatus_to_exitcode(status)
    with filled.reading() as opened:
        assert [("parent",)] == opened.connection.execute("SELECT host FROM runs").fetchall()


def age(database: Database) -> None:
    """Let a second pass since the file was looked for."""
    database._looked_at -= 1.1


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="finds the descriptors there")
@pytest.mark.parametrize("act", ["write", "read", "close", "fork"])
def test_numbers_that_are_the_agents_now_are_left_alone(
    path: Path, a_run: Callable[..., RunRecord], tmp_path: Path, act: str
) -> None:
    """After `os.closerange()`, as daemons call it, the agent's files have them: none is written to, moved or closed."""
    database = Database(path)
    put(database, a_run(run_id="first"))
    database.is_wal_full()
    database.is_wal_full()  # keeps a descriptor once there is a frame
    numbers = [number for number in range(3, 256) if _is_in(path.parent, number)]
    mine = os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT)
    os.write(mine, b"my own line\n")
    for number in numbers:
        os.dup2(mine, number)

    if act == "fork":
        database.park()
        database.unpark()
    elif act == "close":
        database.close()
    elif act == "write":
        with pytest.raises(StoreError, match="closed all its files; the journal keeps"):
            put(database, a_run(run_id="second"))
    else:
        with pytest.raises(StoreError), database.reading():
            pass
    del database
    gc.collect()

    assert 4 <= len(numbers)
    assert b"my own line\n" == (tmp_path / "mine").read_bytes()
    assert len(b"my own line\n") == os.lseek(mine, 0, os.SEEK_CUR)
    assert [True] * len(numbers) == [os.path.sameopenfile(mine, number) for number in numbers]
    for number in (mine, *numbers):
        os.close(number)


def _is_in(folder: Path, number: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{number}").startswith(f"{folder}/")
    except OSError:
        return False


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_that_is_deleted_is_made_anew(
    filled: Database, a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]], what: str
) -> None:
    """Within a second; what was written into the deleted file meanwhile the journal brings back."""
    filled.was_created = False
    if what == "folder":
        shutil.rmtree(filled.path.parent)
    else:
        for file in filled.path.parent.iterdir():
            file.unlink()
    age(filled)

    put(filled, a_run(run_id="next"))

    assert [("next", "running")] == rows()
    assert filled.was_created


def test_a_file_that_is_replaced_is_opened_anew(
    filled: Database, a_run: Callable[..., RunRecord], tmp_path: Path, rows: Callable[..., list[Any]]
) -> None:
    """A restored backup is what counts from then on."""
    other = Database(tmp_path / "other.sqlite")
    put(other, a_run(run_id="restored"))
    other.close()
    for file in filled.path.parent.glob("telemetry.sqlite-*"):
        file.unlink()
    os.replace(other.path, filled.path)
    age(filled)

    put(filled, a_run(run_id="next"))

    assert [("next", "running"), ("restored", "running")] == rows()


def test_the_wal_is_begun_anew_when_it_is_long(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """A checkpoint leaves a WAL of one page, whose head is synced already; its file is written over from there on."""
    assert filled.checkpoint(0.1)
    grow(filled, a_run)
    long, length = filled.wal.used_bytes(), os.stat(filled.wal.path).st_size

    is_short = filled.checkpoint(1.0)

    assert is_short
    assert filled.wal.used_bytes() < 10_000 < CHECKPOINT_BYTES <= long
    put(filled, a_run())
    assert length == os.stat(filled.wal.path).st_size


def test_a_wal_that_a_reader_let_grow_is_cut(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """It is begun anew when the reader has gone, and its file is not kept longer than two usual ones."""
    with contextlib.closing(sqlite3.connect(filled.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM agent_runs").fetchall()
        for _ in range(3 * CHECKPOINT_BYTES // 100_000):
            put(filled, a_run(error_summary="x" * 100_000))
    assert os.stat(filled.wal.path).st_size > 3 * CHECKPOINT_BYTES

    assert filled.checkpoint(1.0)

    assert os.stat(filled.wal.path).st_size <= 8 << 20


def test_the_pages_are_written_back_before_others_are_locked_out(
    filled: Database, a_run: Callable[..., RunRecord]
) -> None:
    """PASSIVE does the work while other programs may write, RESTART only begins anew; how long it took is told."""
    grow(filled, a_run)
    said: list[str] = []
    with filled.reading() as opened:
        opened.connection.set_trace_callback(said.append)

    filled.checkpoint(1.0)

    modes = [line.partition("wal_checkpoint")[2] for line in said if "wal_checkpoint" in line]
    assert ["(PASSIVE)", "(RESTART)"] == modes
    assert 0.0 < filled.checkpoint_s < 60.0


def test_a_reader_keeps_the_wal_from_being_begun_anew(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """It is told of, and done when the reader has gone."""
    with contextlib.closing(sqlite3.connect(filled.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM agent_runs").fetchall()
        grow(filled, a_run)
        while_reading = filled.checkpoint(1.0)

    assert not while_reading
    assert filled.checkpoint(1.0)


def grow(database: Database, a_run: Callable[..., RunRecord]) -> None:
    """Write until the WAL is long."""
    while database.wal.used_bytes() < CHECKPOINT_BYTES:
        put(database, a_run(error_summary="x" * 100_000))


def spoil(path: Path, *, at: int = 0, count: int = 4096) -> None:
    """Overwrite a part of a file with noise."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(count))


def test_a_damaged_file_is_set_aside_whole(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """File and WAL keep their bytes under a name that says when; a new file is made."""
    filled.close()
    spoil(filled.path)
    damaged = filled.path.read_bytes()
    filled.path.with_name("telemetry.sqlite-wal").write_bytes(b"wal")
    with pytest.raises(Damaged, match="not a database"):
        put(filled, a_run())

    target = filled.quarantine(1.0)
    put(filled, a_run(run_id="next"))

    assert target is not None
    assert target.name.startswith("telemetry.sqlite.corrupt-20")
    assert (damaged, b"wal") == (target.read_bytes(), target.with_name(f"{target.name}-wal").read_bytes())


def test_a_file_is_set_aside_once(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """A process that comes second finds a new file in its place, and leaves it."""
    filled.close()
    spoil(filled.path)
    second = Database(filled.path)
    for database in (filled, second):
        with pytest.raises(Damaged):
            put(database, a_run())

    assert filled.quarantine(1.0) is not None
    assert second.quarantine(1.0) is None
    put(filled, a_run(run_id="next"))
    assert second.quarantine(1.0) is None

    second.close()
    assert 1 == len(list(filled.path.parent.glob("*.corrupt-*Z")))


def test_two_files_of_one_second_are_set_aside_under_two_names(
    filled: Database, a_run: Callable[..., RunRecord]
) -> None:
    """No file that was set aside is overwritten."""
    for _ in range(2):
        filled.close()
        spoil(filled.path)
        with pytest.raises(Damaged):
            put(filled, a_run())
        assert filled.quarantine(1.0) is not None
        put(filled, a_run())

    found = [file for file in filled.path.parent.glob("*.corrupt-*") if not file.name.endswith(("-wal", "-shm"))]
    assert 2 == len(found)


@pytest.fixture
def read_only_folder(filled: Database) -> Iterator[Path]:
    """Return the folder of a store, without the right to write in it."""
    filled.close()
    filled.path.chmod(0o400)
    filled.path.parent.chmod(0o500)
    yield filled.path.parent
    filled.path.parent.chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_on_a_read_only_disk_can_be_read(read_only_folder: Path) -> None:
    """Also without the -shm file that a WAL wants, since nobody else writes there either."""
    reader = Database(read_only_folder / "telemetry.sqlite", is_read_only=True)

    with reader.reading() as opened:
        found = opened.connection.execute("SELECT run_id FROM runs").fetchall()

    reader.close()
    assert [("first",)] == found


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, a_run: Callable[..., RunRecord]) -> None:
    """A file stands where the folder should be; of the journal, which may be no better off, nothing is promised."""
    (tmp_path / "base").write_text("in the way")

    with pytest.raises(StoreError, match="cannot be used") as caught:
        put(Database(tmp_path / "base" / "db" / "telemetry.sqlite"), a_run())

    assert isinstance(caught.value.__cause__, OSError)
    assert str(caught.value).endswith("; what the journal has is brought in once it can be used")


def test_closing_twice_and_using_again_is_fine(filled: Database, a_run: Callable[..., RunRecord]) -> None:
    """A closed store opens itself with the next use."""
    filled.close()
    filled.close()

    put(filled, a_run(run_id="next"))


def test_no_descriptor_stays_open(path: Path, a_run: Callable[..., RunRecord]) -> None:
    """Two hundred stores opened and closed leave nothing behind."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc to count")
    first = Database(path)
    put(first, a_run())
    first.close()
    before = len(list(descriptors.iterdir()))

    for _ in range(200):
        database = Database(path)
        put(database, a_run())
        database.close()

    assert before >= len(list(descriptors.iterdir()))


def test_a_store_that_is_dropped_without_being_closed_leaves_no_descriptor(
    path: Path, a_run: Callable[..., RunRecord]
) -> None:
    """An agent may forget to close its client, and make many."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc to count")
    kept = Database(path)
    put(kept, a_run())
    before = len(list(descriptors.iterdir()))

    for _ in range(20):
        put(Database(path), a_run())
    gc.collect()
    put(kept, a_run())
    kept.close()

    assert before >= len(list(descriptors.iterdir()))
