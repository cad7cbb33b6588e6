"""The contract: all that the author of a sink may import."""

from .api_payload import APIPayload
from .context import SinkContext
from .errors import (
    ConfigError,
    InputError,
    InvalidRecord,
    NotFound,
    PluginError,
    Refused,
    Retryable,
    StoreError,
    TelemetryError,
)
from .hookspecs import hookimpl
from .ids import calculate_duration_ms, generate_run_id, get_iso8601_timestamp
from .lines import decode_line, decode_lines, encode_line
from .merge import fold
from .policies import RetryPolicy
from .records import (
    SCHEMA_VERSION,
    CommitLink,
    DeliveryReport,
    MetricsUpdate,
    Record,
    RunEvent,
    RunRecord,
)
from .secret import Secret
from .store import RunQuery, RunStore
from .worker import Worker

__all__ = [
    "SCHEMA_VERSION",
    "APIPayload",
    "CommitLink",
    "ConfigError",
    "DeliveryReport",
    "InputError",
    "InvalidRecord",
    "MetricsUpdate",
    "NotFound",
    "PluginError",
    "Record",
    "Refused",
    "RetryPolicy",
    "Retryable",
    "RunEvent",
    "RunQuery",
    "RunRecord",
    "RunStore",
    "Secret",
    "SinkContext",
    "StoreError",
    "TelemetryError",
    "Worker",
    "calculate_duration_ms",
    "decode_line",
    "decode_lines",
    "encode_line",
    "fold",
    "generate_run_id",
    "get_iso8601_timestamp",
    "hookimpl",
]
