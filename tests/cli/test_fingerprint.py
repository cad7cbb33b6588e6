"""Prove that failures are one fault when a person would say so."""

from typing import Any

import pytest

from telemetry.core.fingerprint import fingerprint_of
from telemetry.core.grouping import group_faults
from telemetry.plugins import RunRecord

_TRACE = """Traceback (most recent call last):
  File "/srv/{0}/agent.py", line {1}, in fetch
    get()
  File "/usr/lib/python3.12/site-packages/http/client.py", line {1}, in get
    raise error
ConnectionError: x
"""


def failed(summary: str | None, **fields: Any) -> RunRecord:
    """Return a run that failed."""
    start = fields.pop("start_time", "2026-11-24T10:00:00+00:00")
    return RunRecord(
        run_id=fields.pop("run_id", "r"),
        agent_name="a",
        start_time=start,
        status="failed",
        error_summary=summary,
        **fields,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ValueError: 17 is too large", "ValueError: 4,711 is too large"),
        ("KeyError: user_42", "KeyError: user_9"),
        ("OSError: /tmp/a1/x.txt is gone", "OSError: /var/b/c/y.txt is gone"),
        ("TimeoutError: 12.5s at 2026-11-24T10:00:00Z", "TimeoutError: 3s at 2026-11-25 11:00:00+02:00"),
        ("E: object at 0x7fab12 died", "E: object at 0x11aa died"),
        ("E: id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "E: id 00000000-4f89-11d3-9a0c-0305e82c3301"),
        ("E: run 20261124T191400Z-demo-1a2b3c4d", "E: run 20261125T000000Z-demo-ffffffff"),
        ("E: no letter U+20AC at 3", "E: no letter U+FEFF at 17"),
        (r"E: can't encode character '\u20ac'", r"E: can't encode character '\U0001f600'"),
        (r"E: can't encode character '\xe4'", r"E: can't encode character '\ud83d'"),
        ("requests.exceptions.ConnectionError: no", "ConnectionError: no"),
    ],
)
def test_what_differs_each_time_makes_no_other_fault(first: str, second: str):
    """Numbers, ids, addresses, times and paths are not part of a fault."""
    assert fingerprint_of(failed(first)) == fingerprint_of(failed(second))
    assert fingerprint_of(failed(first)).id == fingerprint_of(failed(second)).id


@pytest.mark.parametrize(
    ("first", "second"),
    [("ValueError: a", "ValueError: b"), ("ValueError: a", "TypeError: a"), ("KeyError: user", "KeyError: order")],
)
def test_other_faults_stay_apart(first: str, second: str):
    """Type and message make the fault."""
    assert fingerprint_of(failed(first)).id != fingerprint_of(failed(second)).id


def test_place_is_our_own_code_without_the_line():
    """The last frame outside of libraries counts, wherever it is installed and whatever was added above."""
    here = failed("ConnectionError: x", attributes={"traceback": _TRACE.format("a", 10)})
    there = failed("ConnectionError: x", attributes={"traceback": _TRACE.format("b", 99)})

    assert "fetch (agent.py)" == fingerprint_of(here).place
    assert fingerprint_of(here) == fingerprint_of(there)


@pytest.mark.parametrize(
    "end", ["", "\n", '\nSyntaxError: bad\n  File "x.py", line 9\n', '\nE: see ", line 4, in no frame']
)
def test_what_stands_behind_the_last_frame_changes_no_place(end: str):
    """The message of an error may look like a frame."""
    trace = 'Traceback:\n  File "/srv/a/agent.py", line 3, in fetch' + end

    assert "fetch (agent.py)" == fingerprint_of(failed("E: x", attributes={"traceback": trace})).place


def test_place_of_a_library_alone_is_told():
    """Where no frame is ours the last one of all is better than none."""
    trace = '  File "C:\\py\\Lib\\json.py", line 3, in loads\n'

    assert "loads (json.py)" == fingerprint_of(failed("E: x", attributes={"traceback": trace})).place


def test_runs_that_tell_little_still_have_a_fault():
    """A dead process, a text without a type, nothing at all."""
    dead = failed("the process (pid 7) died", verdict=True, status_detail="killed by SIGKILL")

    assert ("died", "killed by SIGKILL") == (fingerprint_of(dead).kind, fingerprint_of(dead).message)
    assert ("unknown", "no disk <n>") == (
        fingerprint_of(failed("no disk 3")).kind,
        fingerprint_of(failed("no disk 3")).message,
    )
    assert ("unknown", "") == (fingerprint_of(failed(None)).kind, fingerprint_of(failed(None)).message)
    assert "KeyError" == fingerprint_of(failed("KeyError")).kind


def test_groups_count_and_remember_first_last_and_an_example():
    """The most frequent fault comes first, with its newest run as example."""
    runs = [
        failed("KeyError: 1", run_id="k1", start_time="2026-11-01T00:00:00+00:00"),
        failed("ValueError: 1", run_id="v1", start_time="2026-11-05T00:00:00+00:00"),
        failed("KeyError: 2", run_id="k2", start_time="2026-11-03T00:00:00+00:00"),
        failed("KeyError: 3", run_id="k3", start_time="2026-11-02T00:00:00+00:00"),
    ]

    groups = group_faults(iter(runs))

    assert [("KeyError", 3, "k2"), ("ValueError", 1, "v1")] == [
        (group.fingerprint.kind, group.count, group.example.run_id) for group in groups
    ]
    assert ("2026-11-01T00:00:00+00:00", "2026-11-03T00:00:00+00:00") == (groups[0].first_seen, groups[0].last_seen)
    assert {"a": 3} == groups[0].to_dict()["agents"]
