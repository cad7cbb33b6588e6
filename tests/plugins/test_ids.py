"""Ids are safe in file names whatever the agent is called; times sort as text; durations are never negative."""

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemetry import calculate_duration_ms, generate_run_id, get_iso8601_timestamp
from telemetry.plugins.ids import new_writer_id, parse_time

RUN_ID = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9_.\-]{1,40}-[0-9a-f]{8}")


@given(st.text())
@example("../../etc/passwd")
@example("..")
@example("a\x00b\nc")
@example("\ud800")
@example("🤖" * 10_000)
@example("'; DROP TABLE agent_runs; --")
@example("C:\\Windows\\..")
def test_an_id_is_safe_in_a_file_name_for_any_agent(agent: str) -> None:
    """Only letters, digits, `_`, `.`, `-`, of bounded length, and no part that leads up a folder."""
    run_id = generate_run_id(agent, "2026-11-23T10:00:00Z")

    assert RUN_ID.fullmatch(run_id)
    assert "/" not in run_id
    assert "20261123T100000Z-" == run_id[:17]


def test_a_plain_agent_name_stands_in_the_id() -> None:
    """A person who reads the id knows the agent."""
    assert re.fullmatch(r"20261123T100000Z-seo.writer_2-[0-9a-f]{8}", generate_run_id("seo.writer_2", "2026-11-23T10Z"))


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(33, 4, 3, tzinfo=UTC))
def test_an_id_tells_its_start(moment: datetime) -> None:
    """The time in the id is the start to the second, with four digits for every year."""
    run_id = generate_run_id("a", moment.isoformat())

    assert f"{moment.year:04d}{moment:%m%dT%H%M%SZ}" == run_id[:16]


@pytest.mark.parametrize("start", [None, "", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_an_unreadable_start_gives_the_present(start: str | None) -> None:
    """An id is always given."""
    before = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

    run_id = generate_run_id("a", start)

    assert before <= run_id[:16] <= f"{datetime.now(UTC) + timedelta(seconds=1):%Y%m%dT%H%M%SZ}"


def test_ids_differ() -> None:
    """Ten thousand runs of one agent in one second have ids of their own, but for one chance in 85."""
    assert 9_990 <= len({generate_run_id("a", "2026-11-23T10:00:00Z") for _ in range(10_000)})


def test_writer_ids_differ() -> None:
    """Twelve hex digits, another one each time."""
    ids = {new_writer_id() for _ in range(1_000)}

    assert 1_000 == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{12}", writer) for writer in ids)


@given(st.floats(min_value=0, max_value=4e9))
def test_a_timestamp_names_its_moment_to_the_microsecond(epoch_s: float) -> None:
    """The text reads back as the moment, in UTC with offset and six digits."""
    text = get_iso8601_timestamp(epoch_s)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", text)
    assert round(epoch_s * 1e6) == (parse_time(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_timestamps_never_go_back_in_a_thread() -> None:
    """Times of events sort as text in the order in which they happened."""
    stamps = [get_iso8601_timestamp() for _ in range(5_000)]

    assert sorted(stamps) == stamps


def test_threads_do_not_mix_up_each_others_seconds() -> None:
    """The text of the second is kept between calls; a race for it must not date a moment wrongly."""
    wrong: list[str] = []

    def check(epoch_s: int) -> None:
        expected = datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="microseconds")
        wrong.extend(text for _ in range(3_000) if (text := get_iso8601_timestamp(epoch_s)) != expected)

    threads = [threading.Thread(target=check, args=(1_000_000_000 + 86_400 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == wrong


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:01Z", 1_000),
        ("2026-11-23T12:00:00+02:00", "2026-11-23T10:00:00.250+00:00", 250),
        ("2026-11-23T10:00:00", "2026-11-23T10:00:00.0005Z", 0),
        ("2026-11-23T10:00:00.123456+00:00", "2026-11-24T10:00:00.123456+00:00", 86_400_000),
        ("2026-11-23T10:00:05Z", "2026-11-23T10:00:00Z", 0),
    ],
)
def test_a_duration_is_whole_milliseconds(start: str, end: str, expected: int) -> None:
    """Z, offsets and no offset at all are understood; a clock that was set back gives 0."""
    assert expected == calculate_duration_ms(start, end)


@given(st.datetimes(timezones=st.timezones()), st.integers(0, 10**11))
def test_a_duration_is_the_time_between_in_any_zone(start: datetime, span_ms: int) -> None:
    """However the zones of the two moments are written."""
    start = start.replace(year=2000).astimezone(UTC)
    end = start + timedelta(milliseconds=span_ms)

    duration_ms = calculate_duration_ms(start.isoformat(), end.isoformat().replace("+00:00", "Z"))

    assert span_ms == duration_ms


@pytest.mark.parametrize(
    "junk", ["", "yesterday", "2026-13-01", None, 5, b"2026-11-23T10:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_junk_is_no_time(junk: object) -> None:
    """Whatever cannot be read raises ValueError, on either side."""
    with pytest.raises(ValueError, match=r"time|years"):
        calculate_duration_ms(junk, "2026-11-23T10:00:00Z")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"time|years"):
        calculate_duration_ms("2026-11-23T10:00:00Z", junk)  # type: ignore[arg-type]


def test_a_time_without_offset_is_utc() -> None:
    """Earlier writers left the offset out."""
    assert datetime(2026, 11, 23, 10, tzinfo=UTC) == parse_time("2026-11-23T10:00:00")


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_id_tells_its_time_whoever_wrote_it(moment: datetime) -> None:
    """The short way, for times as the client writes them, ends where the long one does."""
    ours, other = moment.isoformat(timespec="microseconds"), moment.isoformat(timespec="milliseconds")

    assert generate_run_id("a", ours)[:16] == generate_run_id("a", other)[:16]
