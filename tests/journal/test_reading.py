"""What is whole in a journal reads back with its place; damage costs only the lines that it hit."""

from __future__ import annotations

import gzip
import json
import random
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, Record, RunEvent, RunRecord, encode_line
from telemetry.plugins.lines import kind_of
from telemetry.sinks.journal import JournalFile, Reader, journal_files, read_records, reading

START = "2026-11-23T10:00:00.000000+00:00"
DAY = "events_20261123.ndjson"


def _event(n: int, **payload: object) -> RunEvent:
    return RunEvent("r", "e", START, {"n": n, **payload}, "w", n)


def _run(n: int) -> RunRecord:
    return RunRecord(run_id=f"run-{n}", agent_name="a", start_time=START, metrics={"n": n})


def _others(n: int) -> list[Record]:
    return [
        MetricsUpdate("r", START, {"n": n}),
        DeliveryReport("r", START, f"api-{n}"),
        CommitLink(run_id="r", timestamp=START, commit_hash=f"c{n}"),
    ]


RECORDS = st.integers(0, 99).flatmap(lambda n: st.sampled_from([_event(n), _run(n), *_others(n)]))
JUNK = st.binary(max_size=30).map(lambda junk: junk.replace(b"\n", b""))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory):
    """Store bytes as the only file of a journal and return it; any number of times in one test."""
    directory = tmp_path_factory.mktemp("raw")

    def store(blob: bytes, *, is_gzipped: bool = False) -> JournalFile:
        for old in directory.iterdir():
            old.unlink()
        (directory / (f"{DAY}.gz" if is_gzipped else DAY)).write_bytes(gzip.compress(blob) if is_gzipped else blob)
        return journal_files(directory)[0]

    return store


@given(st.lists(RECORDS, max_size=8), st.data(), st.booleans())
def test_a_torn_tail_costs_at_most_the_last_record(stored, written, data, is_gzipped):
    """Cut the file anywhere: every whole line reads back from where it stands; the torn one stays unread."""
    lines = [encode_line(record) for record in written]
    blob = b"".join(lines)
    cut = data.draw(st.integers(0, len(blob)))
    ends = [sum(map(len, lines[: n + 1])) for n in range(len(lines))]
    whole = sum(end <= cut for end in ends)
    # A record that lacks nothing but its newline is whole too.
    is_tail_whole = whole < len(lines) and cut == ends[whole] - 1

    reader = Reader(stored(blob[:cut], is_gzipped=is_gzipped))
    found = list(reader)

    assert written[: whole + is_tail_whole] == [record for _, _, record in found]
    assert [0, *ends][: len(found)] == [offset for offset, _, _ in found]
    assert [min(end, cut) for end in ends[: len(found)]] == [end for _, end, _ in found]
    assert reader.position == (cut if is_tail_whole or is_gzipped else [0, *ends][whole])


@given(st.lists(RECORDS, min_size=1, max_size=8), st.data())
def test_garbled_bytes_cost_only_the_lines_they_hit(stored, written, data):
    """Overwrite some bytes, newlines too: every line that is untouched reads back from where it stands."""
    lines = [encode_line(record) for record in written]
    blob = bytearray(b"".join(lines))
    places = data.draw(st.lists(st.integers(0, len(blob) - 1), max_size=4))
    for place in places:
        blob[place] = data.draw(st.integers(0, 255))
    starts = [sum(map(len, lines[:n])) for n in range(len(lines))]
    # A newline that was overwritten glues its line to the next one, which is found again all the same.
    untouched = [
        (start, record)
        for start, line, record in zip(starts, lines, written, strict=True)
        if not any(start <= place < start + len(line) - 1 for place in places)
    ]

    found = [(offset, record) for offset, _, record in read_records(stored(bytes(blob)))]

    assert [] == [record for record in untouched if record not in found]


@given(st.lists(st.one_of(RECORDS.map(encode_line), RECORDS.map(lambda r: encode_line(r)[:-1]), JUNK), max_size=8))
def test_reading_goes_on_from_any_position(stored, pieces):
    """Stop after any record and start again from its end: together that is what one reading gives."""
    file = stored(b"\n".join(pieces))
    found = list(read_records(file))

    for n, (_, end, _) in enumerate(found):
        assert found[n + 1 :] == list(read_records(file, end))


@given(st.lists(RECORDS, max_size=10), st.sets(st.sampled_from(["run", "event", "metrics", "delivery", "commit"])))
def test_only_the_kinds_that_are_asked_for_come_out(stored, written, kinds):
    """The others are passed over, and the position moves past them too."""
    wanted = tuple(
        {"run": RunRecord, "event": RunEvent, "metrics": MetricsUpdate, "delivery": DeliveryReport}.get(
            kind, CommitLink
        )
        for kind in kinds
    )
    blob = b"".join(map(encode_line, written))

    reader = Reader(stored(blob), kinds=kinds)

    assert [record for record in written if isinstance(record, wanted)] == [found.record for found in reader]
    assert len(blob) == reader.position


@given(st.lists(RECORDS, max_size=30), st.none() | st.sets(st.sampled_from(["run", "metrics"]), min_size=1))
def test_only_lines_with_the_part_that_is_asked_for_come_out(stored, written, kinds):
    """And of these only the kinds that are."""
    lines = [encode_line(record) for record in written]
    wanted = [record for record, line in zip(written, lines, strict=True) if b":1" in line]

    found = [found.record for found in read_records(stored(b"".join(lines)), kinds=kinds, part=b":1")]

    assert [record for record in wanted if kinds is None or kind_of(record) in kinds] == found


@pytest.mark.parametrize("kinds", [None, {"run"}])
def test_records_inside_damaged_lines_are_found_again(stored, kinds):
    """Glued behind a torn record, behind zeros of a lost block, behind a whole record of another kind."""
    whole = encode_line(_run(1))[:-1]
    torn = encode_line(_event(1))[:-12]
    blob = b"\n".join((torn + whole, b"\0" * 500 + whole, encode_line(_event(2))[:-1] + whole + b"trash", b""))

    found = [found for found in read_records(stored(blob), kinds=kinds) if isinstance(found.record, RunRecord)]

    assert [_run(1)] * 3 == [record for _, _, record in found]
    assert [blob.find(whole, start) for start, _, _ in found] == [start for start, _, _ in found]


def test_a_record_inside_a_payload_is_no_record(stored):
    """What an agent logs about telemetry itself does not come out as a second record, not even while it is written."""
    inner = json.loads(encode_line(_run(7)))
    line = encode_line(_event(1, inner=inner))
    half = line[:-20]

    assert [_event(1, inner=inner)] == [found.record for found in read_records(stored(line))]
    assert [] == list(read_records(stored(line), kinds={"run"}))
    assert [] == list(read_records(stored(half)))


def test_lines_of_earlier_writers_are_read(stored):
    """Spaces after colons, another order of keys, JSON in text, a bare NaN, no newline at the end."""
    legacy = (
        b'{"record_type": "run", "run_id": "old", "agent_name": "a", "start_time": "2026-01-01T00:00:00Z", '
        b'"metrics_json": "{\\"n\\": 1}"}\n'
        b'{"run_id": "old", "record_type": "event", "event_type": "e", "timestamp": "t", "payload_json": null}\n'
        b'{"event_type": "e", "run_id": "old", "payload": {"loss": NaN}, "timestamp": "t", "record_type" : "event"}\n'
        b'{"agent_name": "a", "run_id": "late", "start_time": "2026-01-01T00:00:00Z", "record_type": "run"}'
    )

    assert ["run", "event", "event", "run"] == [
        "run" if isinstance(found.record, RunRecord) else "event" for found in read_records(stored(legacy))
    ]
    assert ["old", "late"] == [found.record.run_id for found in read_records(stored(legacy), kinds={"run"})]


def test_the_tail_is_read_when_it_is_whole_and_what_follows_after_it(stored):
    """A reader that iterates again gets what was added: a newline first, then records, then the end of a torn one."""
    first, second, third = (encode_line(_event(n)) for n in (1, 2, 3))
    file = stored(first[:-1])
    reader = Reader(file)
    steps = []

    for added in (b"", b"\n" + second + third[:20], third[20:-1], b"\n"):
        with file.path.open("ab") as stream:
            stream.write(added)
        steps.append([found.record.payload["n"] for found in reader])

    assert [[1], [2], [3], []] == steps
    assert len(first + second + third) == reader.position


def test_a_whole_tail_of_another_kind_is_passed(stored):
    """It lacks only its newline: it does not come out, and the position moves behind it."""
    blob = encode_line(_run(1)) + encode_line(_event(1))[:-1]
    reader = Reader(stored(blob), kinds={"run"})

    assert [_run(1)] == [found.record for found in reader]
    assert len(blob) == reader.position


def test_the_torn_tail_of_a_gzipped_day_is_passed(stored):
    """Nobody will end it any more: what is whole in it comes out, and the position is the end."""
    blob = encode_line(_event(1)) + b"torn{" + encode_line(_event(2))[:-1] + b'{"record_type":"ev'
    file = stored(blob, is_gzipped=True)
    reader = Reader(file)

    assert [1, 2] == [found.record.payload["n"] for found in reader]
    assert len(blob) == reader.position
    assert not file.has_more(reader.position)


def test_several_gzip_files_in_one_are_read_as_one(stored):
    """`cat a.gz b.gz` is a gzip file too."""
    file = stored(encode_line(_event(1)), is_gzipped=True)
    with file.path.open("ab") as stream:
        stream.write(gzip.compress(encode_line(_event(2))))

    assert [1, 2] == [found.record.payload["n"] for found in read_records(file)]


@pytest.mark.parametrize("fault", ["cut", "garbled"])
def test_a_damaged_gzip_file_costs_only_what_comes_after(stored, caplog, fault):
    """The records before are read, one warning says what is wrong and what to do, and other files are not touched."""
    reading._complaints._said.clear()
    dice = random.Random(1)
    written = [_event(n, noise=str(dice.random())) for n in range(5000)]
    lines = [encode_line(event) for event in written]
    file = stored(b"".join(lines), is_gzipped=True)
    blob = bytearray(file.path.read_bytes())
    if fault == "cut":
        del blob[len(blob) // 2 :]
    else:
        blob[len(blob) // 2 : len(blob) // 2 + 40] = b"\xff" * 40
    file.path.write_bytes(blob)

    reader = Reader(file)
    got = [found.record for found in reader]
    again = list(Reader(file, reader.position))

    # Garbled bytes may unpack to something; only the end of the file tells that it was wrong.
    assert written[:2000] == got[:2000]
    assert written != got
    assert [] == again
    assert 1 == sum("is damaged" in record.getMessage() for record in caplog.records)


def test_a_file_that_is_gone_yields_nothing(tmp_path):
    """It was pruned since it was listed; the position stays."""
    reader = Reader(JournalFile(tmp_path / DAY, DAY), 5)

    assert [] == list(reader)
    assert 5 == reader.position


def test_a_line_of_50_megabytes_is_read(stored):
    """Longer than any block; the lines around it are read as well."""
    big = _event(2, text="y" * 50_000_000)
    lines = [encode_line(_event(1)), encode_line(big), encode_line(_event(3))]

    found = list(read_records(stored(b"".join(lines))))

    assert [_event(1), big, _event(3)] == [record for _, _, record in found]
    assert len(lines[0]) + len(lines[1]) == found[2].offset


def test_memory_stays_bounded(stored):
    """30 MB of lines are read within a few blocks' memory, decoded or passed over."""
    line = encode_line(_event(1, text="z" * 300))
    file = stored(line * (30_000_000 // len(line)))

    peaks = []
    for kinds in ({"run"}, {"metrics"}):
        tracemalloc.start()
        assert [] == list(read_records(file, kinds=kinds))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    tracemalloc.start()
    count = sum(1 for _ in read_records(file, file.size // len(line) * len(line) - 2000 * len(line)))
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()

    assert 2000 == count
    assert max(peaks) < 6_000_000


def test_passing_over_is_far_faster_than_decoding(stored):
    """Other kinds are skipped by their mark: over 500 MB a second here, ten times as fast as decoding, at least."""
    line = encode_line(_event(1, text="z" * 100))
    file = stored(line * 40_000)

    def seconds(kinds):
        started = time.thread_time()  # what others do on the machine does not count
        count = sum(1 for _ in read_records(file, kinds=kinds))
        return time.thread_time() - started, count

    skipping, none = min(seconds({"run"}) for _ in range(5))
    decoding, all_of_them = seconds(None)

    assert (0, 40_000) == (none, all_of_them)
    assert skipping * 10 < decoding


def test_a_day_is_read_across_its_files(tmp_path):
    """After a fault of the disk a day goes on in `r1`; plain and gzipped days follow each other."""
    for n, name in enumerate(("events_20261122.ndjson.gz", DAY, "events_20261123.r1.ndjson")):
        text = encode_line(_event(n))
        Path(tmp_path, name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)

    assert [0, 1, 2] == [found.record.payload["n"] for file in journal_files(tmp_path) for found in read_records(file)]
