"""Hold what is recorded: runs, events, metrics and deliveries, as immutable values with checked fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from attrs import field, fields, frozen

from .checks import (
    EMPTY,
    as_json,
    as_mapping,
    as_texts,
    count,
    is_flag,
    is_mapping,
    is_name,
    is_texts,
    is_whole,
    is_whole_or_none,
    one_of,
    parsed,
    text,
)
from .commit_link import CommitLink
from .ids import parse_time
from .pruning import RunPruned

__all__ = [
    "RUN_FIELDS",
    "SCHEMA_VERSION",
    "SETTABLE_FIELDS",
    "STATUSES",
    "TRIGGER_TYPES",
    "CommitLink",
    "DeliveryReport",
    "MetricsUpdate",
    "Record",
    "RunEvent",
    "RunRecord",
]

SCHEMA_VERSION = 3
TRIGGER_TYPES = ("cli", "web", "scheduler", "mcp", "manual")
STATUSES = ("running", "success", "failed", "partial")


# Without slots, so that a changed copy is a copied dict (see changing.py).
@frozen(kw_only=True, slots=False)
class RunRecord:
    """
    One run of one agent, as it stands at one moment.

    The fields are the columns of `agent_runs` (schema v3) and what the platform adds. Times are ISO 8601 text
    in UTC; `duration_ms` is in milliseconds. `metrics_json` is a property; `from_dict()` accepts it as text.

    Raises:
        InvalidRecord: a field was given a value that it cannot hold.
    """

    run_id: str = field(validator=is_name)
    schema_version: int = field(default=SCHEMA_VERSION, validator=is_whole)
    agent_name: str = field(validator=is_name)
    agent_owner: str | None = text()
    job_type: str | None = text()
    trigger_type: str = field(default="cli", validator=one_of(*TRIGGER_TYPES))
    start_time: str = field(validator=is_name)
    end_time: str | None = text()
    status: str = field(default="running", validator=one_of(*STATUSES))
    items_discovered: int = count()
    items_succeeded: int = count()
    items_failed: int = count()
    duration_ms: int | None = field(default=None, validator=is_whole_or_none)
    input_summary: str | None = text()
    output_summary: str | None = text()
    error_summary: str | None = text()
    insight_id: str | None = text()
    product: str | None = text()
    platform: str | None = text()
    product_family: str | None = text()
    subdomain: str | None = text()
    git_repo: str | None = text()
    git_branch: str | None = text()
    git_run_tag: str | None = text()
    host: str | None = text()
    api_posted: bool = field(default=False, validator=is_flag)
    api_posted_at: str | None = text()
    api_retry_count: int = count()
    created_at: str | None = text()
    updated_at: str | None = text()
    metrics: Mapping[str, Any] = field(default=EMPTY, validator=is_mapping)
    attributes: Mapping[str, Any] = field(default=EMPTY, validator=is_mapping)
    parent_run_id: str | None = text()
    status_detail: str | None = text()
    verdict: bool = field(default=False, validator=is_flag)
    writer: str | None = text()
    seq: int | None = field(default=None, validator=is_whole_or_none)
    coerced: tuple[str, ...] = field(default=(), validator=is_texts)

    @property
    def is_running(self) -> bool:
        """Whether the run has not ended yet."""
        return self.status == "running"

    @property
    def metrics_json(self) -> str | None:
        """The metrics as JSON text, None when there are none: the column of that name."""
        return as_json(dict(self.metrics)) if self.metrics else None

    @property
    def started_at(self) -> datetime:
        """The start as an aware datetime (UTC); raises ValueError when the stored text is no time."""
        return parse_time(self.start_time)

    @property
    def ended_at(self) -> datetime | None:
        """The end as an aware datetime (UTC), None while the run goes on."""
        return None if self.end_time is None else parse_time(self.end_time)

    def to_dict(self) -> dict[str, Any]:
        """Return every field by name, with `metrics` and `attributes` as plain dicts."""
        values = {name: getattr(self, name) for name in RUN_FIELDS}
        values["metrics"] = dict(self.metrics)
        values["attributes"] = dict(self.attributes)
        values["coerced"] = list(self.coerced)
        return values

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text."""
        return as_json(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunRecord:
        """
        Return the record that *values* describes; unknown keys are kept in `attributes`.

        Accepts `metrics_json` as text or mapping and 0/1 for flags, as they stand in the stores.

        Raises:
            InvalidRecord: a known field has a value that it cannot hold, or a required one is missing.
        """
        known = {name: values[name] for name in RUN_FIELDS if name in values}
        for name in ("api_posted", "verdict"):
            if known.get(name) in (0, 1):
                known[name] = bool(known[name])
        known["metrics"] = {**as_mapping(values.get("metrics_json")), **as_mapping(values.get("metrics"))}
        strangers = {key: value for key, value in values.items() if key not in _KNOWN_KEYS}
        known["attributes"] = {**strangers, **as_mapping(values.get("attributes"))}
        known["coerced"] = as_texts(values.get("coerced") or values.get("_coerced"))
        for name in ("run_id", "agent_name", "start_time"):
            known.setdefault(name, None)
        return cls(**known)


# Without slots, because sealed() can fill a dict in 0.45 us; the checked way into nine slots takes 1.05 us, which is
# a fifth of a whole log_event().
@frozen(slots=False)
class RunEvent:
    """
    One thing that happened in a run.

    `payload` is any JSON value; sinks get it as a plain snapshot and must not change it. `payload_bytes` is its
    JSON when it is known already. `id` is the row id where the event came from a store.
    """

    run_id: str = field(validator=is_name)
    event_type: str = field(validator=is_name)
    timestamp: str = field(validator=is_name)
    payload: Any = None
    writer: str | None = None
    seq: int | None = None
    coerced: tuple[str, ...] = ()
    id: int | None = field(default=None, kw_only=True, eq=False)
    payload_bytes: bytes | None = field(default=None, kw_only=True, eq=False, repr=False)

    @classmethod
    def sealed(
        cls, run_id: str, event_type: str, timestamp: str, payload: Any, text: bytes, writer: str, seq: int | None
    ) -> RunEvent:
        """Return the event that these values make, which the caller has checked already."""
        event = cls.__new__(cls)
        values = event.__dict__
        values["run_id"] = run_id
        values["event_type"] = event_type
        values["timestamp"] = timestamp
        values["payload"] = payload
        values["writer"] = writer
        values["seq"] = seq
        values["coerced"] = ()
        values["id"] = None
        values["payload_bytes"] = text
        return event

    @property
    def payload_json(self) -> str | None:
        """The payload as JSON text, None when there is none: the column of that name."""
        if self.payload is None:
            return None
        return self.payload_bytes.decode() if self.payload_bytes is not None else as_json(self.payload)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, without the cached bytes."""
        return {
            "run_id": self.run_id,
            "event_type": self.event_type,
            "timestamp": self.timestamp,
            "payload": self.payload,
            "writer": self.writer,
            "seq": self.seq,
            "coerced": list(self.coerced),
            "id": self.id,
        }

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text."""
        return as_json(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunEvent:
        """
        Return the event that *values* describes; `payload_json` text is accepted for `payload`.

        Raises:
            InvalidRecord: run_id, event_type or timestamp is missing or no text.
        """
        payload = values.get("payload")
        if payload is None and values.get("payload_json") is not None:
            payload = parsed(values["payload_json"])
        return cls(
            values.get("run_id"),  # type: ignore[arg-type]  # the validator answers for a missing one
            values.get("event_type"),  # type: ignore[arg-type]
            values.get("timestamp"),  # type: ignore[arg-type]
            payload,
            values.get("writer"),
            values.get("seq"),
            as_texts(values.get("coerced") or values.get("_coerced")),
            id=values.get("id"),
        )


@frozen
class MetricsUpdate:
    """
    What `set_metrics()` set in the middle of a run: free metrics, and known fields of the record.

    `attributes` holds what was given for a known field and did not fit it.
    """

    run_id: str = field(validator=is_name)
    timestamp: str = field(validator=is_name)
    metrics: Mapping[str, Any] = field(default=EMPTY, validator=is_mapping)
    fields: Mapping[str, Any] = field(default=EMPTY, validator=is_mapping)
    writer: str | None = None
    seq: int | None = None
    coerced: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default=EMPTY, validator=is_mapping)


@frozen
class DeliveryReport:
    """
    What became of one run at one remote sink.

    `attempts` counts the failed tries before; `reason` says why a run went to the dead letters.
    """

    run_id: str = field(validator=is_name)
    timestamp: str = field(validator=is_name)
    sink: str = field(validator=is_name)
    ok: bool = True
    attempts: int = 0
    reason: str | None = None
    writer: str | None = None
    seq: int | None = None


Record: TypeAlias = RunRecord | RunEvent | MetricsUpdate | DeliveryReport | CommitLink | RunPruned


RUN_FIELDS: tuple[str, ...] = tuple(attribute.name for attribute in fields(RunRecord))
"""Names of all fields of a run, in the order of the columns."""

_KNOWN_KEYS = frozenset(RUN_FIELDS) | {"metrics_json", "record_type", "_coerced"}

_SETTABLE_COUNTS = ("items_discovered", "items_succeeded", "items_failed")
_SETTABLE_TEXTS = (
    *("input_summary", "output_summary", "error_summary", "insight_id", "product", "platform"),
    *("product_family", "subdomain", "git_repo", "git_branch", "git_run_tag"),
)
SETTABLE_FIELDS: Mapping[str, type] = MappingProxyType(
    dict.fromkeys(_SETTABLE_COUNTS, int) | dict.fromkeys(_SETTABLE_TEXTS, str)
)
"""Fields of a run that `set_metrics()` and `end_run()` may set, with their types."""
