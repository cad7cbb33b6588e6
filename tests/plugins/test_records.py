"""Records hold what they were given, refuse what they cannot hold, and go to JSON and back unchanged."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import CommitLink, DeliveryReport, InvalidRecord, MetricsUpdate, RunEvent, RunRecord
from telemetry.plugins.records import RUN_FIELDS, SETTABLE_FIELDS

START = "2026-11-23T10:00:00.000000+00:00"


def a_run(**fields: Any) -> RunRecord:
    """Return a run with these fields."""
    return RunRecord(**{"run_id": "r", "agent_name": "a", "start_time": START, **fields})


@given(st.data())
def test_a_run_comes_back_from_its_dict(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """`from_dict(to_dict())` is the same run, for every run."""
    run = data.draw(any_valid.runs())

    assert run == RunRecord.from_dict(run.to_dict())


@given(st.data())
def test_a_run_comes_back_from_its_json(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """`to_json()` says all of a run, so that any JSON parser reads the same run."""
    run = data.draw(any_valid.runs())

    assert run == RunRecord.from_dict(json.loads(run.to_json()))


@given(st.data())
def test_an_event_comes_back_from_its_dict_and_json(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """`from_dict()` undoes `to_dict()` and, by way of a JSON parser, `to_json()`."""
    event = data.draw(any_valid.events())

    assert event == RunEvent.from_dict(event.to_dict())
    assert event == RunEvent.from_dict(json.loads(event.to_json()))


@given(st.data())
def test_a_commit_comes_back_from_its_dict(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """`from_dict(to_dict())` is the same link."""
    link = data.draw(any_valid.commits())

    assert link == CommitLink.from_dict(link.to_dict())


def test_the_fields_of_a_run_begin_with_the_columns_of_the_schema() -> None:
    """The order of the columns of agent_runs is the order of the fields; what the platform adds comes behind."""
    columns = [
        *("run_id", "schema_version", "agent_name", "agent_owner", "job_type", "trigger_type", "start_time"),
        *("end_time", "status", "items_discovered", "items_succeeded", "items_failed", "duration_ms"),
        *("input_summary", "output_summary", "error_summary", "insight_id", "product", "platform"),
        *("product_family", "subdomain", "git_repo", "git_branch", "git_run_tag", "host", "api_posted"),
        *("api_posted_at", "api_retry_count", "created_at", "updated_at"),
    ]

    assert columns == list(RUN_FIELDS[: len(columns)])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run_id", ""),
        ("run_id", None),
        ("agent_name", 5),
        ("start_time", datetime(2026, 11, 23, tzinfo=UTC)),
        ("status", "completed"),
        ("trigger_type", "cron"),
        ("items_failed", "many"),
        ("items_failed", True),
        ("items_failed", 1.0),
        ("duration_ms", "5"),
        ("api_posted", 1),
        ("host", 5),
        ("metrics", [1]),
        ("attributes", "x"),
        ("coerced", ["a"]),
        ("coerced", (1,)),
    ],
)
def test_a_run_refuses_what_a_field_cannot_hold(field: str, value: Any) -> None:
    """The error names record, field and value."""
    with pytest.raises(InvalidRecord) as caught:
        a_run(**{field: value})

    assert f"RunRecord.{field}" == caught.value.field
    assert value == caught.value.value
    assert str(caught.value).startswith(f"RunRecord.{field} is ")


def test_an_error_names_a_strange_object_by_its_type_only() -> None:
    """The repr of a stranger's object may be huge, secret or broken, so it is never asked for."""

    class Hostile:
        def __repr__(self) -> str:
            raise OSError("no repr")

    with pytest.raises(InvalidRecord, match="is an object of type Hostile; it must be text or None"):
        a_run(host=Hostile())


@pytest.mark.parametrize("kind", [RunEvent, MetricsUpdate, DeliveryReport])
def test_every_record_needs_a_run(kind: Any) -> None:
    """No record can be built without the id of its run."""
    arguments = ("", START) if kind is MetricsUpdate else ("", "x", START)

    with pytest.raises(InvalidRecord, match=f"{kind.__name__}.run_id is ''; it must be text, not empty"):
        kind(*arguments)


def test_unknown_keys_are_kept_in_the_attributes() -> None:
    """What another version wrote into a run is not lost when this one reads it."""
    run = RunRecord.from_dict({**a_run().to_dict(), "colour": "red", "attributes": {"size": 3}})

    assert {"colour": "red", "size": 3} == run.attributes


def test_metrics_are_read_from_the_column_of_the_stores() -> None:
    """`metrics_json` may be text or a mapping, and `metrics` wins over it."""
    run = RunRecord.from_dict({**a_run().to_dict(), "metrics_json": '{"loss": 0.5, "step": 1}', "metrics": {"step": 2}})

    assert {"loss": 0.5, "step": 2} == run.metrics
    assert {"loss": 0.5, "step": 2} == json.loads(run.metrics_json or "")


def test_broken_metrics_text_is_kept_as_it_is() -> None:
    """Text that is no JSON is still evidence."""
    run = RunRecord.from_dict({**a_run().to_dict(), "metrics_json": "{broken"})

    assert {"value": "{broken"} == run.metrics


def test_flags_are_read_from_the_numbers_of_the_stores() -> None:
    """SQLite knows no booleans."""
    run = RunRecord.from_dict({**a_run().to_dict(), "api_posted": 1, "verdict": 0})

    assert (True, False) == (run.api_posted, run.verdict)


def test_a_single_note_is_taken_for_a_list_of_one() -> None:
    """A foreign `_coerced` that is no list does not make a record unreadable."""
    values = {"run_id": "r", "event_type": "e", "timestamp": START, "_coerced": 5}

    assert ("5",) == RunEvent.from_dict(values).coerced


def test_the_older_payload_text_is_read() -> None:
    """`payload_json` holds the payload as text; broken text is the payload itself."""
    values = {"run_id": "r", "event_type": "e", "timestamp": START}

    assert {"a": 1} == RunEvent.from_dict({**values, "payload_json": '{"a": 1}'}).payload
    assert "{torn" == RunEvent.from_dict({**values, "payload_json": "{torn"}).payload


def test_times_are_read_as_aware_moments() -> None:
    """`started_at` and `ended_at` are datetimes in UTC; a run that goes on has no end."""
    run = a_run(start_time="2026-11-23T12:00:00+02:00", end_time="2026-11-23T10:00:01Z")

    assert datetime(2026, 11, 23, 10, tzinfo=UTC) == run.started_at
    assert datetime(2026, 11, 23, 10, 0, 1, tzinfo=UTC) == run.ended_at
    assert a_run().ended_at is None


def test_a_time_that_is_none_is_carried_and_named_when_asked_for() -> None:
    """A record holds what a journal holds; only who needs the moment hears of it."""
    run = a_run(start_time="yesterday")

    with pytest.raises(ValueError, match="'yesterday' is no ISO 8601 time"):
        _ = run.started_at


def test_json_of_a_record_is_valid_whatever_is_in_it() -> None:
    """NaN becomes null and a lone surrogate its escape, since neither can stand in JSON."""
    run = a_run(metrics={"loss": float("nan"), "best": float("inf")}, host="\ud800")
    event = RunEvent("r", "e", START, {"loss": float("nan")})

    assert {"loss": None, "best": None} == json.loads(run.to_json())["metrics"]
    assert "\\ud800" == json.loads(run.to_json())["host"]
    assert '{"loss":null}' == event.payload_json


def test_the_column_of_a_payload_is_its_json() -> None:
    """`payload_json` is None without a payload, and is not encoded again when it is known."""
    assert RunEvent("r", "e", START).payload_json is None
    assert '{"ü":1}' == RunEvent("r", "e", START, {"ü": 1}).payload_json
    assert "[1]" == RunEvent("r", "e", START, [1], payload_bytes=b"[1]").payload_json


def test_no_metrics_are_no_text() -> None:
    """The column metrics_json is null for a run without metrics."""
    assert a_run().metrics_json is None


def test_records_do_not_change() -> None:
    """A sink may keep a record; nobody changes it under its hands."""
    with pytest.raises(AttributeError):
        a_run().status = "success"  # type: ignore[misc]


def test_every_settable_field_is_a_field_of_a_run() -> None:
    """What `set_metrics()` may set stands in the record, with the type that the record takes."""
    samples: dict[type, Any] = {int: 5, str: "x"}

    run = a_run(**{name: samples[kind] for name, kind in SETTABLE_FIELDS.items()})

    assert {5, "x"} == {getattr(run, name) for name in SETTABLE_FIELDS}
