"""The metrics API is told these fields of a run, and no others."""

import json
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from telemetry import APIPayload, RunRecord

TOLD = [
    *("run_id", "agent_name", "job_type", "trigger_type", "start_time", "status", "agent_owner", "end_time"),
    *("items_discovered", "items_succeeded", "items_failed", "duration_ms", "error_summary", "product", "platform"),
    *("product_family", "subdomain", "git_repo", "git_branch", "host"),
]


@given(st.data())
def test_the_payload_says_what_the_run_says(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Each field by its name, those that are None left out; the same in JSON."""
    run = data.draw(any_valid.runs())

    payload = APIPayload.from_run_record(run)

    expected = {name: value for name in TOLD if (value := getattr(run, name)) is not None}
    assert expected == payload.to_dict()
    assert expected == json.loads(payload.to_json())


def test_a_small_run_makes_a_small_payload() -> None:
    """In the order of the documentation; zero is told, None is not."""
    run = RunRecord(run_id="r", agent_name="a", start_time="2026-11-23T10:00:00.000000+00:00", metrics={"secret": 1})

    assert (
        '{"run_id":"r","agent_name":"a","trigger_type":"cli","start_time":"2026-11-23T10:00:00.000000+00:00",'
        '"status":"running","items_discovered":0,"items_succeeded":0,"items_failed":0}'
    ) == APIPayload.from_run_record(run).to_json()


def test_a_payload_can_be_built_by_hand() -> None:
    """By keyword, with the three fields that every run has."""
    payload = APIPayload(run_id="r", agent_name="a", start_time="t")

    assert {"run_id": "r", "agent_name": "a", "trigger_type": "cli", "start_time": "t", "status": "running"} == (
        payload.to_dict()
    )
