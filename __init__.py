"""Show the public names of the platform; each is imported on first use, so `import telemetry` stays cheap."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.care import Care
    from .core.client import TelemetryClient
    from .core.config import TelemetryConfig
    from .core.log_handler import RunLogHandler
    from .core.reading import open_store
    from .core.run import RunContext, current_run, track
    from .plugins.api_payload import APIPayload
    from .plugins.errors import TelemetryError
    from .plugins.hookspecs import hookimpl
    from .plugins.ids import calculate_duration_ms, generate_run_id, get_iso8601_timestamp
    from .plugins.records import SCHEMA_VERSION, RunEvent, RunRecord

    __version__: str

__all__ = [
    "SCHEMA_VERSION",
    "APIPayload",
    "Care",
    "RunContext",
    "RunEvent",
    "RunLogHandler",
    "RunRecord",
    "TelemetryClient",
    "TelemetryConfig",
    "TelemetryError",
    "calculate_duration_ms",
    "current_run",
    "generate_run_id",
    "get_iso8601_timestamp",
    "hookimpl",
    "open_store",
    "track",
]

_HOMES = {
    "SCHEMA_VERSION": ".plugins.records",
    "APIPayload": ".plugins.api_payload",
    "Care": ".core.care",
    "RunContext": ".core.run",
    "RunEvent": ".plugins.records",
    "RunLogHandler": ".core.log_handler",
    "RunRecord": ".plugins.records",
    "TelemetryClient": ".core.client",
    "TelemetryConfig": ".core.config",
    "TelemetryError": ".plugins.errors",
    "calculate_duration_ms": ".plugins.ids",
    "current_run": ".core.run",
    "generate_run_id": ".plugins.ids",
    "get_iso8601_timestamp": ".plugins.ids",
    "hookimpl": ".plugins.hookspecs",
    "open_store": ".core.reading",
    "track": ".core.run",
}


def _installed_version() -> str:
    from importlib import metadata

    return metadata.version("local-telemetry")


def _from_home(name: str) -> object:
    from importlib import import_module

    return getattr(import_module(_HOMES[name], __name__), name)


# Hidden from type checkers: to them a module with __getattr__ has every name, so a misspelt
# `from telemetry import TelemetryCleint` would pass.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the public *name* from its module and keep it, so that this runs once a name."""
        if name == "__version__":
            value = _installed_version()
        elif name in _HOMES:
            value = _from_home(name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
