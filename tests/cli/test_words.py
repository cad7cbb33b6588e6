"""Prove that numbers are said the way people read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from telemetry.core.cli.words import (
    age_text,
    clock_text,
    duration_text,
    figure_text,
    number_text,
    percent_text,
    plural,
    share_text,
    short_id,
    size_text,
    value_text,
)

_NOW = datetime(2026, 11, 24, 19, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (None, ""),
        (0, "0 ms"),
        (35, "35 ms"),
        (999.4, "999 ms"),
        (999.6, "1.0 s"),
        (1240, "1.2 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 00 s"),
        (252_000, "4 min 12 s"),
        (3_599_600, "1 h 00 min"),
        (11_100_000, "3 h 05 min"),
        (187_200_000, "2 d 04 h"),
    ],
)
def test_durations_have_the_unit_that_fits(duration_ms, text: str):
    """Two figures that matter, and never 60 of anything."""
    assert text == duration_text(duration_ms)


@pytest.mark.parametrize(
    ("back", "text"),
    [
        (timedelta(seconds=0.4), "0 s ago"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=2, seconds=50), "2 min ago"),
        (timedelta(hours=5, minutes=59), "5 h ago"),
        (timedelta(days=3, hours=23), "3 d ago"),
        (timedelta(seconds=-30), "0 s ago"),
        (timedelta(minutes=-5), "in the future"),
    ],
)
def test_ages_round_down(back: timedelta, text: str):
    """A clock that is a little ahead is no news, one that is minutes ahead is."""
    assert text == age_text((_NOW - back).isoformat(), _NOW)


def test_what_is_no_time_has_no_age_and_stays_as_it_is():
    """Another program's text in the place of a time does no harm."""
    assert ("", "") == (age_text("soon", _NOW), age_text(None, _NOW))
    assert "soon" == clock_text("soon", _NOW)
    assert "" == clock_text(None, _NOW)


def test_clock_says_no_more_than_is_needed():
    """Of today the time, of this half year the day too, else the year."""
    assert "19:14:02" == clock_text("2026-11-24T19:14:02.5+00:00", _NOW)
    assert "Nov  3 08:00" == clock_text("2026-11-03T08:00:00+00:00", _NOW)
    assert "2025-11-24 08:00" == clock_text("2025-11-24T08:00:00+00:00", _NOW)


def test_clock_is_the_local_one():
    """A stored time is UTC; what is shown is what the clock on the wall said."""
    now = _NOW.astimezone(timezone(timedelta(hours=9)))

    assert "04:14:02" == clock_text("2026-11-24T19:14:02+00:00", now)


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7"), (1234567, "1,234,567"), (3.0, "3"), (0.07314, "0.07314"), (1234.567, "1,234.57"), (12.3456, "12.35")],
)
def test_numbers_keep_the_digits_that_count(number, text: str):
    """Whole numbers are whole, others have four digits or two decimals."""
    assert text == number_text(number)


def test_values_of_every_kind_fit_in_a_line():
    """Flags are words, tables are JSON, texts lose their newlines."""
    values = (True, None, {"a": [1, 2]}, "a\nb", 1000)

    assert ["true", "null", '{"a": [1, 2]}', "a b", "1000"] == list(map(value_text, values))
    assert ["true", "null", '{"a": [1, 2]}', "a b", "1,000"] == list(map(figure_text, values))


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.999, ">99 %"), (1, "100 %")]
)
def test_percents_never_round_to_nothing_or_all(share, text: str):
    """One failure in a million is not 0 %."""
    assert text == percent_text(share)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (812, "812 B"), (1400, "1.4 kB"), (23e6, "23 MB"), (999_700, "1.0 MB"), (5e15, "5,000 TB")],
)
def test_sizes_have_the_unit_that_fits(size, text: str):
    """Two figures, decimal units."""
    assert text == size_text(size)


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(0, 0, "0/0 B"), (7, 812, "  7/812 B"), (400_000, 23e6, " 0.4/23.0 MB"), (23e6, 23e6, "23.0/23.0 MB")],
)
def test_what_is_done_of_a_size_has_the_unit_of_the_whole(done, total, text: str):
    """And its width, so that a bar's line does not jump."""
    assert text == share_text(done, total)


def test_short_ids_are_what_show_accepts():
    """Of our ids the last eight digits, of others the beginning."""
    assert "1a2b3c4d" == short_id("20261124T192500Z-nightly-import-1a2b3c4d")
    assert "my-own-id" == short_id("my-own-id")
    assert "a-very-long-id-o" == short_id("a-very-long-id-of-somebody")


def test_plural():
    """One run, two runs."""
    assert ("1 run", "2 runs", "0 runs", "1,000 runs") == tuple(plural(n, "run") for n in (1, 2, 0, 1000))
