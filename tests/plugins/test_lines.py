"""A record is one line of valid JSON and comes back from it, also when the file around it is damaged."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.plugins import (
    CommitLink,
    DeliveryReport,
    MetricsUpdate,
    Record,
    RunEvent,
    RunRecord,
    decode_line,
    decode_lines,
    encode_line,
)
from telemetry.plugins.codec import encode
from telemetry.plugins.lines import LINE_START, kind_of, leading_records, record_of, records_in

START = "2026-11-23T10:00:00.000000+00:00"
EVENT = RunEvent("r", "step", START, {"n": 1}, "w", 1)


@given(st.data())
def test_a_record_is_one_line_of_json_and_comes_back(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """One newline, at the end; `record_type` first; and the same record when it is decoded."""
    record = data.draw(any_valid.records())

    line = encode_line(record)

    assert line.endswith(b"\n")
    assert 1 == line.count(b"\n")
    assert line.startswith(LINE_START)
    assert kind_of(record) == json.loads(line)["record_type"]
    assert record == decode_line(line)


def test_a_run_line_has_every_column_as_a_key() -> None:
    """Readers of the earlier format expect each of them, also when there is nothing to say."""
    line = json.loads(encode_line(RunRecord(run_id="r", agent_name="a", start_time=START)))

    assert {"end_time": None, "insight_id": None, "items_failed": 0}.items() <= line.items()
    assert "metrics" in line
    assert "writer" not in line
    assert "_coerced" not in line


def test_an_event_is_written_from_its_known_bytes() -> None:
    """The payload is encoded once, when it is sealed; the line takes those bytes as they are."""
    event = RunEvent("r", "e", START, {"a": 1}, payload_bytes=b'{"a": 1}')

    assert b'"payload":{"a": 1}' in encode_line(event)


def test_what_is_not_plain_is_refused() -> None:
    """The bus makes every value plain before; here nothing is guessed."""
    with pytest.raises(TypeError):
        encode_line(RunEvent("r", "e", START, object()))


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (RunRecord(run_id="r", agent_name="a", start_time=START), "run"),
        (EVENT, "event"),
        (MetricsUpdate("r", START), "metrics"),
        (DeliveryReport("r", START, "api"), "delivery"),
        (CommitLink(run_id="r", timestamp=START, commit_hash="c"), "commit"),
    ],
)
def test_every_kind_of_record_has_a_name(record: Record, kind: str) -> None:
    """A reader can leave out kinds by it."""
    assert kind == kind_of(record)


@given(st.data())
def test_a_cut_file_gives_all_its_whole_lines(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Cut the file anywhere: every line before the cut reads back, in order, and nothing else but perhaps the last."""
    written = data.draw(st.lists(any_valid.events(), max_size=5))
    blob = b"".join(map(encode_line, written))
    cut = data.draw(st.integers(0, len(blob)))
    whole = blob.count(b"\n", 0, cut)

    survivors = list(decode_lines(blob[:cut]))

    assert written[:whole] == survivors[:whole]
    assert survivors[whole:] in ([], [written[whole]] if whole < len(written) else [])


@given(st.data())
def test_a_torn_line_costs_only_itself(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """What was glued behind a torn line, as after a crash of an earlier writer, is found again."""
    torn, behind, last = (data.draw(any_valid.runs()) for _ in range(3))
    line = encode_line(torn)
    cut = data.draw(st.integers(1, len(line) - 2))

    survivors = list(decode_lines(line[:cut] + encode_line(behind) + encode_line(last)))

    assert [behind, last] == survivors


@given(st.data())
def test_glued_records_come_apart(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Records without a newline between them are all found, with the bytes where they stand."""
    records = data.draw(st.lists(any_valid.records(), min_size=1, max_size=4))
    pieces = [encode_line(record)[:-1] for record in records]
    blob = b"".join(pieces)

    found = list(records_in(blob))
    leading = list(leading_records(blob + b'{"record_type":"event","torn'))

    assert records == [record for _, _, record in found]
    assert pieces == [blob[start:end] for start, end, _ in found]
    assert found == leading


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(blob: bytes) -> None:
    """Junk holds no records, and reading it raises nothing."""
    assert [EVENT] == [record for record in decode_lines(blob + b"\n" + encode_line(EVENT)) if record == EVENT]


@given(st.data())
def test_a_foreign_line_is_a_record_or_a_value_error(any_valid: SimpleNamespace, data: st.DataObject) -> None:
    """Whatever types stand in the fields of a line, no other error leaves the reader; and the record can be written."""
    names = (
        *("run_id", "agent_name", "event_type", "timestamp", "payload", "payload_json", "metrics", "metrics_json"),
        *("fields", "writer", "seq", "_coerced", "coerced", "attempts", "reason", "ok", "sink", "status", "verdict"),
        *("items_failed", "start_time", "attributes", "commit_hash", "trigger_type", "files_changed", "api_posted"),
    )
    values = data.draw(st.dictionaries(st.sampled_from(names), any_valid.json_values(), max_size=8))
    values["record_type"] = data.draw(st.sampled_from(("run", "event", "metrics", "delivery", "commit", "other", 5)))
    values.setdefault("run_id", "r")

    try:
        record = record_of(values)
    except ValueError:
        assert not values["run_id"] or values["record_type"] in ("other", 5, "commit")
    else:
        assert record == decode_line(encode_line(record))


@pytest.mark.parametrize(
    "values",
    [[], "run", 5, None, {}, {"record_type": "run"}, {"record_type": "event", "run_id": ""}, {"run_id": "r"}],
)
def test_what_names_no_record_raises_value_error(values: Any) -> None:
    """A line must be an object with a known `record_type` and a run id."""
    with pytest.raises(ValueError, match=r"a journal line must hold an object|no record of type"):
        record_of(values)


def test_lines_of_the_earlier_format_are_understood() -> None:
    """Metrics and payload as JSON text, an event id that is null, a bare NaN."""
    run, event = decode_lines(
        b'{"record_type": "run", "run_id": "r", "agent_name": "a", "start_time": "2026-11-23T10:00:00Z", '
        b'"status": "success", "items_failed": null, "metrics_json": "{\\"loss\\": 0.5}", "api_posted": 0}\n'
        b'{"record_type": "event", "id": null, "run_id": "r", "event_type": "e", "timestamp": "t", '
        b'"payload_json": "{\\"loss\\": NaN}"}\n'
    )

    assert ({"loss": 0.5}, {}, 0) == (run.metrics, run.attributes, run.items_failed)
    assert {"loss": "NaN"} == event.payload


INNER = {"record_type": "event", "run_id": "inner", "event_type": "e", "timestamp": START}


@pytest.mark.parametrize("payload", [INNER, [1, INNER], {"a": INNER}, {"a": [INNER, INNER]}])
def test_a_payload_that_looks_like_a_record_is_none(payload: Any) -> None:
    """Tear a line behind the inner record: that one does not come out in the place of the lost line."""
    line = encode_line(RunEvent("r", "e", START, payload, "w", 1))
    end_of_inner = line.rindex(encode(INNER)) + len(encode(INNER))

    survivors = [list(decode_lines(line[:cut])) for cut in range(end_of_inner + 1, len(line) - 1)]

    assert [] == [found for found in survivors if found]


def test_a_record_of_a_later_version_is_passed_over_whole() -> None:
    """A record inside the payload of a kind that only a later version knows does not come out as one of its own."""
    inner = {"record_type": "event", "run_id": "inner", "event_type": "e", "timestamp": START}
    line = json.dumps({"record_type": "span", "run_id": "r", "payload": inner}, separators=(",", ":")).encode()

    assert [EVENT] == list(decode_lines(line + b"\n" + encode_line(EVENT)))


def test_bytes_that_are_no_text_cost_themselves() -> None:
    """One damaged byte in a payload leaves the record readable."""
    line = encode_line(RunEvent("r", "e", START, {"text": "XYZ"})).replace(b"Y", b"\xff")

    (event,) = decode_lines(line)

    assert {"text": "X�Z"} == event.payload


def test_blank_lines_are_nothing() -> None:
    """Empty lines, such as a healed tail leaves, hold no record."""
    assert [EVENT] == list(decode_lines(b"\n\n  \n" + encode_line(EVENT) + b"\n"))
