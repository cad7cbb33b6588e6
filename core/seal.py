"""Bring the free parts of a record into their stored form, whoever built it."""

from __future__ import annotations

from typing import Any

import attrs

from ..plugins.commit_link import CommitLink
from ..plugins.merge import agent_of
from ..plugins.records import MetricsUpdate, Record, RunEvent, RunRecord
from .snapshot import snapshot, snapshot_mapping

__all__ = ["replaced_by_notice", "sealed"]


def sealed(record: Record, *, anew: bool = False) -> Record:
    """
    Return *record* with a plain payload that nobody else holds.

    The client seals what it builds, so this is a look at one field for its records.

    Args:
        anew: do not trust a seal: a plugin had the record in its hands.
    """
    if isinstance(record, RunEvent):
        if record.payload_bytes is not None and not anew:
            return record
        return _sealed_event(record)
    return _sealed_mappings(record) if anew and isinstance(record, RunRecord | MetricsUpdate) else record


def _sealed_event(event: RunEvent) -> RunEvent:
    value, text, coerced = snapshot(event.payload)
    return attrs.evolve(event, payload=value, payload_bytes=text, coerced=(*event.coerced, *coerced))


def _sealed_mappings(record: RunRecord | MetricsUpdate) -> RunRecord | MetricsUpdate:
    changes: dict[str, Any] = {}
    notes: tuple[str, ...] = record.coerced
    for name in _mappings_of(record):
        changes[name], coerced = snapshot_mapping(getattr(record, name))
        notes = (*notes, *coerced)
    return attrs.evolve(record, **changes, coerced=notes)


def _mappings_of(record: RunRecord | MetricsUpdate) -> tuple[str, ...]:
    return ("metrics", "attributes") if isinstance(record, RunRecord) else ("metrics", "fields", "attributes")


def replaced_by_notice(record: Record, processor: str, reason: str) -> Record:
    """
    Return *record* without anything that an agent put into it, but with the reason.

    Used when a processor fails: it may have been the one that takes secrets out, so nothing may pass it.
    """
    notice = {"_withheld": f"processor {processor} failed: {reason}"}
    if isinstance(record, RunEvent):
        return sealed(attrs.evolve(record, event_type=_WITHHELD, payload=notice, payload_bytes=None, coerced=()))
    if isinstance(record, MetricsUpdate):
        return attrs.evolve(record, metrics=notice, fields={}, attributes={}, coerced=())
    if isinstance(record, RunRecord):
        # The id has the agent's name as well, in the form that public_text() gave it.
        said: dict[str, Any] = {**dict.fromkeys(_FREE_TEXTS), "agent_name": agent_of(record.run_id)}
        return attrs.evolve(record, metrics={}, attributes=notice, coerced=(), **said)
    if isinstance(record, CommitLink):
        names: dict[str, Any] = dict.fromkeys(_COMMIT_TEXTS)
        return attrs.evolve(record, message=notice["_withheld"], coerced=(), **names)
    return record


_WITHHELD = "withheld"
_FREE_TEXTS = (
    *("input_summary", "output_summary", "error_summary", "status_detail", "insight_id", "product", "platform"),
    *("product_family", "subdomain", "git_repo", "git_branch", "git_run_tag", "job_type", "agent_owner", "host"),
)
_COMMIT_TEXTS = ("agent_name", "repo", "branch", "author")
