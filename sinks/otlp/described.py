"""Describe a run by attributes: what is known by a convention under its name, all else under ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...plugins.records import RunRecord
from .conventions import OURS, RUN_NAMES, is_llm_run, named
from .values import as_attributes

__all__ = ["error_attributes", "error_type", "run_attributes"]

_OTHER = "_OTHER"
"""What the conventions want where the type of an error is not known."""

_FIELDS = (
    *("run_id", "parent_run_id", "job_type", "trigger_type", "status", "status_detail", "duration_ms"),
    *("items_discovered", "items_succeeded", "items_failed", "input_summary", "output_summary", "error_summary"),
    *("insight_id", "product", "platform", "product_family", "subdomain", "git_repo", "git_run_tag", "writer"),
)
_COUNTS = ("items_discovered", "items_succeeded", "items_failed")


def run_attributes(run: RunRecord) -> dict[str, Any]:
    """Return the attributes of *run*; what it does not say is left out, and counts of 0 as well."""
    usage, metrics = named(run.metrics, RUN_NAMES)
    free = {name: value for name, value in run.attributes.items() if name != "traceback"}
    said = {name: getattr(run, name) for name in _FIELDS}
    fields = {name: value for name, value in said.items() if not (name in _COUNTS and value == 0)}
    told = {
        **_below("", fields),
        **_below("metrics.", metrics),
        **_below("attributes.", free),
        **usage,
        "gen_ai.agent.name": run.agent_name,
        "gen_ai.operation.name": "invoke_agent" if is_llm_run(run.metrics) else None,
        "vcs.ref.head.name": run.git_branch,
        f"{OURS}is_verdict": True if run.verdict else None,
        f"{OURS}coerced": list(run.coerced) or None,
        **(error_attributes(run) if run.status == "failed" else {}),
    }
    return as_attributes(told)


def _below(place: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{OURS}{place}{name}": value for name, value in values.items()}


def error_attributes(run: RunRecord) -> dict[str, Any]:
    """Return what the conventions say of errors; `error.type` has few values, so it never holds a message."""
    kind, colon, message = (run.error_summary or "").partition(": ")
    told = {"error.type": error_type(run.error_summary)}
    if not colon or error_type(kind) == _OTHER:
        return told  # a summary in an agent's own words, or a verdict on a process that is gone: no exception
    trace = run.attributes.get("traceback")
    return {**told, "exception.type": kind, "exception.message": message, "exception.stacktrace": trace}


def error_type(text: str | None) -> str:
    """Return the name of the exception with which *text* begins, as `Type: message`; `_OTHER` where it has none."""
    kind = (text or "").partition(":")[0]
    return kind if kind.replace(".", "").isidentifier() else _OTHER
