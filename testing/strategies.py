"""Build any valid record, for hypothesis: what a sink may be handed, to the edges of each field."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..plugins.commit_link import CommitLink
from ..plugins.records import (
    SETTABLE_FIELDS,
    STATUSES,
    TRIGGER_TYPES,
    DeliveryReport,
    MetricsUpdate,
    Record,
    RunEvent,
    RunRecord,
)

__all__ = ["commits", "events", "json_values", "mappings", "records", "reports", "runs", "updates"]

Strategy = st.SearchStrategy

# No lone surrogates: the client replaces them, as it does NaN, before a sink sees a record.
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_TEXT_OR_NONE = st.none() | _NAME
_WHOLE = st.integers(1 - 2**63, 2**63 - 1)
_NOTES = st.lists(_TEXT, max_size=2).map(tuple)
_MOMENT = st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "+00:00")
_JSON: Strategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_MAPPING = st.dictionaries(_TEXT, _JSON, max_size=3)
_ORIGIN: dict[str, Strategy[Any]] = {"writer": _TEXT_OR_NONE, "seq": st.none() | st.integers(1, 2**40)}
_TEXT_FIELDS = (
    *("agent_owner", "job_type", "input_summary", "output_summary", "error_summary", "insight_id", "product"),
    *("platform", "product_family", "subdomain", "git_repo", "git_branch", "git_run_tag", "host", "api_posted_at"),
    *("created_at", "updated_at", "parent_run_id", "status_detail"),
)


def json_values() -> Strategy[Any]:
    """Return a strategy for JSON values: payloads as a sink gets them."""
    return _JSON


def mappings() -> Strategy[dict[str, Any]]:
    """Return a strategy for JSON objects: metrics and attributes."""
    return _MAPPING


def runs(run_id: Strategy[str] = _NAME) -> Strategy[RunRecord]:
    """Return a strategy for runs, running and ended ones."""
    return st.builds(
        RunRecord,
        run_id=run_id,
        agent_name=_NAME,
        start_time=_MOMENT,
        end_time=st.none() | _MOMENT,
        status=st.sampled_from(STATUSES),
        trigger_type=st.sampled_from(TRIGGER_TYPES),
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


def events(run_id: Strategy[str] = _NAME) -> Strategy[RunEvent]:
    """Return a strategy for events."""
    return st.builds(
        RunEvent, run_id=run_id, event_type=_NAME, timestamp=_MOMENT, payload=_JSON, coerced=_NOTES, **_ORIGIN
    )


def updates(run_id: Strategy[str] = _NAME) -> Strategy[MetricsUpdate]:
    """Return a strategy for metrics and fields that are set in the middle of a run."""
    settable: dict[str, Strategy[Any]] = {
        name: _WHOLE if kind is int else _TEXT for name, kind in SETTABLE_FIELDS.items()
    }
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


def reports(run_id: Strategy[str] = _NAME) -> Strategy[DeliveryReport]:
    """Return a strategy for the news that a remote sink delivered a run, or gave it up."""
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


def commits(run_id: Strategy[str] = _NAME) -> Strategy[CommitLink]:
    """Return a strategy for commits that belong to a run."""
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


def records(run_id: Strategy[str] = _NAME) -> Strategy[Record]:
    """Return a strategy for records of every kind."""
    return runs(run_id) | events(run_id) | updates(run_id) | reports(run_id) | commits(run_id)
