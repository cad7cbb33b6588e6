"""What a client is asked for is understood as it was meant, or refused with the argument's name and a cure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry import TelemetryClient
from telemetry.plugins import InputError
from telemetry.testing import FrozenClock

_STATUSES = "running, success, failed, partial"
_LIMIT = "give a whole number, not negative, or None for all."
_TIMES = "write 2d (ago), today, yesterday, 2026-11-23 or 2026-11-23T10:00"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TelemetryClient]:
    """Return a client whose store has two runs: of the 20th, and of the 23rd of November, 12:00 UTC, which is now."""
    with FrozenClock("2026-11-20T12:00:00Z") as clock, TelemetryClient(metrics_dir=tmp_path) as client:
        client.end_run(client.start_run("old", "job"))
        clock.move_to("2026-11-23T12:00:00Z")
        client.end_run(client.start_run("new", "job"))
        yield client


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"limit": "x"}, f"limit is 'x'; {_LIMIT}"),
        ({"limit": -1}, f"limit is -1; {_LIMIT}"),
        ({"limit": 1.5}, f"limit is 1.5; {_LIMIT}"),
        ({"status": "succes"}, f"status is 'succes'; give one of {_STATUSES}. Did you mean 'success'?"),
        ({"status": 5}, f"status is 5; give one of {_STATUSES}."),
        ({"where": 5}, "where is 5; give texts, as ['metrics.tokens>1000']."),
        ({"where": [5]}, "a condition in where is 5; give text."),
        ({"agent": 5}, "agent is 5; give text."),
        ({"job": b"job"}, "job is b'job'; give text."),
        ({"since": "foo"}, f"since: 'foo' is no time; {_TIMES}"),
        ({"until": "foo"}, f"until: 'foo' is no time; {_TIMES}"),
        ({"since": 5}, "since is 5; give text, as '2d' or '2026-11-23T10:00:00Z'."),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(client: TelemetryClient, asked: dict[str, object], told: str):
    """At once, by the name of its argument; never answered by an empty list."""
    with pytest.raises(InputError) as raised:
        client.runs(**asked)

    assert told == str(raised.value)


@pytest.mark.parametrize(
    ("asked", "agents"),
    [
        ({"since": "2d"}, ["new"]),
        ({"until": "2d"}, ["old"]),
        ({"since": "1w"}, ["new", "old"]),
        ({"since": "yesterday"}, ["new"]),
        ({"until": "now"}, ["old"]),
        ({"since": "2026-11-20T12:00:00.000001"}, ["new"]),
        ({"since": "2026-11-20T12:00:00"}, ["new", "old"]),
        ({"since": "2026-11-20T13:00:00+01:00"}, ["new", "old"]),
        ({"limit": 0}, []),
        ({"limit": 1}, ["new"]),
        ({"limit": None}, ["new", "old"]),
        ({"status": "completed"}, ["new", "old"]),
        ({"where": "agent_name=old"}, ["old"]),
        ({"where": ("agent_name=old",)}, ["old"]),
    ],
)
def test_a_question_is_understood(client: TelemetryClient, asked: dict[str, object], agents: list[str]):
    """Times as on the command line, or ISO 8601, which is UTC without an offset; one condition needs no list."""
    assert agents == [run.agent_name for run in client.runs(**asked)]


@pytest.mark.parametrize("run_id", [None, 5])
def test_what_is_no_id_is_told(client: TelemetryClient, caplog: pytest.LogCaptureFixture, run_id: object):
    """There is no such run; the warning says what was given, and calls it no fault of ours."""
    with caplog.at_level(logging.WARNING):
        found = client.get_run(run_id)  # type: ignore[arg-type]

    assert found is None
    assert [f"get_run() cannot answer that and went on: run_id is {run_id!r}; give text."] == caplog.messages


def test_what_is_no_id_raises_in_strict_mode(tmp_path: Path):
    """As every other warning does."""
    with (
        TelemetryClient(metrics_dir=tmp_path, strict=True) as client,
        pytest.raises(InputError, match="run_id is None"),
    ):
        client.get_run(None)  # type: ignore[arg-type]


def test_events_are_asked_for_by_text(client: TelemetryClient):
    """An id of another type is of no run."""
    with pytest.raises(InputError, match="event_type is 5; give text"):
        client.events(event_type=5)  # type: ignore[arg-type]
