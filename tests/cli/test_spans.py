"""Prove that the times people write are read as they mean them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.core.spans import read_moment, read_span, stored_text

_ZONE = timezone(timedelta(hours=9))
_NOW = datetime(2026, 11, 24, 19, 30, tzinfo=_ZONE)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1.5 d", timedelta(hours=36)),
        ("2W", timedelta(weeks=2)),
    ],
)
def test_spans(text: str, span: timedelta):
    """Numbers and units, alone or together, in either case."""
    assert span == read_span(text)


@pytest.mark.parametrize("text", ["", "2", "d", "2x", "-2d", "2d ago", "1e3d", "99999999999w"])
def test_what_is_no_span_is_refused_with_an_example(text: str):
    """The error quotes what was written."""
    with pytest.raises(ValueError, match=r"length of time|longer than any time") as raised:
        read_span(text)

    assert repr(text) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("now", "2026-11-24T10:30:00.000000+00:00"),
        ("2d", "2026-11-22T10:30:00.000000+00:00"),
        ("today", "2026-11-23T15:00:00.000000+00:00"),
        ("Yesterday", "2026-11-22T15:00:00.000000+00:00"),
        ("2026-11-23", "2026-11-22T15:00:00.000000+00:00"),
        ("2026-11-23T10:00", "2026-11-23T01:00:00.000000+00:00"),
        ("2026-11-23T10:00Z", "2026-11-23T10:00:00.000000+00:00"),
        ("2026-11-23 10:00+02:00", "2026-11-23T08:00:00.000000+00:00"),
    ],
)
def test_moments_are_local_unless_they_say_otherwise(text: str, stored: str):
    """A day begins at the midnight of the reader's clock; what comes out is the UTC of the stores."""
    assert stored == stored_text(read_moment(text, _NOW))


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "24.11.2026", "1000000d"])
def test_what_is_no_moment_is_refused(text: str):
    """The error quotes what was written."""
    with pytest.raises(ValueError, match=r"is no time|before the year 1"):
        read_moment(text, _NOW)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)))
def test_stored_times_read_back(moment: datetime):
    """What stands in a store can be given to --since as it is."""
    text = stored_text(moment.replace(tzinfo=UTC))

    assert text == stored_text(read_moment(text, _NOW))
