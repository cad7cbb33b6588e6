"""
Our sinks, each with one deliberate fault, under the conformance kit.

`caught_by` names the contract tests that have to fail; tests/testing/test_mutants.py runs this file and looks.
"""

import os
import tempfile
import threading
import time
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from attrs import define, field, frozen
from collector import Collector
from our_contracts import ApiContract, MemoryContract, NdjsonContract, SqliteContract

from telemetry.plugins import RunEvent, Secret, StoreError, encode_line, hookimpl
from telemetry.sinks.api import ApiSink
from telemetry.sinks.memory import MemorySink
from telemetry.sinks.ndjson import NdjsonSink
from telemetry.sinks.sqlite.sink import SqliteSink


@pytest.fixture(scope="module")
def collector():
    """Return a server that takes everything."""
    with Collector() as server:
        yield server


class DropsEverySeventhRun(NdjsonContract):
    """A counter that is off."""

    caught_by = ("test_none_of_many_is_lost", "test_kill_loses_nothing_acknowledged")

    class sink_type(NdjsonSink):
        contract = 1
        count = 0

        @hookimpl
        def telemetry_run_ended(self, run):
            type(self).count += 1
            if self.count % 7:
                self.journal.append(encode_line(run))

        @hookimpl
        def telemetry_run_started(self, run):
            """Leave the start to the end."""


class SwallowsErrors(NdjsonContract):
    """A full disk is nobody's business."""

    caught_by = ("test_full_disk_is_not_kept_secret",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_run_ended(self, run):
            with suppress(OSError, StoreError):
                self.journal.append(encode_line(run))


class SharesADescriptorAfterFork(NdjsonContract):
    """The child goes on with the parent's file."""

    caught_by = ("test_child_writes_through_no_descriptor_of_its_parent",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_forked(self):
            """Go on as if nothing had happened."""


@define(eq=False)
class _Queueing(NdjsonSink):
    contract = 1
    queue: list = field(factory=list, init=False)

    @hookimpl
    def telemetry_run_started(self, run):
        self.queue.append(run)

    @hookimpl
    def telemetry_event_logged(self, event):
        self.queue.append(event)

    @hookimpl
    def telemetry_run_ended(self, run):
        self.queue.append(run)

    def bring_out(self):
        while self.queue:
            self.journal.append(encode_line(self.queue.pop(0)))

    @hookimpl
    def telemetry_flush(self, deadline_s):
        self.bring_out()
        return True

    @hookimpl
    def telemetry_close(self, deadline_s):
        self.bring_out()
        self.journal.close(deadline_s)


class KeepsRecordsInMemoryUntilTheFlush(NdjsonContract):
    """Quick, and gone after kill -9."""

    caught_by = ("test_kill_loses_nothing_acknowledged", "test_store_of_a_killed_process_is_written_on")
    sink_type = _Queueing


class FlushesNothing(NdjsonContract):
    """It says that it did."""

    caught_by = ("test_flush_brings_everything_out", "test_running_run_comes_back")

    class sink_type(_Queueing):
        contract = 1

        @hookimpl
        def telemetry_flush(self, deadline_s):
            return True


class ForgetsTheQueueAtTheClose(NdjsonContract):
    """Who does not flush loses."""

    caught_by = ("test_close_brings_everything_out",)

    class sink_type(_Queueing):
        contract = 1

        @hookimpl
        def telemetry_close(self, deadline_s):
            self.journal.close(deadline_s)


class DoesTheParentsWorkTwice(NdjsonContract):
    """The child brings out what waited in the parent, and so does the parent."""

    caught_by = ("test_parents_work_is_not_done_twice",)
    sink_type = _Queueing


class PutsTheNewestFirst(NdjsonContract):
    """A list that was meant to be a queue."""

    caught_by = ("test_events_keep_their_order",)

    class sink_type(_Queueing):
        contract = 1

        @hookimpl
        def telemetry_event_logged(self, event):
            self.queue.insert(0, event)


class LeavesOutWhatIsBig(NdjsonContract):
    """A limit that nobody was told of."""

    caught_by = ("test_big_payload_is_survived",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_event_logged(self, event):
            line = encode_line(event)
            if len(line) < 1 << 20:
                self.journal.append(line)


class IgnoresTheDeadlineOfFlush(NdjsonContract):
    """It takes what it takes."""

    caught_by = ("test_flush_keeps_its_deadline[0.0]",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_flush(self, deadline_s):
            time.sleep(2.2)
            return True


class IgnoresTheDeadlineOfClose(NdjsonContract):
    """So does this one."""

    caught_by = ("test_close_keeps_its_deadline[0.0]",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_close(self, deadline_s):
            time.sleep(2.2)
            self.journal.close(deadline_s)


class ClosesOnceOnly(NdjsonContract):
    """The second close stumbles over what the first one left."""

    caught_by = ("test_close_twice_is_no_error",)

    @define(eq=False)
    class sink_type(NdjsonSink):
        contract = 1
        is_closed: bool = False

        @hookimpl
        def telemetry_close(self, deadline_s):
            if self.is_closed:
                raise ValueError("I/O operation on closed file")
            self.is_closed = True
            self.journal.close(deadline_s)


class CannotBeOpenedAgain(NdjsonContract):
    """What comes after the close is refused for ever."""

    caught_by = ("test_sink_can_be_opened_again",)

    @define(eq=False)
    class sink_type(NdjsonSink):
        contract = 1
        is_closed: bool = False

        @hookimpl
        def telemetry_run_ended(self, run):
            if not self.is_closed:
                self.journal.append(encode_line(run))

        @hookimpl
        def telemetry_close(self, deadline_s):
            self.is_closed = True
            self.journal.close(deadline_s)


class LeavesAThread(NdjsonContract):
    """It waits for work that never comes."""

    caught_by = ("test_no_thread_is_left",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_flush(self, deadline_s):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


class LeavesADescriptor(NdjsonContract):
    """One for each flush."""

    caught_by = ("test_no_descriptor_is_left",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_flush(self, deadline_s):
            os.open(os.curdir, os.O_RDONLY)


class Prints(NdjsonContract):
    """Somebody's debugging."""

    caught_by = ("test_nothing_is_printed",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_run_ended(self, run):
            os.write(1, b"run ended\n")
            self.journal.append(encode_line(run))


class LetsEverybodyRead(NdjsonContract):
    """The umask decides."""

    caught_by = ("test_files_are_private",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_close(self, deadline_s):
            for path in self.journal_directory(self.journal.directory).glob("*.ndjson"):
                path.chmod(0o644)
            self.journal.close(deadline_s)


class ChangesTheRecord(NdjsonContract):
    """It marks the payload as seen, which every other sink then sees as well."""

    caught_by = ("test_records_are_left_as_they_are",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_event_logged(self, event):
            if isinstance(event.payload, dict):
                event.payload["seen"] = True
            self.journal.append(encode_line(event))


class TakesTheAgentForAPath(NdjsonContract):
    """A file for each agent, wherever its name leads."""

    caught_by = ("test_any_agent_is_survived[up]", "test_any_agent_is_survived[long]")

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_run_ended(self, run):
            self.journal.append(encode_line(run))
            (self.journal.directory / "x" / f"../{run.agent_name}.log").resolve().touch(0o600)


class KnowsNoUnicode(NdjsonContract):
    """It was tested with the names of its author's friends."""

    caught_by = ("test_any_text_is_survived[emoji and marks]", "test_any_payload_is_survived[beyond the BMP]")

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_event_logged(self, event):
            str(event.payload).encode("ascii")
            self.journal.append(encode_line(event))

        @hookimpl
        def telemetry_run_ended(self, run):
            str(run).encode("ascii")
            self.journal.append(encode_line(run))


class TellsNoPlainHealth(NdjsonContract):
    """A set is no JSON."""

    caught_by = ("test_health_is_plain",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_health(self):
            return {"days": {"20260101"}}


class ThinksAboutItsHealth(NdjsonContract):
    """It counts the lines of the journal, slowly."""

    caught_by = ("test_health_is_quick",)

    class sink_type(NdjsonSink):
        contract = 1

        @hookimpl
        def telemetry_health(self):
            time.sleep(1.2)
            return {}


class HoldsTheAgent(NdjsonContract):
    """It promised not to."""

    caught_by = ("test_caller_is_not_held",)

    class sink_type(NdjsonSink):
        contract = 1
        runs_inline = True

        @hookimpl
        def telemetry_run_ended(self, run):
            time.sleep(0.06)
            self.journal.append(encode_line(run))


class WritesWhereItWasLast(NdjsonContract):
    """It remembers the end of the file, which other processes move."""

    caught_by = ("test_processes_lose_nothing",)

    @define(eq=False)
    class sink_type(NdjsonSink):
        contract = 1
        end: int = 0

        @hookimpl
        def telemetry_run_started(self, run):
            """Leave the start to the end."""

        @hookimpl
        def telemetry_run_ended(self, run):
            self.journal.directory.mkdir(0o700, exist_ok=True)
            path = self.journal.directory / "events_20260101.ndjson"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            self.end += os.pwrite(descriptor, encode_line(run), self.end)
            os.close(descriptor)


class OpensWhenItIsBuilt(SqliteContract):
    """`telemetry sinks` would create a file for each sink that it lists."""

    caught_by = ("test_building_touches_nothing",)

    def make_sink(self, tmp_path) -> Any:
        """Return a sink whose file is there."""
        (tmp_path / "db").mkdir(exist_ok=True)
        (tmp_path / "db" / "telemetry.sqlite").touch()
        return self.sink_type()


class KnowsTheStartOnly(SqliteContract):
    """An INSERT, and no UPDATE."""

    caught_by = ("test_run_comes_back", "test_end_without_a_start_comes_back")

    class sink_type(SqliteSink):
        contract = 1

        @hookimpl
        def telemetry_run_ended(self, run):
            """Think of it as done."""


class RefusesASecondEnd(SqliteContract):
    """UNIQUE constraint failed."""

    caught_by = ("test_same_end_twice_is_one_run", "test_everything_twice_changes_nothing")

    @define(eq=False)
    class sink_type(SqliteSink):
        contract = 1
        seen: set = field(factory=set)

        @hookimpl
        def telemetry_run_ended(self, run):
            if run.run_id in self.seen:
                raise StoreError("UNIQUE constraint failed: agent_runs.run_id")
            self.seen.add(run.run_id)
            self._open_backlog.put(run)


class SharesOneFileForAll(SqliteContract):
    """The first sink of the process decides where all of them write."""

    caught_by = ("test_two_sinks_keep_apart",)

    class sink_type(SqliteSink):
        contract = 1
        place: ClassVar[Any] = None

        def _path(self, context):
            cls = type(self)
            cls.place = cls.place if cls.place and cls.place.parent.parent.exists() else context.database_path
            return cls.place


class WritesForReadersToo(SqliteContract):
    """It makes sure that the table is there."""

    caught_by = ("test_reader_writes_nothing",)

    class sink_type(SqliteSink):
        contract = 1

        @hookimpl
        def telemetry_open(self, context):
            SqliteSink.telemetry_open(self, context)
            context.database_path.parent.mkdir(0o700, exist_ok=True)
            context.database_path.touch(0o600)


class LosesToOtherThreads(MemoryContract):
    """Read, think, write."""

    caught_by = ("test_threads_lose_nothing",)

    class sink_type(MemorySink):
        contract = 1

        def _keep(self, record):
            records = [*self.records, record]
            time.sleep(0.0001)
            self.records = records


class KeepsTheNewest(MemoryContract):
    """A limit out of nowhere."""

    caught_by = ("test_none_of_many_is_lost", "test_order_is_kept")

    class sink_type(MemorySink):
        contract = 1

        def _keep(self, record):
            self.records.append(record)
            del self.records[:-20]


class ComparesByValue(MemoryContract):
    """pluggy refuses the second of them."""

    caught_by = ("test_instances_are_told_apart",)

    @define
    class sink_type(MemorySink):
        contract = 1


class StatesNoContract(MemoryContract):
    """Nobody can tell what it was written for."""

    caught_by = ("test_contract_is_stated",)

    class sink_type(MemorySink):
        pass


class HasAHookThatIsNone(MemoryContract):
    """A misspelt name."""

    caught_by = ("test_hooks_are_in_the_contract",)

    class sink_type(MemorySink):
        contract = 1

        @hookimpl
        def telemetry_run_finished(self, run):
            """Never called."""


class TakesAnyOption(MemoryContract):
    """Without a type nothing can be checked."""

    caught_by = ("test_wrong_type_is_told",)

    class sink_type(MemorySink):
        contract = 1

        @frozen(kw_only=True)
        class Options:
            limit: Any = None


class TellsEventsOfOthers(MemoryContract):
    """A cache that outlives its sink."""

    caught_by = ("test_two_sinks_keep_apart",)

    class sink_type(MemorySink):
        contract = 1
        everything: ClassVar[list] = []

        def _keep(self, record):
            self.everything.append(record)
            self.records = self.everything


class TripsOverAMetric(MemoryContract):
    """It sums what cannot be summed."""

    caught_by = ("test_any_text_is_survived[quotes]", "test_deep_payload_is_survived")

    class sink_type(MemorySink):
        contract = 1

        def _keep(self, record):
            if not isinstance(record, RunEvent):
                sum(getattr(record, "metrics", {}).values())
            self.records.append(record)


class ShowsItsToken(ApiContract):
    """In every repr, so in every log."""

    caught_by = ("test_secrets_are_not_shown",)

    class sink_type(ApiSink):
        contract = 1

        @frozen(kw_only=True)
        class Options(ApiSink.Options):
            token: Secret | None = field(default=None, converter=Secret, repr=lambda token: token.reveal())


class PostsTwoOfThree(ApiContract):
    """It calls the batch done."""

    caught_by = ("test_none_of_many_is_lost", "test_close_brings_everything_out")

    class sink_type(ApiSink):
        contract = 1
        count = 0

        def _post_batch(self, batch):
            type(self).count += 1
            if self.count % 3:
                ApiSink._post_batch(self, batch)


class PostsNoFailure(ApiContract):
    """Good news only."""

    caught_by = ("test_failed_run_comes_back",)

    class sink_type(ApiSink):
        contract = 1

        def _wants(self, record):
            return ApiSink._wants(self, record) and record.status != "failed"


class KeepsATemporaryFile(ApiContract):
    """Next to the agent's."""

    caught_by = ("test_no_descriptor_is_left",)

    class sink_type(ApiSink):
        contract = 1

        @hookimpl
        def telemetry_flush(self, deadline_s):
            tempfile.mkstemp()
            return self.delivery.flush(deadline_s)
