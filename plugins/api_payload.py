"""Say what of a run the metrics API is told."""

from __future__ import annotations

from typing import Any

from attrs import fields, frozen

from .checks import as_json
from .records import RunRecord

__all__ = ["APIPayload"]


@frozen(kw_only=True)
class APIPayload:
    """What is posted of a run to the metrics API; fields that are None are left out."""

    run_id: str
    agent_name: str
    job_type: str | None = None
    trigger_type: str = "cli"
    start_time: str
    status: str = "running"
    agent_owner: str | None = None
    end_time: str | None = None
    items_discovered: int | None = None
    items_succeeded: int | None = None
    items_failed: int | None = None
    duration_ms: int | None = None
    error_summary: str | None = None
    product: str | None = None
    platform: str | None = None
    product_family: str | None = None
    subdomain: str | None = None
    git_repo: str | None = None
    git_branch: str | None = None
    host: str | None = None

    @classmethod
    def from_run_record(cls, run: RunRecord) -> APIPayload:
        """Return the part of *run* that the API takes."""
        return cls(**{attribute.name: getattr(run, attribute.name) for attribute in fields(cls)})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, without those that are None."""
        values = {attribute.name: getattr(self, attribute.name) for attribute in fields(type(self))}
        return {name: value for name, value in values.items() if value is not None}

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text."""
        return as_json(self.to_dict())
