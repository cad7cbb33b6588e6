"""Say it when posts would meet the wrong port or path: they fail there, with words that lead nobody to the cause."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from .options import OtlpOptions

__all__ = ["doubts_of"]

_SPOKEN = "http/protobuf"
_GENERAL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_OF_TRACES, _OF_LOGS = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"
_BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_ENDPOINTS = (_BASE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
_GRPC_PORT = 4317
_PATHS = ("/v1/traces", "/v1/logs")


def doubts_of(options: OtlpOptions) -> list[str]:
    """Return a sentence for each thing, in *options* and the environment, that leads the posts to the wrong place."""
    return [*_other_protocols(options), *_wrong_endpoints(options)]


def _wrong_endpoints(options: OtlpOptions) -> list[str]:
    given = {name: os.environ.get(name, "").strip() for name in _ENDPOINTS} if options.endpoint is None else {}
    given["endpoint"] = options.endpoint or ""
    at_grpc = f"{{}} names port {_GRPC_PORT}, at which gRPC is usually spoken; {_SPOKEN} is at 4318"
    with_path = "{} ends in {!r}, and the path of each signal is added to it; leave that out"
    bases = {name: url.rstrip("/") for name, url in given.items() if name in ("endpoint", _BASE)}
    return [
        *(at_grpc.format(name) for name, url in given.items() if _port_of(url) == _GRPC_PORT),
        *(with_path.format(name, path) for name, url in bases.items() for path in _PATHS if url.endswith(path)),
    ]


def _port_of(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None  # what is no port is no option either; a variable the exporter complains of


def _other_protocols(options: OtlpOptions) -> list[str]:
    # The variable of a signal takes the place of the general one, which may be meant for other exporters alone.
    signals = {_OF_TRACES: options.traces, _OF_LOGS: options.logs}
    in_force = {name if os.environ.get(name) else _GENERAL: None for name, is_sent in signals.items() if is_sent}
    given = {name: os.environ.get(name, "").strip() for name in in_force}
    return [
        f"{name} is {protocol!r}, but the otlp sink speaks {_SPOKEN} alone; give it an endpoint for that (usually "
        "port 4318), or put a collector in between"
        for name, protocol in given.items()
        if protocol and protocol.lower() != _SPOKEN
    ]
