"""Turn environment and file into one checked configuration, with the origin of each value."""

from .model import TelemetryConfig
from .settings import Redaction
from .sinks import SinkSpec, build_options

__all__ = ["Redaction", "SinkSpec", "TelemetryConfig", "build_options"]
