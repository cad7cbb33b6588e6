"""The contract: all that the author of a sink may import."""

from .api_payload import APIPayload
from .context import SinkContext
from .errors import (
    ConfigError,
    InputError,
    InvalidRecord,
    MissingExtra,
    NotFound,
    PluginError,
    Refused,
    Retryable,
    StoreError,
    TelemetryError,
    Unreachable,
)
from .hookspecs import hookimpl
from .ids import calculate_duration_ms, generate_run_id, get_iso8601_timestamp
from .item import Item
from .lines import decode_line, decode_lines, encode_line
from .merge import fold
from .policies import RetryPolicy
from .private import make_private_folder
from .records import (
    SCHEMA_VERSION,
    CommitLink,
    DeliveryReport,
    MetricsUpdate,
    Record,
    RunEvent,
    RunRecord,
)
from .remote import remote_sink
from .rows import Rows
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
    "Item",
    "MetricsUpdate",
    "MissingExtra",
    "NotFound",
    "PluginError",
    "Record",
    "Refused",
    "RetryPolicy",
    "Retryable",
    "Rows",
    "RunEvent",
    "RunQuery",
    "RunRecord",
    "RunStore",
    "Secret",
    "SinkContext",
    "StoreError",
    "TelemetryError",
    "Unreachable",
    "Worker",
    "calculate_duration_ms",
    "decode_line",
    "decode_lines",
    "encode_line",
    "fold",
    "generate_run_id",
    "get_iso8601_timestamp",
    "hookimpl",
    "make_private_folder",
    "remote_sink",
]
