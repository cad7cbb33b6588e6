"""Lend the tests of the contract hypothesis strategies that build any valid record."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import strategies as st

from telemetry.plugins import CommitLink, DeliveryReport, MetricsUpdate, RunEvent, RunRecord
from telemetry.plugins.records import SETTABLE_FIELDS

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_WHOLE = st.integers(1 - 2**63, 2**63 - 1)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_MAPPING = st.dictionaries(_TEXT, _JSON, max_size=3)
_TEXT_OR_NONE = st.none() | _NAME
_ORIGIN = {"writer": _TEXT_OR_NONE, "seq": st.none() | st.integers(1, 2**40)}
_NOTES = st.lists(_TEXT, max_size=2).map(tuple)
_MOMENT = st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "+00:00")
_TEXT_FIELDS = (
    *("agent_owner", "job_type", "input_summary", "output_summary", "error_summary", "insight_id", "product"),
    *("platform", "product_family", "subdomain", "git_repo", "git_branch", "git_run_tag", "host", "api_posted_at"),
    *("created_at", "updated_at", "parent_run_id", "status_detail"),
)


def _runs(run_id: st.SearchStrategy[str] = _NAME) -> st.SearchStrategy[RunRecord]:
    return st.builds(
        RunRecord,
        run_id=run_id,
        agent_name=_NAME,
        start_time=_MOMENT,
        end_time=st.none() | _MOMENT,
        status=st.sampled_from(("running", "success", "failed", "partial")),
        trigger_type=st.sampled_from(("cli", "web", "scheduler", "mcp", "manual")),
        items_discovered=_WHOLE,
        items_succeeded=_WHOLE,
        items_failed=_WHOLE,
        duration_ms=st.none() | st.integers(0, 2**63 - 1),
        api_posted=st.booleans(),
        api_retry_count=st.integers(0, 99),
        metrics=_MAPPING,
        attributes=_MAPPING.map(_without_field_names),
        verdict=st.booleans(),
        coerced=_NOTES,
        **dict.fromkeys(_TEXT_FIELDS, _TEXT_OR_NONE),
        **_ORIGIN,
    )


def _without_field_names(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in ("record_type", "_coerced")}


def _events(run_id: st.SearchStrategy[str] = _NAME) -> st.SearchStrategy[RunEvent]:
    return st.builds(
        RunEvent, run_id=run_id, event_type=_NAME, timestamp=_MOMENT, payload=_JSON, coerced=_NOTES, **_ORIGIN
    )


def _updates(run_id: st.SearchStrategy[str] = _NAME) -> st.SearchStrategy[MetricsUpdate]:
    settable = {name: _WHOLE if kind is int else _TEXT for name, kind in SETTABLE_FIELDS.items()}
    return st.builds(
        MetricsUpdate,
        run_id=run_id,
        timestamp=_MOMENT,
        metrics=_MAPPING,
        fields=st.fixed_dictionaries({}, optional=settable),
        coerced=_NOTES,
        attributes=_MAPPING,
        **_ORIGIN,
    )


def _reports(run_id: st.SearchStrategy[str] = _NAME) -> st.SearchStrategy[DeliveryReport]:
    return st.builds(
        DeliveryReport,
        run_id=run_id,
        timestamp=_MOMENT,
        sink=_NAME,
        ok=st.booleans(),
        attempts=st.integers(0, 99),
        reason=_TEXT_OR_NONE,
        **_ORIGIN,
    )


def _commits(run_id: st.SearchStrategy[str] = _NAME) -> st.SearchStrategy[CommitLink]:
    texts = ("agent_name", "repo", "branch", "commit_date", "author", "message")
    counts = ("files_changed", "insertions", "deletions")
    return st.builds(
        CommitLink,
        run_id=run_id,
        timestamp=_MOMENT,
        commit_hash=_NAME,
        coerced=_NOTES,
        **dict.fromkeys(texts, _TEXT_OR_NONE),
        **dict.fromkeys(counts, st.none() | st.integers(0, 10**6)),
        **_ORIGIN,
    )


@pytest.fixture(scope="session")
def any_valid() -> SimpleNamespace:
    """Return strategies for `json` values, `mapping`s and records; each kind of record is a function of `run_id`."""
    return SimpleNamespace(
        json=_JSON,
        mapping=_MAPPING,
        run=_runs,
        event=_events,
        update=_updates,
        report=_reports,
        commit=_commits,
        record=_runs() | _events() | _updates() | _reports() | _commits(),
    )
