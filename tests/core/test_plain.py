"""The short way of plain values into a record ends where the long way does."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from telemetry.core.intake import Intake
from telemetry.core.live import LiveRun
from telemetry.core.plain import plain_run, plain_settings
from telemetry.plugins.lines import decode_line, encode_line
from telemetry.plugins.records import RUN_FIELDS, SETTABLE_FIELDS, RunRecord

SAID = {"start_time": "2026-11-23T10:00:00.123456+00:00", "agent_owner": None, "host": "vm", "status": "running"}
NEEDED = {"run_id": "20261123T100000Z-a-00000001", "agent_name": "a", "job_type": None, "trigger_type": "cli"}
words = st.one_of(
    st.none(),
    st.sampled_from(("", "cli", "running", "Success", "7", '{"a": 1}', "x" * 2_000, "\ud800", "Straße", "no\0thing")),
    st.text(max_size=8),
)
values = st.one_of(words, st.integers(-(2**65), 2**65), st.booleans(), st.floats(), st.lists(words, max_size=2))
names = st.sampled_from((*RUN_FIELDS, "_coerced", "record_type", "metrics_json", "own"))


def _without_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plain_run", "plain_settings"):
        monkeypatch.setattr(f"telemetry.core.intake.{name}", lambda *args: None)


@given(st.dictionaries(names, values, max_size=5), st.dictionaries(st.sampled_from(("agent_owner", "host")), words))
def test_a_start_is_the_same_on_both_ways(given_values: dict[str, Any], said: dict[str, Any]) -> None:
    """Whatever an agent gives: where the short way takes it, the long one has the same and no complaint."""
    agent, platform = {**NEEDED, **given_values}, {**SAID, **said}

    short = plain_run(platform, agent)

    if short is not None:
        with pytest.MonkeyPatch.context() as patch:
            _without_the_short_way(patch)
            assert Intake(is_strict=True).run(platform, agent) == short
        assert list(RUN_FIELDS) == list(short.__dict__)
        assert short == RunRecord(**asdict(short)) == decode_line(encode_line(short))


@given(st.dictionaries(st.one_of(names, st.sampled_from(tuple(SETTABLE_FIELDS))), values, max_size=4))
def test_an_end_is_the_same_on_both_ways(values: dict[str, Any]) -> None:
    """As for a start: the same settings, and no complaint."""
    short = plain_settings(values)

    if short is not None:
        with pytest.MonkeyPatch.context() as patch:
            _without_the_short_way(patch)
            long = Intake(is_strict=True).ending(values)
        assert (short, {}, {}, ()) == (long.fields, long.metrics, long.attributes, long.coerced)


@pytest.mark.parametrize("name", ["agent_owner", "host", "product", "git_branch", "input_summary", "parent_run_id"])
def test_a_plain_start_takes_the_short_way(name: str) -> None:
    """What most agents say is plain; the short way is of use only where it is taken."""
    run = plain_run(SAID, {**NEEDED, name: "x"})

    assert run is not None
    assert "x" == getattr(run, name)


def test_a_plain_end_takes_the_short_way() -> None:
    """Counts and summaries are what most agents end with."""
    assert {"items_failed": 1, "error_summary": "no"} == plain_settings({"items_failed": 1, "error_summary": "no"})


@given(st.dictionaries(st.one_of(names, st.sampled_from(tuple(SETTABLE_FIELDS))), values, max_size=4), st.booleans())
def test_a_run_ends_as_a_valid_record(values: dict[str, Any], is_told: bool) -> None:
    """Its end is not checked again, for the intake has made each field fit."""
    live, intake = LiveRun(RunRecord(**{**NEEDED, **SAID}), is_told), Intake()
    live.take(intake.metrics(values))
    live.take(intake.ending(values))

    run = live.ended("success", "w", 2)

    assert run == RunRecord(**asdict(run))
