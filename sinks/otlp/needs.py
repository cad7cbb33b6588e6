"""Name what the extra `otlp` brings, and tell whoever lacks it."""

from __future__ import annotations

from functools import partial

from ...plugins import extras

__all__ = ["not_importable", "require_exporters"]

_EXTRA, _DISTRIBUTION = "otlp", "opentelemetry-exporter-otlp-proto-http"

require_exporters = partial(extras.require_extra, _EXTRA, "opentelemetry.exporter.otlp.proto.http", _DISTRIBUTION)
not_importable = partial(extras.not_importable, _EXTRA, _DISTRIBUTION)
