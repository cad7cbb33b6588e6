"""The sink never holds the agent, loses nothing that the journal has, and heals by itself when a fault is over."""

import contextlib
import itertools
import json
import logging
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from patience import own_clock, until

from telemetry.plugins import CommitLink, DeliveryReport, Refused, RetryPolicy, RunRecord, SinkContext, StoreError
from telemetry.sinks.sqlite.connection import CHECKPOINT_BYTES, Database
from telemetry.sinks.sqlite.file_lock import FileLock
from telemetry.sinks.sqlite.healing import Healer
from telemetry.sinks.sqlite.pending import Pending
from telemetry.sinks.sqlite.sink import SqliteSink

AT_ONCE = RetryPolicy(delays_s=(0.001, 0.001, 0.001))
WORST_S = 0.15
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")


class Agent:
    """Journals and stores records as a client does, and notes how long the sink held it."""

    def __init__(self, sink: SqliteSink, journal: Callable[..., None]) -> None:
        self.worst_s = 0.0
        self._sink = sink
        self._journal = journal

    def put(self, *runs: RunRecord) -> None:
        """Put starts or ends into the journal, then into the sink."""
        for run in runs:
            self._journal(run)
            began = own_clock()
            (self._sink.telemetry_run_started if run.is_running else self._sink.telemetry_run_ended)(run)
            self.worst_s = max(self.worst_s, own_clock() - began)


@pytest.fixture
def agent(sink: SqliteSink, journal: Callable[..., None]) -> Agent:
    """Return an agent with the sink as it is by default."""
    return Agent(sink, journal)


def test_a_run_is_a_row_when_the_call_returns(
    sink: SqliteSink, a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """An INSERT at start, an UPDATE at end."""
    run = a_run(run_id="r")

    sink.telemetry_run_started(run)
    started = rows()
    sink.telemetry_run_ended(ended(run))

    assert [("r", "running")] == started
    assert [("r", "success")] == rows()


def test_an_end_without_a_start_is_a_whole_row(
    sink: SqliteSink, a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """And the start, when it comes late, changes nothing of the result; the same end again changes nothing at all."""
    run = a_run(run_id="r", agent_owner="o")
    end = ended(run, items_failed=3)

    for record in (end, run, end):
        (sink.telemetry_run_started if record.is_running else sink.telemetry_run_ended)(record)

    sql = "SELECT status, agent_owner, items_failed, duration_ms FROM agent_runs"
    assert [("success", "o", 3, 1500)] == rows(sql)


def test_a_delivery_is_noted_at_its_run(
    sink: SqliteSink, a_run: Callable[..., RunRecord], rows: Callable[..., list[Any]]
) -> None:
    """Failed tries are counted, and when it arrived is kept."""
    sink.telemetry_run_started(a_run(run_id="r"))

    sink.telemetry_delivery_reported(DeliveryReport("r", "2026-11-23T10:00:03+00:00", "hq", False, 2))
    sink.telemetry_delivery_reported(DeliveryReport("r", "2026-11-23T10:00:09+00:00", "hq", True, 2))

    assert [(1, "2026-11-23T10:00:09+00:00", 2)] == rows(
        "SELECT api_posted, api_posted_at, api_retry_count FROM agent_runs"
    )


def test_a_commit_is_kept_with_its_run(sink: SqliteSink, rows: Callable[..., list[Any]]) -> None:
    """By the hook of its own."""
    sink.telemetry_commit_linked(CommitLink(run_id="r", timestamp="t", commit_hash="abc", message="m", insertions=2))

    assert [("abc", "r", "m", 2)] == rows("SELECT commit_hash, run_id, message, insertions FROM commits")


def test_what_a_later_tool_would_never_take_is_refused_at_once(
    sink: SqliteSink, a_run: Callable[..., RunRecord]
) -> None:
    """The error reaches the guard around the sink, which counts and tells it."""
    with pytest.raises(Refused, match="takes no such record"):
        sink.telemetry_run_started(a_run(items_failed=2**70))


def test_a_sink_that_was_never_opened_says_so(a_run: Callable[..., RunRecord]) -> None:
    """A clear error, no surprise."""
    with pytest.raises(StoreError, match="never opened"):
        SqliteSink().telemetry_run_started(a_run())


@pytest.mark.parametrize("options", [{"write": "sometimes"}, {"lock_wait_ms": -1}, {"queue_limit": 0}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    """When the sink is built, not when the first record comes."""
    with pytest.raises(ValueError, match=next(iter(options))):
        SqliteSink.Options(**options)


def test_the_path_can_be_chosen(
    open_sink: Callable[..., SqliteSink], tmp_path: Path, a_run: Callable[..., Any]
) -> None:
    """By option; nothing is made where the default is."""
    sink = open_sink(path=tmp_path / "mine" / "runs.sqlite")

    sink.telemetry_run_started(a_run())

    assert (tmp_path / "mine" / "runs.sqlite").exists()
    assert not (tmp_path / "base").exists()


def test_behind_means_that_the_caller_never_touches_the_file(
    open_sink: Callable[..., SqliteSink], a_run: Callable[..., RunRecord], ended: Callable[..., RunRecord], rows: Any
) -> None:
    """Records wait for a thread of the sink's own, in order; flush brings them out."""
    sink = open_sink(write="behind")
    runs = [a_run(run_id=f"r{number}") for number in range(50)]

    for run in runs:
        sink.telemetry_run_started(run)
        sink.telemetry_run_ended(ended(run))

    assert sink.telemetry_flush(60)
    assert [(run.run_id, "success") for run in sorted(runs, key=lambda run: run.run_id)] == rows()
    assert 100 == sink.telemetry_health()["deferred"]


def test_a_store_that_another_program_locks_for_long_holds_nobody(
    agent: Agent,
    sink: SqliteSink,
    a_run: Callable[..., RunRecord],
    ended: Callable[..., RunRecord],
    rows: Callable[..., list[Any]],
    path: Path,
    processes: Any,
) -> None:
    """While the lock lasts each call returns soon; when it is over the store is brought up without anybody's doing."""
    agent.put(first := a_run(run_id="before"))
    agent.worst_s = 0.0
    locker = processes.start_ready(LOCKER, path)
    runs = [a_run(run_id=f"r{number:03}") for number in range(200)]
    for run in runs:
        agent.put(run, ended(run))
    agent.put(ended(first))
    # The tries of 100, 200 and 400 ms pass, and the sink gives up: the journal has it all.
    assert until(lambda: sink.telemetry_health()["queued"] == 0)
    health = sink.telemetry_health()

    locker.communicate("end\n")

    assert until(lambda: [("success", 201)] == rows("SELECT status, count(*) FROM agent_runs GROUP BY 1"))
    assert agent.worst_s < WORST_S
    assert (0, 0) == (health["queued"], health["lost"])
    assert 401 == health["left_to_journal"]
    assert "locked by another program" in health["fault"]
    assert until(lambda: sink.telemetry_health()["is_healthy"])


LOCKER = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_short_lock_costs_a_short_delay_only(
    open_sink: Callable[..., SqliteSink],
    a_run: Callable[..., RunRecord],
    ended: Callable[..., RunRecord],
    path: Path,
    rows: Any,
) -> None:
    """What waits is written by the schedule, in order, and nothing is left to the journal."""
    sink = open_sink(retry=RetryPolicy(delays_s=(0.1,) * 300))
    sink.telemetry_run_started(a_run(run_id="before"))
    other = FileLock(path.with_name(f"{path.name}.lock"))
    assert other.acquire(0.0)
    run = a_run(run_id="r")
    sink.telemetry_run_started(run)
    sink.telemetry_run_ended(ended(run))
    while_locked = sink.telemetry_health()

    other.close()

    assert 2 == while_locked["queued"]
    assert until(lambda: [("before", "running"), ("r", "success")] == rows())
    assert 0 == sink.telemetry_health()["left_to_journal"]


@posix
def test_a_holder_that_is_frozen_holds_nobody(
    agent: Agent, sink: SqliteSink, a_run: Callable[..., RunRecord], path: Path, processes: Any, rows: Any
) -> None:
    """A process stopped in the middle of a write: others go on by the journal, until it is continued."""
    agent.put(a_run(run_id="before"))
    agent.worst_s = 0.0
    script = """
        import sys
        from pathlib import Path
        from telemetry.sinks.sqlite.connection import Database
        with Database(Path(sys.argv[1])).writing(5.0):
            print("ready", flush=True)
            sys.stdin.readline()
    """
    frozen = processes.start_ready(script, path)
    frozen.send_signal(signal.SIGSTOP)
    agent.put(*(a_run(run_id=f"r{number}") for number in range(30)))
    assert until(lambda: sink.telemetry_health()["queued"] == 0)
    agent.put(a_run(run_id="later"))
    worst_s = agent.worst_s

    frozen.send_signal(signal.SIGCONT)
    frozen.communicate("end\n")

    assert until(lambda: [(32,)] == rows("SELECT count(*) FROM agent_runs"))
    assert worst_s < WORST_S


def test_without_a_journal_records_wait_for_the_lock(
    open_sink: Callable[..., SqliteSink], context: SinkContext, a_run: Callable[..., RunRecord], path: Path, rows: Any
) -> None:
    """There is no second way then: they stay in the queue however long it takes, up to its limit."""
    sink = open_sink(attrs.evolve(context, journal_dir=None), retry=AT_ONCE, queue_limit=5)
    sink.telemetry_run_started(a_run(run_id="before"))
    other = FileLock(path.with_name(f"{path.name}.lock"))
    assert other.acquire(0.0)
    for number in range(8):
        sink.telemetry_run_started(a_run(run_id=f"r{number}"))
    assert until(lambda: sink.telemetry_health()["fault"] is not None)
    while_locked = sink.telemetry_health()

    other.close()

    assert until(lambda: 6 == len(rows()))
    assert ["before", *(f"r{number}" for number in range(5))] == [run_id for run_id, _ in rows()]
    assert (5, 3) == (while_locked["queued"], while_locked["lost"])


def test_closing_without_a_journal_counts_what_is_lost(
    open_sink: Callable[..., SqliteSink],
    context: SinkContext,
    a_run: Callable[..., RunRecord],
    path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says how many records and where."""
    sink = open_sink(attrs.evolve(context, journal_dir=None))
    sink.telemetry_run_started(a_run(run_id="before"))
    other = FileLock(path.with_name(f"{path.name}.lock"))
    assert other.acquire(0.0)
    sink.telemetry_run_started(a_run())

    sink.telemetry_close(0.05)
    other.close()

    assert 1 == sink.telemetry_health()["lost"]
    expected = f"{path} took no records for long; 1 are lost, as no journal keeps them"
    assert [expected] == [message for message in caplog.messages if "lost" in message]


def test_giving_up_while_a_batch_is_written_counts_each_record_once(a_run: Callable[..., RunRecord]) -> None:
    """A close() that runs out of patience and a worker that is just done do not trip over each other."""
    pending = Pending("telemetry.sqlite", 10, has_journal=True)
    for _ in range(3):
        pending.add(a_run())
    batch = pending.first(2)

    pending.give_up()
    pending.add(later := a_run())
    pending.take_off(batch)

    assert ([later], 3) == (pending.first(9), pending.counts.left_to_journal)


def test_one_record_that_cannot_be_stored_costs_only_itself(
    open_sink: Callable[..., SqliteSink], a_run: Callable[..., RunRecord], rows: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Among many that wait behind the caller it is left out by name, and the others pass in order."""
    sink = open_sink(write="behind")
    for number in range(10):
        fields = {"items_failed": 2**70} if number == 4 else {}
        sink.telemetry_run_started(a_run(run_id=f"r{number}", **fields))

    assert sink.telemetry_flush(60)

    assert [f"r{number}" for number in range(10) if number != 4] == [run_id for run_id, _ in rows()]
    assert (9, 1) == (sink.telemetry_health()["written"], sink.telemetry_health()["refused"])
    assert any("run r4 is left out" in message for message in caplog.messages)


def test_a_store_that_is_too_new_is_left_alone_and_said_once(
    agent: Agent, sink: SqliteSink, build: Callable[[str], Path], a_run: Callable[..., RunRecord], caplog: Any
) -> None:
    """The agent goes on, `status()` tells why, the file does not change, the log is not flooded."""
    path = build("CREATE TABLE agent_runs (run_id, agent_name, start_time, status); PRAGMA user_version = 8;")
    before = path.read_bytes()

    agent.put(*(a_run() for _ in range(20)))
    assert until(lambda: sink.telemetry_health()["fault"] is not None)
    agent.put(*(a_run() for _ in range(20)))
    sink.telemetry_flush(0.3)

    assert before == path.read_bytes()
    assert "version 8" in sink.telemetry_health()["fault"]
    assert 1 == len([message for message in caplog.messages if "version 8" in message])
    assert agent.worst_s < WORST_S


def test_a_damaged_store_is_set_aside_and_rebuilt_from_the_journal(
    agent: Agent,
    sink: SqliteSink,
    open_sink: Callable[..., SqliteSink],
    journal: Callable[..., None],
    a_run: Callable[..., RunRecord],
    ended: Callable[..., RunRecord],
    path: Path,
    rows: Any,
) -> None:
    """Noise in place of the file: the noise is kept, and every run is there again."""
    runs = [a_run(run_id=f"r{number}") for number in range(20)]
    agent.put(*runs)
    sink.telemetry_close(1.0)
    path.write_bytes(os.urandom(20_000))
    sink = open_sink()
    agent = Agent(sink, journal)

    agent.put(*(ended(run) for run in runs))

    assert until(lambda: found(path, "SELECT status, count(*) FROM agent_runs GROUP BY 1") == [("success", 20)])
    (aside,) = path.parent.glob("*.corrupt-*Z")
    assert 20_000 == aside.stat().st_size
    assert 1 == sink.telemetry_health()["quarantined"]
    assert agent.worst_s < WORST_S


def test_pages_that_contradict_each_other_are_found_while_writing(
    agent: Agent,
    sink: SqliteSink,
    open_sink: Callable[..., SqliteSink],
    journal: Callable[..., None],
    a_run: Callable[..., RunRecord],
    path: Path,
) -> None:
    """A file whose header is fine and whose rows are not."""
    agent.put(*(a_run(run_id=f"r{number:03}") for number in range(300)))
    sink.telemetry_close(1.0)
    with path.open("r+b") as file:
        file.seek(26 * 4096)  # behind the 25 pages of an empty store
        file.write(b"\xff" * (path.stat().st_size - 26 * 4096))

    Agent(open_sink(), journal).put(*(a_run(run_id=f"s{number:03}") for number in range(10)))

    assert until(lambda: found(path, "SELECT count(*) FROM agent_runs") == [(310,)])
    assert 1 == len(list(path.parent.glob("*.corrupt-*Z")))


def found(path: Path, sql: str) -> list[Any]:
    """Return the answer of the file, an empty one while it cannot give any."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.DatabaseError:
            return []


def test_a_deleted_store_is_made_anew_under_a_live_agent(
    agent: Agent, sink: SqliteSink, a_run: Callable[..., RunRecord], path: Path, rows: Any
) -> None:
    """The folder goes; at the latest a second later it is there again, with all that the journal has."""
    agent.put(*(a_run(run_id=f"r{number}") for number in range(5)))
    shutil.rmtree(path.parent)
    time.sleep(1.05)

    agent.put(a_run(run_id="r5"))

    assert until(lambda: [(6,)] == rows("SELECT count(*) FROM agent_runs"))


def test_a_new_client_brings_a_missing_store_up(
    journal: Callable[..., None], open_sink: Callable[..., SqliteSink], a_run: Callable[..., RunRecord], rows: Any
) -> None:
    """The file was deleted between two processes: the next one rebuilds it behind the agent."""
    journal(*(a_run(run_id=f"r{number}") for number in range(300)))

    sink = open_sink()

    assert sink.telemetry_flush(60)
    assert [(300,)] == rows("SELECT count(*) FROM agent_runs")
    assert not sink.telemetry_health()["is_catching_up"]


def test_what_a_killed_process_left_in_the_journal_only_is_fetched(
    journal: Callable[..., None],
    open_sink: Callable[..., SqliteSink],
    a_run: Callable[..., RunRecord],
    rows: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It died between journal and store; a later client finds its run, without being asked to."""
    monkeypatch.setattr("telemetry.sinks.sqlite.sink._SETTLED_AFTER_S", 0.05)
    open_sink().telemetry_run_started(a_run(run_id="stored"))
    journal(a_run(run_id="journaled only"))

    open_sink()

    assert until(lambda: [("journaled only", "running"), ("stored", "running")] == rows())


def test_the_first_run_of_all_wakes_no_healer(agent: Agent, sink: SqliteSink, a_run: Callable[..., RunRecord]) -> None:
    """A store that is new because everything is new has nothing to catch up with: no thread is started."""
    agent.put(a_run())

    assert "telemetry-sqlite" not in {thread.name for thread in threading.enumerate()}
    assert not sink.telemetry_health()["is_catching_up"]


def test_a_journal_that_cannot_be_listed_ends_no_thread(path: Path, tmp_path: Path) -> None:
    """No descriptor is left, say: the healer rests and tries again, and its fault can be told."""
    healer = Healer(Database(path), tmp_path / ("x" * 300))
    healer.call()

    pause_s = healer.step()

    assert 1.0 == pause_s
    assert healer.is_called
    assert "the journal in" in str(healer.fault)


def test_a_full_disk_is_survived(processes: Any, path: Path, context: SinkContext) -> None:
    """No byte can be added: the agent goes on, the fault is told, and the store heals when there is space again."""
    script = """
        import resource, signal, sys, time
        from pathlib import Path
        from telemetry.plugins import RunRecord, SinkContext, encode_line
        from telemetry.sinks.sqlite.sink import SqliteSink

        path, raw = Path(sys.argv[1]), Path(sys.argv[2])
        raw.mkdir(parents=True)
        context = SinkContext(sink_name="db", base_dir=raw.parent, ndjson_dir=raw, journal_dir=raw,
                              database_path=path, writer="w")
        sink = SqliteSink()
        sink.telemetry_open(context)

        runs = [RunRecord(run_id=f"r{number:03}", agent_name="a", start_time="2026-11-23T10:00:00+00:00", job_type="j")
                for number in range(21)]
        (raw / "events_20261123.ndjson").write_bytes(b"".join(encode_line(run) for run in runs))

        def put(run):
            began = time.perf_counter()
            sink.telemetry_run_started(run)
            return time.perf_counter() - began

        def wait_until(claim):
            end = time.monotonic() + 60
            while time.monotonic() < end and not claim(sink.telemetry_health()):
                time.sleep(0.05)

        put(runs[0])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        usual = sorted(put(run) for run in runs[1:])[17]
        wait_until(lambda health: "cannot be used" in str(health["fault"]))
        health = sink.telemetry_health()
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        wait_until(lambda health: health["is_healthy"])
        print(usual < 0.15, health["is_healthy"], health["fault"], sink.telemetry_flush(60), flush=True)
        sink.telemetry_close(1)
    """
    pytest.importorskip("resource")

    answer, _ = processes.start(script, path, context.journal_dir).communicate()

    assert answer.startswith("True False ")
    assert "cannot be used" in answer
    assert answer.endswith(" True\n")
    assert [(21,)] == found(path, "SELECT count(*) FROM agent_runs")


@posix
def test_a_signal_handler_that_logs_inside_a_write_waits_its_turn(
    sink: SqliteSink, a_run: Callable[..., RunRecord], rows: Any
) -> None:
    """Its record is kept, behind the one that was being written."""
    handled: list[str] = []
    numbers = itertools.count()  # not len(handled), which the next handler may read as well
    depth = 0

    def handler(*_: object) -> None:
        nonlocal depth
        if depth < 3:  # a handler is interrupted by the next one, on a slow machine without end
            depth += 1
            run = a_run(run_id=f"signal-{next(numbers):04}")
            handled.append(run.run_id)
            sink.telemetry_run_started(run)
            depth -= 1

    number = 0
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while number < 1500 or (len(handled) <= 20 and number < 10_000):
            sink.telemetry_run_started(a_run(run_id=f"main-{number:04}"))
            number += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert sink.telemetry_flush(60)
    assert len(handled) > 20
    assert sorted((*(f"main-{each:04}" for each in range(number)), *handled)) == [run_id for run_id, _ in rows()]


@posix
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_fork_writes_its_own_and_nothing_of_its_parents(
    sink: SqliteSink, context: SinkContext, a_run: Callable[..., RunRecord], path: Path, rows: Any
) -> None:
    """What waited in the parent at the fork is written once, by the parent."""
    sink.telemetry_run_started(a_run(run_id="before"))
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    assert lock.acquire(0.0)
    sink.telemetry_run_started(a_run(run_id="waits in the parent"))
    child = os.fork()
    if child == 0:
        sink.telemetry_forked(attrs.evolve(context, writer="bbbbbbbbbbbb"))
        lock.abandon()
        waiting = sink.telemetry_health()["queued"]
        sink.telemetry_run_started(a_run(run_id="child"))
        os._exit(0 if waiting == 0 and sink.telemetry_flush(60) else 1)

    lock.close()
    _, status = os.waitpid(child, 0)
    sink.telemetry_run_started(a_run(run_id="parent"))

    assert 0 == os.waitstatus_to_exitcode(status)
    assert sink.telemetry_flush(60)
    expected = ["before", "child", "parent", "waits in the parent"]
    assert expected == [run_id for run_id, _ in rows()]


def test_kill_9_at_any_instant_leaves_a_whole_store(processes: Any, path: Path) -> None:
    """What a call returned for is there after SIGKILL, the file is sound, and the next process needs no help."""
    script = """
        import itertools, sys
        from pathlib import Path
        from telemetry.plugins import RunRecord, SinkContext
        from telemetry.sinks.sqlite.sink import SqliteSink

        path = Path(sys.argv[1])
        sink = SqliteSink()
        sink.telemetry_open(SinkContext(sink_name="db", base_dir=path.parent, ndjson_dir=path.parent, journal_dir=None,
                                        database_path=path, writer="w"))
        print("ready", flush=True)
        for number in itertools.count():
            name = f"{sys.argv[2]}-{number}"
            sink.telemetry_run_started(RunRecord(run_id=name, agent_name="a", start_time="t", job_type="j"))
            if sink.telemetry_health()["queued"] == 0:
                print(name, flush=True)
    """
    acknowledged: list[str] = []
    for number in range(12):
        victim = processes.start_ready(script, path, number)
        acknowledged += [victim.stdout.readline().strip() for _ in range(1 + number % 3)]
        time.sleep(number * 0.003)
        victim.kill()
        lines = victim.stdout.read().splitlines(keepends=True)
        acknowledged += [line.strip() for line in lines if line.endswith("\n")]

    stored = {run_id for (run_id,) in found(path, "SELECT run_id FROM agent_runs")}
    assert [("ok",)] == found(path, "PRAGMA integrity_check")
    assert set() == set(acknowledged) - stored
    assert len(acknowledged) >= 24


HAMMER = """
    import json, sys, time
    from pathlib import Path
    from telemetry.plugins import RunRecord, SinkContext, generate_run_id, get_iso8601_timestamp
    from telemetry.sinks.sqlite.sink import SqliteSink
    import attrs

    path, count, write = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sink = SqliteSink(SqliteSink.Options(write=write))
    sink.telemetry_open(SinkContext(sink_name="db", base_dir=path.parent, ndjson_dir=path.parent, journal_dir=None,
                                    database_path=path, writer="w"))
    print("ready", flush=True)
    sys.stdin.readline()
    took = []
    for number in range(count):
        start = RunRecord(run_id=generate_run_id("a"), agent_name="a", start_time=get_iso8601_timestamp(), job_type="j")
        end = attrs.evolve(start, status="success", end_time=start.start_time, duration_ms=5, writer="w", seq=number)
        for act, run in ((sink.telemetry_run_started, start), (sink.telemetry_run_ended, end)):
            began = time.perf_counter()
            act(run)
            took.append(time.perf_counter() - began)
        time.sleep(0.0005)
    is_done = sink.telemetry_flush(60)
    print(json.dumps([is_done, sink.telemetry_health()["lost"], sorted(took)]), flush=True)
    sink.telemetry_close(1)
"""


@pytest.mark.parametrize("write", ["inline", "behind"])
def test_eight_processes_hammer_one_store_beside_a_reader(processes: Any, path: Path, write: str) -> None:
    """Every row is there, calls stay short, and the WAL stays under 16 MB though a reader is always at it."""
    hammers = [processes.start_ready(HAMMER, path, 300, write) for _ in range(8)]
    for hammer in hammers:
        hammer.stdin.write("go\n")
        hammer.stdin.flush()
    stop, longest, reads = threading.Event(), [0], [0]

    def read() -> None:
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        while not stop.is_set():
            reads[0] += bool(reader.execute("SELECT status, count(*), max(duration_ms) FROM agent_runs").fetchall())
            longest[0] = max(longest[0], path.with_name(f"{path.name}-wal").stat().st_size)
        reader.close()

    with contextlib.closing(Database(path)) as first, first.writing(60.0):
        pass
    thread = threading.Thread(target=read)
    thread.start()
    answers = [json.loads(hammer.stdout.readline()) for hammer in hammers]
    stop.set()
    thread.join()

    took = sorted(second for answer in answers for second in answer[2])
    assert [(True, 0)] * 8 == [tuple(answer[:2]) for answer in answers]
    assert [("success", 2400)] == found(path, "SELECT status, count(*) FROM agent_runs GROUP BY 1")
    assert [("ok",)] == found(path, "PRAGMA integrity_check")
    assert longest[0] < 16_000_000
    assert reads[0] > 0
    # The target is 10 ms for 99 of 100 (1.5 behind). Beside other tests, whose processes get the cores while one of
    # ours has the lock, 99 of 100 were seen to take 7 ms and 95 of 100 one.
    assert took[int(len(took) * 0.95)] < 0.05


def test_a_wal_that_a_reader_holds_open_grows_slowly(
    open_sink: Callable[..., SqliteSink], a_run: Callable[..., RunRecord], path: Path
) -> None:
    """Behind a transaction that lasts, records go out in batches, which touch each page once."""
    sink = open_sink(write="behind")
    sink.telemetry_run_started(a_run())
    assert sink.telemetry_flush(60)
    with contextlib.closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM agent_runs").fetchall()
        grow(Database(path), a_run, 2 * CHECKPOINT_BYTES)
        before = sink.telemetry_health()["wal_bytes"]
        for _ in range(300):
            sink.telemetry_run_started(a_run())
        assert sink.telemetry_flush(60)
        after = sink.telemetry_health()["wal_bytes"]

    assert before >= 2 * CHECKPOINT_BYTES
    assert after - before < 2_000_000


def grow(database: Database, a_run: Callable[..., RunRecord], size_bytes: int) -> None:
    """Write until the WAL is that long."""
    from telemetry.sinks.sqlite.writes import write_run

    while database.wal.used_bytes() < size_bytes:
        with database.writing(1.0) as opened:
            write_run(opened.connection, opened.shape, a_run(error_summary="x" * 100_000))
    database.close()


def test_closing_ends_the_thread_and_lets_go_of_the_file(
    open_sink: Callable[..., SqliteSink], a_run: Callable[..., RunRecord], path: Path
) -> None:
    """No thread and no WAL is left of a sink that was closed; closing twice is fine."""
    sink = open_sink(write="behind")
    sink.telemetry_run_started(a_run())

    sink.telemetry_close(5.0)
    sink.telemetry_close(5.0)

    assert "telemetry-sqlite" not in {thread.name for thread in threading.enumerate()}
    assert ["telemetry.sqlite", "telemetry.sqlite.lock"] == sorted(file.name for file in path.parent.iterdir())


def test_health_is_told_without_touching_the_store(
    sink: SqliteSink, a_run: Callable[..., RunRecord], path: Path
) -> None:
    """Plain facts, also while nothing was written yet."""
    fresh = sink.telemetry_health()
    sink.telemetry_run_started(a_run())

    assert {
        "path": str(path),
        "is_healthy": True,
        "fault": None,
        "is_catching_up": False,
        **dict.fromkeys(("queued", "wal_bytes", "written", "deferred", "left_to_journal", "refused", "lost"), 0),
        "quarantined": 0,
    } == fresh
    assert 1 == sink.telemetry_health()["written"]


def test_a_sink_can_be_read_that_was_never_opened(
    sink: SqliteSink, context: SinkContext, a_run: Callable[..., RunRecord]
) -> None:
    """The command line builds a sink only to ask it for its store."""
    sink.telemetry_run_started(a_run(run_id="r"))

    store = SqliteSink().open_store(context)
    run = store.get_run("r")
    store.close()

    assert run is not None
    assert "crawler" == run.agent_name


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Return the log, with everything that is said in it."""
    with caplog.at_level(logging.DEBUG, logger="telemetry"):
        yield caplog


def test_a_life_without_faults_says_nothing(
    quiet: pytest.LogCaptureFixture,
    open_sink: Callable[..., SqliteSink],
    a_run: Callable[..., RunRecord],
    ended: Callable[..., RunRecord],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """No log line, no output."""
    sink = open_sink()
    run = a_run()
    sink.telemetry_run_started(run)
    sink.telemetry_run_ended(ended(run))
    sink.telemetry_close(1.0)

    assert ([], ("", "")) == (quiet.messages, tuple(capfd.readouterr()))
