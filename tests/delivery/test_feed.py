"""Whatever happens to files and processes, a cursor brings each record once, and in order."""

import gzip
import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import MetricsUpdate, RunEvent, RunRecord, encode_line
from telemetry.sinks.delivery import feed as feed_module
from telemetry.sinks.delivery.cursor import Cursor, Mark
from telemetry.sinks.delivery.feed import Feed
from telemetry.sinks.delivery.places import Places
from telemetry.sinks.delivery.sources import Source, sources_of
from telemetry.sinks.delivery.wants import Wants
from telemetry.sinks.journal import JournalFile

DAYS = ("20261122", "20261123", "20261124")
EVERYTHING = 1 << 30


def line(number, writer="w"):
    """Return the line of a run that ended."""
    known = {"agent_name": "a", "job_type": "j", "start_time": "t", "status": "success"}
    return encode_line(RunRecord(run_id=f"r{number}", seq=number, writer=writer, **known))


def event(number):
    """Return the line of an event."""
    return encode_line(RunEvent(f"r{number}", "step", "t", {"n": number}, "w", number))


@frozen
class Dir:
    """A journal made by hand."""

    path: Path

    def file(self, day):
        return self.path / f"events_{day}.ndjson"

    def add(self, day, *lines):
        with self.file(day).open("ab") as stream:
            stream.write(b"".join(lines))

    def zip(self, day):
        with gzip.open(f"{self.file(day)}.gz", "wb") as stream:
            stream.write(self.file(day).read_bytes())
        self.file(day).unlink()

    def feed(self, marks=(), wants=None, **source):
        return Feed((Source(self.path, **source),), marks, wants or Wants())


@pytest.fixture
def journal(tmp_path):
    """Return an empty journal."""
    return Dir(tmp_path)


def ids(fed):
    """Return the run ids of what was read."""
    return [one.item.record.run_id for one in fed]


def test_records_come_in_the_order_of_days_and_lines(journal):
    """Oldest day first, whatever the order in which the files were made."""
    journal.add(DAYS[1], line(3))
    journal.add(DAYS[0], line(1), line(2))

    assert ["r1", "r2", "r3"] == ids(journal.feed().read(10, EVERYTHING))


def test_only_what_is_wanted_comes(journal):
    """Kinds by name, and of these what passes the test."""
    journal.add(DAYS[0], event(1), line(1), encode_line(MetricsUpdate("r1", "t", {"a": 1})), line(2))
    wants = Wants(frozenset(("run", "metrics")), lambda record: record.run_id == "r1")

    fed = journal.feed(wants=wants).read(10, EVERYTHING)

    assert [RunRecord, MetricsUpdate] == [type(one.item.record) for one in fed]
    assert (fed[0].item.record in wants, RunEvent("r1", "e", "t") in wants) == (True, False)


def test_a_test_that_raises_passes_nothing_over(journal, caplog):
    """Its sink gets the record, for whoever delivers sees what is wrong; said once, with the error."""

    def test(record):
        if record.run_id == "r0":
            return False
        return {}[record.run_id] if record.run_id in ("r1", "r3") else True

    journal.add(DAYS[0], *map(line, range(5)))
    wants = Wants(test=test)

    assert ["r1", "r2", "r3", "r4"] == ids(journal.feed(wants=wants).read(10, EVERYTHING))
    assert "KeyError: 'r3'" in wants.fault
    assert 1 == len([said for said in caplog.messages if "KeyError: 'r1'" in said])


@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt()])
def test_a_fault_while_it_reads_passes_nothing_over(journal, monkeypatch, error):
    """What was read before it comes again as well, since nobody got it."""
    journal.add(DAYS[0], *map(line, range(2)))
    journal.add(DAYS[1], *map(line, range(2, 5)))
    real, faults = feed_module.completed, [None, None, None, error]
    monkeypatch.setattr(feed_module, "completed", lambda *given: raising(faults) or real(*given))
    feed = journal.feed()
    assert ["r0"] == ids(feed.read(1, EVERYTHING))
    with pytest.raises(type(error)):
        feed.read(10, EVERYTHING)

    assert ["r1", "r2", "r3", "r4"] == ids(feed.read(10, EVERYTHING))


def raising(faults):
    """Raise the next of *faults*, if there is one."""
    if faults and (fault := faults.pop(0)) is not None:
        raise fault


def test_reading_is_bounded_by_count_and_by_size(journal):
    """Memory stays flat however far behind the delivery is."""
    journal.add(DAYS[0], *map(line, range(10)))
    feed = journal.feed()

    assert ["r0", "r1"] == ids(feed.read(2, EVERYTHING))
    assert ["r2"] == ids(feed.read(5, 1))
    assert 7 == len(feed.read(50, EVERYTHING))
    assert [] == feed.read(50, EVERYTHING)
    assert [] == feed.read(50, 0)


@pytest.mark.parametrize("is_new_feed", [True, False])
@pytest.mark.parametrize("old", [(line(1), line(2)), (line(3), line(2))], ids=["another", "cut and grown"])
def test_another_file_of_the_same_name_and_size_comes_whole(journal, is_new_feed, old):
    """The day was deleted and written again, or lost its end and grew again: its size says nothing then."""
    journal.add(DAYS[1], *old)
    feed = journal.feed()
    feed.read(10, EVERYTHING)
    feed = journal.feed(feed.marks()) if is_new_feed else (feed.marks(), feed)[1]
    size = journal.file(DAYS[1]).stat().st_size
    journal.file(DAYS[1]).unlink()
    journal.add(DAYS[1], line(3), line(4))
    assert size == journal.file(DAYS[1]).stat().st_size

    assert ["r3", "r4"] == ids(feed.read(10, EVERYTHING))
    assert [] == feed.read(10, EVERYTHING)


def test_a_day_that_nobody_wrote_for_long_is_not_looked_into(journal, monkeypatch):
    """Its size is enough: there may be hundreds, and each look costs 50 us at each pass."""
    journal.add(DAYS[0], line(1))
    feed = journal.feed()
    feed.read(10, EVERYTHING)
    marks = feed.marks()
    long_ago = time.time() - 3 * 86_400
    os.utime(journal.file(DAYS[0]), (long_ago, long_ago))
    looks = []
    monkeypatch.setattr(JournalFile, "head", property(lambda file: looks.append(file.name)))

    assert [] == journal.feed(marks).read(10, EVERYTHING)
    assert [] == looks


def test_what_is_added_later_comes_later(journal):
    """The end is only the end for now, in an old file too."""
    journal.add(DAYS[0], line(1))
    journal.add(DAYS[1], line(2))
    feed = journal.feed()
    feed.read(10, EVERYTHING)

    journal.add(DAYS[0], line(3))
    journal.add(DAYS[2], line(4))

    assert ["r3", "r4"] == ids(feed.read(10, EVERYTHING))


def test_a_feed_that_was_closed_goes_on_where_it_was(journal):
    """Closing lets go of the file, not of the place."""
    journal.add(DAYS[0], *map(line, range(4)))
    feed = journal.feed()
    feed.read(1, EVERYTHING)

    feed.close()
    feed.close()

    assert ["r1", "r2", "r3"] == ids(feed.read(10, EVERYTHING))


def test_marks_stand_before_what_is_pending(journal):
    """In each file, and behind all else that was read."""
    journal.add(DAYS[0], *map(line, range(3)))
    journal.add(DAYS[1], *map(line, range(3, 6)))
    fed = (feed := journal.feed()).read(10, EVERYTHING)

    marks = feed.marks([fed[1], fed[5]])

    assert ["r1", "r2", "r5"] == ids(journal.feed(marks).read(10, EVERYTHING))
    assert [] == journal.feed(feed.marks()).read(10, EVERYTHING)
    assert 0 == feed.unsaved_bytes


def test_unsaved_bytes_count_what_was_skipped_too(journal):
    """A journal full of events moves the cursor now and then, though nothing is delivered."""
    journal.add(DAYS[0], *map(event, range(100)))
    feed = journal.feed()

    assert [] == feed.read(10, EVERYTHING)
    assert journal.file(DAYS[0]).stat().st_size == feed.unsaved_bytes


def test_a_gzipped_day_goes_on_where_the_plain_one_stood(journal):
    """Closing a day changes neither names nor offsets."""
    journal.add(DAYS[0], *map(line, range(4)))
    feed = journal.feed()
    feed.read(2, EVERYTHING)
    marks = feed.marks()
    feed.close()

    journal.zip(DAYS[0])

    assert ["r2", "r3"] == ids((after := journal.feed(marks)).read(10, EVERYTHING))
    assert [] == journal.feed(after.marks()).read(10, EVERYTHING)


def test_a_copied_base_directory_goes_on(journal, tmp_path):
    """rsync gives other inodes and times; names and first lines stay."""
    journal.add(DAYS[0], *map(line, range(4)))
    (feed := journal.feed()).read(3, EVERYTHING)
    marks = feed.marks()
    copy = Dir(tmp_path / "copy")
    shutil.copytree(journal.path, copy.path, ignore=shutil.ignore_patterns("copy"))

    assert ["r3"] == ids(copy.feed(marks).read(10, EVERYTHING))


def test_a_file_that_was_exchanged_is_a_new_one(journal):
    """Another first line: another file, though it has the name of one that was delivered."""
    journal.add(DAYS[0], *map(line, range(4)))
    (feed := journal.feed()).read(10, EVERYTHING)
    marks = feed.marks()
    journal.file(DAYS[0]).unlink()

    journal.add(DAYS[0], line(7))

    assert ["r7"] == ids(journal.feed(marks).read(10, EVERYTHING))
    assert ["r7"] == ids(feed.read(10, EVERYTHING))


def test_a_file_that_lost_its_end_and_grew_again_is_delivered_anew(journal, caplog):
    """After a power cut the offset lies inside a line that nobody delivered; twice is better than never."""
    journal.add(DAYS[0], line(1), line(2))
    (feed := journal.feed()).read(10, EVERYTHING)
    marks = feed.marks()
    os.truncate(journal.file(DAYS[0]), len(line(1)))

    journal.add(DAYS[0], line(30000), line(4))

    assert ["r1", "r30000", "r4"] == ids(journal.feed(marks).read(10, EVERYTHING))
    assert "lost lines" in caplog.text


def test_a_file_that_lost_its_end_and_stays_short_is_delivered_anew(journal):
    """Also while it is shorter than the cursor, and under a feed that has read it."""
    journal.add(DAYS[0], line(1), line(2), line(3))
    (feed := journal.feed()).read(10, EVERYTHING)

    os.truncate(journal.file(DAYS[0]), len(line(1)))

    assert ["r1"] == ids(feed.read(10, EVERYTHING))


def test_days_before_the_first_one_are_not_looked_at(journal):
    """What was written before the sink existed is not its business."""
    journal.add(DAYS[0], line(1))
    journal.add(DAYS[1], line(2))

    assert ["r2"] == ids(journal.feed(first_day=DAYS[1]).read(10, EVERYTHING))


def test_a_torn_line_costs_only_itself(journal):
    """A first line without its end names no file yet; one in the middle is passed over."""
    journal.add(DAYS[0], line(1)[:40])
    feed = journal.feed()
    assert [] == feed.read(10, EVERYTHING)

    journal.add(DAYS[0], b"\n", line(2), line(3)[:-20])
    assert ["r2"] == ids(feed.read(10, EVERYTHING))

    journal.add(DAYS[0], b"\n", line(4))
    assert ["r4"] == ids(feed.read(10, EVERYTHING))


def test_two_journals_have_places_of_their_own(tmp_path):
    """Files of one name and one size in both are not taken for each other."""
    shared, own = Dir(tmp_path / "raw"), Dir(tmp_path / "own")
    for journal, writer in ((shared, "a"), (own, "b")):
        journal.path.mkdir()
        journal.add(DAYS[0], line(1, writer))
    sources = (Source(own.path, "own/", is_own=True), Source(shared.path))
    feed = Feed(sources, (), Wants())

    assert ["b", "a"] == [fed.item.record.writer for fed in feed.read(10, EVERYTHING)]
    assert {f"own/events_{DAYS[0]}.ndjson", f"events_{DAYS[0]}.ndjson"} == {mark.name for mark in feed.marks()}


def test_the_own_journal_is_deleted_when_it_is_delivered(tmp_path):
    """But neither today's file, nor one that is not read to its end, nor anything of the shared journal."""
    own, shared = Dir(tmp_path / "own"), Dir(tmp_path / "raw")
    for journal in (own, shared):
        journal.path.mkdir()
        journal.add("20200101", line(1))
    own.add("20200102", line(2), line(3))
    own.add("29990101", line(4))
    feed = Feed((Source(own.path, "own/", is_own=True), Source(shared.path)), (), Wants())
    feed.read(2, EVERYTHING)
    feed.marks()

    feed.delete_delivered()

    assert ["events_20200102.ndjson", "events_29990101.ndjson"] == sorted(os.listdir(own.path))
    feed.read(10, EVERYTHING)
    feed.delete_delivered()
    assert ["events_29990101.ndjson"] == os.listdir(own.path)
    assert ["events_20200101.ndjson"] == os.listdir(shared.path)


def test_marks_of_files_that_are_gone_are_kept_a_while(journal):
    """A restore may bring them back; but a thousand is enough."""
    gone = [Mark(f"events_{day}.ndjson", "h", 1) for day in range(20100000, 20101200)]
    journal.add(DAYS[0], line(1))
    (feed := journal.feed(gone)).read(10, EVERYTHING)

    marks = feed.marks()

    assert 1000 == len(marks)
    assert [gone[-1].name, f"events_{DAYS[0]}.ndjson"] == [mark.name for mark in marks[-2:]]


def test_a_file_that_is_pruned_while_it_is_read_costs_nothing(journal):
    """Its marks stay, without what stood before them."""
    journal.add(DAYS[0], line(1))
    journal.add(DAYS[1], line(2))
    feed = journal.feed()
    feed.read(10, EVERYTHING)

    journal.file(DAYS[0]).unlink()

    assert ["", ""] != [mark.tail for mark in feed.marks()]
    assert [] == feed.read(10, EVERYTHING)


def test_a_day_that_is_gzipped_while_it_is_looked_at_is_not_delivered_again(journal):
    """It was listed as plain, and is gone when its size is asked for: that is no file that lost its lines."""
    journal.add(DAYS[0], line(1))
    stale = Source(journal.path).files()
    (feed := journal.feed()).read(10, EVERYTHING)
    marks = feed.marks()
    journal.zip(DAYS[0])

    @frozen
    class Stale(Source):
        def files(self):
            return stale

    late = Feed((Stale(journal.path),), marks, Wants())
    assert [] == late.read(10, EVERYTHING)
    assert [] == journal.feed(late.marks()).read(10, EVERYTHING)


def test_around_midnight_a_run_stays_in_order(journal):
    """A line of the new day is not read before a line of the old day that was written before it."""
    journal.add(DAYS[0], line(1))
    journal.add(DAYS[1], line(8), line(9))
    feed = journal.feed()
    assert ["r1", "r8"] == ids(feed.read(2, EVERYTHING))  # it has left the old day

    journal.add(DAYS[0], line(2))
    journal.add(DAYS[1], line(3))

    assert ["r9", "r2", "r3"] == ids([*feed.read(10, EVERYTHING), *feed.read(10, EVERYTHING)])


def test_sources_are_the_own_journal_and_the_shared_one(tmp_path):
    """The own one is always looked at: retried dead letters lie there."""
    places = Places(tmp_path, "hq")

    assert [tmp_path / "hq"] == [source.directory for source in sources_of(places, None, Cursor("20261123"))]
    own, shared = sources_of(places, tmp_path / "raw", Cursor("20261123"))
    assert (("own/", "", True), ("", "20261123", False)) == tuple(
        (source.prefix, source.first_day, source.is_own) for source in (own, shared)
    )


def test_files_are_left_out_by_name(tmp_path):
    """Not by day, where the cursor names them: a clock may have been wrong."""
    for name in ("events_20261121.ndjson.gz", "events_20261121.r1.ndjson", "events_20261122.ndjson"):
        (tmp_path / name).touch()
    cursor = Cursor("20261123", left_out=("events_20261121.ndjson",))

    *_, shared = sources_of(Places(tmp_path, "hq"), tmp_path, cursor)

    assert ["events_20261121.r1.ndjson", "events_20261122.ndjson"] == [file.name for file in shared.files()]


@given(st.data())
def test_any_history_of_writing_reading_and_crashing_delivers_each_record_once(data):
    """Writers append, a pump takes some and dies; days close, directories move. Nothing is missing or doubled."""
    with tempfile.TemporaryDirectory() as folder:
        journal, copies = Dir(Path(folder) / "j0"), itertools.count(1)
        journal.path.mkdir()
        numbers, got, closed, marks = itertools.count(), [], set(), ()
        feed = journal.feed(marks)
        for step in data.draw(st.lists(st.sampled_from("wwwrrrsczm"), max_size=30)):
            if step == "w":
                day = data.draw(st.sampled_from(DAYS))
                if day not in closed:
                    journal.add(day, *(line(next(numbers)) for _ in range(data.draw(st.integers(1, 3)))), event(0))
            elif step == "r":
                fed = feed.read(data.draw(st.integers(1, 4)), EVERYTHING)
                taken = data.draw(st.integers(0, len(fed)))
                got += ids(fed[:taken])
                marks = feed.marks(fed[taken:])
                feed.close()
                feed = journal.feed(marks)
            elif step == "c":
                feed.close()
                feed = journal.feed(marks)
            elif step == "z":
                day = data.draw(st.sampled_from(DAYS))
                if journal.file(day).exists():
                    journal.zip(day)
                    closed.add(day)
            elif step == "m":
                moved = Dir(Path(folder) / f"j{next(copies)}")
                shutil.move(journal.path, moved.path)
                journal = moved
                feed.close()
                feed = journal.feed(marks)
        got += ids(feed.read(1000, EVERYTHING))
        feed.close()

        assert sorted(got) == sorted(f"r{number}" for number in range(next(numbers)))
