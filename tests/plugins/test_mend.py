"""Of whatever was given a valid record is made; each change is named, and nothing of it is lost."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins.mend import (
    Complaint,
    canonical_status,
    mend_field,
    mended_event,
    mended_run,
    origin_of,
    start_of,
)
from telemetry.plugins.records import RUN_FIELDS, STATUSES, TRIGGER_TYPES

RUN = {"run_id": "r", "agent_name": "a", "start_time": "2026-11-23T10:00:00.000000+00:00"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("running", "Running"), "running"),
        (
            ("success", "SUCCESS", " completed ", "complete", "succeeded", "successful", "ok", "done", "passed"),
            "success",
        ),
        (("failed", "failure", "fail", "error", "errored", "timeout", "timed_out", "cancelled"), "failed"),
        (("canceled", "crashed", "aborted", "Error"), "failed"),
        (("partial", "half", "", "unknown", None, 5, ["success"]), "partial"),
    ],
)
def test_every_word_for_an_outcome_has_one_meaning(words: tuple[Any, ...], expected: str) -> None:
    """Case and space do not matter; a word that nobody knows is partial."""
    assert dict.fromkeys(map(repr, words), expected) == {repr(word): canonical_status(word) for word in words}


@given(st.data())
def test_any_values_make_a_valid_run(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Whatever JSON stands in whatever field: the record is valid, and a field that changed is named and kept."""
    values = data.draw(st.dictionaries(st.sampled_from(RUN_FIELDS), any_valid.json_values()))

    run, complaints = mended_run(values)

    named = {complaint.field for complaint in complaints}
    for name in values.keys() - {"metrics", "attributes", "coerced"} - named:
        assert values[name] in (getattr(run, name), None)
    for name in named - {"status"}:
        assert values[name] == run.attributes[name]


@given(st.data())
def test_what_has_no_field_is_an_attribute(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Unknown keys are kept as they are, without a complaint."""
    strange = data.draw(st.dictionaries(st.text(min_size=1).map("x_{}".format), any_valid.json_values()))

    run, complaints = mended_run({**RUN, **strange})

    assert ([], strange) == (complaints, run.attributes)


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("agent_name", None, "unknown"),
        ("agent_name", "", "unknown"),
        ("agent_name", 7, "7"),
        ("host", 5, "5"),
        ("host", True, "True"),
        ("product", {"a": [1]}, '{"a":[1]}'),
        ("job_type", ["a"], '["a"]'),
        ("items_failed", "many", 0),
        ("items_failed", "12", 12),
        ("items_failed", " -3 ", -3),
        ("items_failed", "+-5", 0),
        ("items_failed", "9" * 19, 0),
        ("items_failed", 2.5, 2),
        ("items_failed", True, 1),
        ("items_failed", 2**63, 0),
        ("items_failed", 1e300, 0),
        ("items_failed", [], 0),
        ("duration_ms", "long", None),
        ("schema_version", "three", 3),
        ("api_posted", "yes", False),
        ("start_time", 5, None),
        ("start_time", "", None),
        ("seq", "one", None),
    ],
)
def test_a_value_that_does_not_fit_is_replaced_kept_and_named(field: str, value: Any, stored: Any) -> None:
    """The field holds something valid, `attributes` the raw value, and the complaint says so."""
    run, complaints = mended_run({**RUN, field: value})

    result = getattr(run, field)
    assert result == stored if stored is not None else result is None or result.endswith("+00:00")
    assert {field: value} == run.attributes
    assert [f"{field} is {value!r}; {result!r} is stored and the value kept in attributes.{field}"] == [
        str(complaint) for complaint in complaints
    ]


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("items_failed", 3.0, 3),
        ("items_failed", None, 0),
        ("duration_ms", None, None),
        ("api_posted", 1, True),
        ("api_posted", None, False),
        ("host", None, None),
        ("host", "", ""),
        ("job_type", None, None),
    ],
)
def test_what_means_the_same_is_taken_without_a_word(field: str, value: Any, stored: Any) -> None:
    """A null of a store, a 1 for True, a whole float: there is nothing to complain of."""
    run, complaints = mended_run({**RUN, field: value})

    assert (stored, {}, []) == (getattr(run, field), run.attributes, complaints)
    assert type(stored) is type(getattr(run, field))


def test_a_status_word_is_kept_in_the_detail() -> None:
    """The run is failed, and its own word for that is not lost."""
    run, complaints = mended_run({**RUN, "status": "timeout"})

    assert ("failed", "timeout") == (run.status, run.status_detail)
    assert ["status is 'timeout'; 'failed' is stored and the word kept in status_detail"] == list(map(str, complaints))


def test_a_detail_that_was_given_stays() -> None:
    """The word of the status then stands in the attributes."""
    run, _ = mended_run({**RUN, "status": "timeout", "status_detail": "after 30 s"})

    assert ("after 30 s", {"status_detail": "timeout"}) == (run.status_detail, run.attributes)


@pytest.mark.parametrize(
    ("given_word", "stored"), [("cron", "manual"), ("WEB ", "web"), (None, "manual"), (5, "manual")]
)
def test_a_trigger_word_is_kept_in_the_attributes(given_word: Any, stored: str) -> None:
    """An unknown trigger is manual; another spelling of a known one is that one."""
    run, complaints = mended_run({**RUN, "trigger_type": given_word})

    assert (stored, {"trigger_type": given_word}) == (run.trigger_type, run.attributes)
    assert [
        f"trigger_type is {given_word!r}; {stored!r} is stored and the word kept in attributes.trigger_type"
    ] == list(map(str, complaints))


@pytest.mark.parametrize("word", TRIGGER_TYPES)
def test_known_triggers_are_no_matter(word: str) -> None:
    """The words of the schema are taken as they are."""
    run, complaints = mended_run({**RUN, "trigger_type": word})

    assert (word, []) == (run.trigger_type, complaints)


def test_a_run_without_anything_is_a_run() -> None:
    """The required fields are made up, and a start is taken from the id where that tells one."""
    run, _ = mended_run({})
    dated, _ = mended_run({"run_id": "20261123T100000Z-a-12345678"})

    assert ("unknown", "unknown") == (run.run_id, run.agent_name)
    assert "2026-11-23T10:00:00.000000+00:00" == dated.start_time


def test_metrics_are_merged_from_all_places() -> None:
    """`metrics` wins over `metrics_json`; what is no mapping stands under `value`."""
    run, _ = mended_run({**RUN, "metrics_json": '{"a": 1, "b": 1}', "metrics": {"b": 2}, "attributes": "text"})

    assert ({"a": 1, "b": 2}, {"value": "text"}) == (run.metrics, run.attributes)


def test_a_complaint_shows_at_most_eighty_characters_of_a_value() -> None:
    """A log line stays a line."""
    text = str(Complaint("host", "x" * 1000, "it is kept"))

    assert f"host is '{'x' * 76}...; it is kept" == text


@pytest.mark.parametrize("name", ["status", "trigger_type"])
@pytest.mark.parametrize("value", [None, 5, 1.5, True, [], {}, "?"])
def test_a_word_of_any_type_becomes_canonical(name: str, value: Any) -> None:
    """Never an error, always one of the words of the schema."""
    assert mend_field(name, value, {}, []) in (STATUSES if name == "status" else TRIGGER_TYPES)


@pytest.mark.parametrize(
    ("run_id", "start"),
    [
        ("20261123T100001Z-a-12345678", "2026-11-23T10:00:01.000000+00:00"),
        ("20261123T100001Z", "2026-11-23T10:00:01.000000+00:00"),
        ("99999999T999999Z-a-12345678", None),
        ("20260230T000000Z-a-12345678", None),
        ("\u0662\u0660\u0662\u0666\u0661\u0661\u0662\u0663T100001Z-a", None),
        ("job-17", None),
        ("", None),
        (5, None),
    ],
)
def test_an_id_of_ours_tells_its_start(run_id: Any, start: str | None) -> None:
    """Digits that are no date tell nothing."""
    assert start == start_of(run_id)


def test_an_event_of_any_types_is_valid() -> None:
    """What is missing is called unknown."""
    event = mended_event({"run_id": 5, "event_type": None, "payload": [1], "writer": 7, "seq": "x"})

    assert ("5", "unknown", "unknown", [1]) == (event.run_id, event.event_type, event.timestamp, event.payload)
    assert (None, None) == (event.writer, event.seq)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"writer": "w", "seq": 3}, ("w", 3)),
        ({"writer": 3, "seq": "w"}, (None, None)),
        ({"seq": True}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_only_a_true_origin_is_told(values: dict[str, Any], expected: tuple[Any, Any]) -> None:
    """Numbers of a writer are compared; text among them would be an error in every fold."""
    assert expected == tuple(origin_of(values).values())
