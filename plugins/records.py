"""Hold what is recorded: runs, events, metrics and deliveries, as immutable values with checked fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from attrs import Attribute, field, fields, frozen

from .errors import InvalidRecord
from .ids import parse_time

__all__ = [
    "RUN_FIELDS",
    "SCHEMA_VERSION",
    "SETTABLE_FIELDS",
    "STATUSES",
    "TRIGGER_TYPES",
    "APIPayload",
    "DeliveryReport",
    "MetricsUpdate",
    "Record",
    "RunEvent",
    "RunRecord",
    "as_mapping",
]

SCHEMA_VERSION = 3
TRIGGER_TYPES = ("cli", "web", "scheduler", "mcp", "manual")
STATUSES = ("running", "success", "failed", "partial")
_EMPTY: Mapping[str, Any] = MappingProxyType({})


def _is(*types: type, wanted: str) -> Callable[[Any, Attribute[Any], Any], None]:
    # bool is an int to isinstance(), and True items would be nonsense, so types are compared exactly first.
    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if type(value) in types or (isinstance(value, types) and not isinstance(value, bool)):
            return
        raise InvalidRecord(f"{type(instance).__name__}.{attribute.name}", value, wanted)

    return check


def _one_of(*words: str) -> Callable[[Any, Attribute[Any], Any], None]:
    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if value not in words:
            place = f"{type(instance).__name__}.{attribute.name}"
            raise InvalidRecord(place, value, f"it must be one of {', '.join(words)}")

    return check


def _name(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise InvalidRecord(f"{type(instance).__name__}.{attribute.name}", value, "it must be text, not empty")


_TEXT = _is(str, type(None), wanted="it must be text or None")
_WHOLE = _is(int, wanted="it must be a whole number")
_WHOLE_OR_NONE = _is(int, type(None), wanted="it must be a whole number or None")
_FLAG = _is(bool, wanted="it must be True or False")
_MAPPING = _is(dict, MappingProxyType, wanted="it must be a mapping with text keys")
_TEXTS = _is(tuple, wanted="it must be a tuple of text")


def _text() -> Any:
    return field(default=None, validator=_TEXT)


def _count() -> Any:
    return field(default=0, validator=_WHOLE)


@frozen(kw_only=True)
class RunRecord:
    """
    One run of one agent, as it stands at one moment.

    The fields are the columns of `agent_runs` (schema v3) and what the platform adds. Times are ISO 8601 text
    in UTC; `duration_ms` is in milliseconds. `metrics_json` is a property; `from_dict()` accepts it as text.

    Raises:
        InvalidRecord: a field was given a value that it cannot hold.
    """

    run_id: str = field(validator=_name)
    schema_version: int = field(default=SCHEMA_VERSION, validator=_WHOLE)
    agent_name: str = field(validator=_name)
    agent_owner: str | None = _text()
    job_type: str | None = _text()
    trigger_type: str = field(default="cli", validator=_one_of(*TRIGGER_TYPES))
    start_time: str = field(validator=_name)
    end_time: str | None = _text()
    status: str = field(default="running", validator=_one_of(*STATUSES))
    items_discovered: int = _count()
    items_succeeded: int = _count()
    items_failed: int = _count()
    duration_ms: int | None = field(default=None, validator=_WHOLE_OR_NONE)
    input_summary: str | None = _text()
    output_summary: str | None = _text()
    error_summary: str | None = _text()
    insight_id: str | None = _text()
    product: str | None = _text()
    platform: str | None = _text()
    product_family: str | None = _text()
    subdomain: str | None = _text()
    git_repo: str | None = _text()
    git_branch: str | None = _text()
    git_run_tag: str | None = _text()
    host: str | None = _text()
    api_posted: bool = field(default=False, validator=_FLAG)
    api_posted_at: str | None = _text()
    api_retry_count: int = _count()
    created_at: str | None = _text()
    updated_at: str | None = _text()
    metrics: Mapping[str, Any] = field(default=_EMPTY, validator=_MAPPING)
    attributes: Mapping[str, Any] = field(default=_EMPTY, validator=_MAPPING)
    parent_run_id: str | None = _text()
    status_detail: str | None = _text()
    verdict: bool = field(default=False, validator=_FLAG)
    writer: str | None = _text()
    seq: int | None = field(default=None, validator=_WHOLE_OR_NONE)
    coerced: tuple[str, ...] = field(default=(), validator=_TEXTS)

    @property
    def is_running(self) -> bool:
        """Whether the run has not ended yet."""
        return self.status == "running"

    @property
    def metrics_json(self) -> str | None:
        """The metrics as JSON text, None when there are none: the column of that name."""
        return json.dumps(dict(self.metrics), ensure_ascii=False) if self.metrics else None

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
        return _json(self.to_dict())

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
        known["coerced"] = tuple(values.get("coerced") or values.get("_coerced") or ())
        for name in ("run_id", "agent_name", "start_time"):
            known.setdefault(name, None)
        return cls(**known)


@frozen
class RunEvent:
    """
    One thing that happened in a run.

    `payload` is any JSON value; sinks get it as a plain snapshot and must not change it. `payload_bytes` is its
    JSON when it is known already. `id` is the row id where the event came from a store.
    """

    run_id: str = field(validator=_name)
    event_type: str = field(validator=_name)
    timestamp: str = field(validator=_name)
    payload: Any = None
    writer: str | None = None
    seq: int | None = None
    coerced: tuple[str, ...] = ()
    id: int | None = field(default=None, kw_only=True, eq=False)
    payload_bytes: bytes | None = field(default=None, kw_only=True, eq=False, repr=False)

    @property
    def payload_json(self) -> str | None:
        """The payload as JSON text, None when there is none: the column of that name."""
        if self.payload is None:
            return None
        return self.payload_bytes.decode() if self.payload_bytes is not None else _json(self.payload)

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
        return _json(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunEvent:
        """
        Return the event that *values* describes; `payload_json` text is accepted for `payload`.

        Raises:
            InvalidRecord: run_id, event_type or timestamp is missing or no text.
        """
        payload = values.get("payload")
        if payload is None and values.get("payload_json") is not None:
            payload = _parsed(values["payload_json"])
        return cls(
            values.get("run_id"),  # type: ignore[arg-type]  # the validator answers for a missing one
            values.get("event_type"),  # type: ignore[arg-type]
            values.get("timestamp"),  # type: ignore[arg-type]
            payload,
            values.get("writer"),
            values.get("seq"),
            tuple(values.get("coerced") or values.get("_coerced") or ()),
            id=values.get("id"),
        )


@frozen
class MetricsUpdate:
    """What `set_metrics()` set in the middle of a run: free metrics, and known fields of the record."""

    run_id: str = field(validator=_name)
    timestamp: str = field(validator=_name)
    metrics: Mapping[str, Any] = field(default=_EMPTY, validator=_MAPPING)
    fields: Mapping[str, Any] = field(default=_EMPTY, validator=_MAPPING)
    writer: str | None = None
    seq: int | None = None
    coerced: tuple[str, ...] = ()


@frozen
class DeliveryReport:
    """
    What became of one run at one remote sink.

    `attempts` counts the failed tries before; `reason` says why a run went to the dead letters.
    """

    run_id: str = field(validator=_name)
    timestamp: str = field(validator=_name)
    sink: str = field(validator=_name)
    ok: bool = True
    attempts: int = 0
    reason: str | None = None
    writer: str | None = None
    seq: int | None = None


Record: TypeAlias = RunRecord | RunEvent | MetricsUpdate | DeliveryReport


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
        return _json(self.to_dict())


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


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def as_mapping(value: Any) -> dict[str, Any]:
    """Return *value*, a mapping or its JSON text, as a dict; anything else stands under the key `value`."""
    if isinstance(value, str):
        value = _parsed(value)
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else {"value": value}


def _parsed(text: Any) -> Any:
    if not isinstance(text, str | bytes):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # an earlier writer's broken text is still evidence
