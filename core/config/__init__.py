"""Turn environment and file into one checked configuration, with the origin of each value."""

from .model import TelemetryConfig, load_within
from .resolving import ResolvedSink, resolve_sink
from .settings import Redaction
from .sinks import SinkSpec

__all__ = ["Redaction", "ResolvedSink", "SinkSpec", "TelemetryConfig", "load_within", "resolve_sink"]
