"""Name what backends know by OpenTelemetry's semantic conventions; this is the one place that knows these names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "EVENT_NAMES",
    "EVENT_OPERATIONS",
    "OURS",
    "RUN_NAMES",
    "SCHEMA_URL",
    "SEMCONV_VERSION",
    "is_llm_run",
    "named",
]

SEMCONV_VERSION = "1.41.1"
"""The last release that defines `gen_ai.*`; after it they moved to a repository of their own, without a release yet."""

SCHEMA_URL = f"https://opentelemetry.io/schemas/{SEMCONV_VERSION}"

OURS = "local_telemetry."
"""What no convention has a name for stands below this."""

_USAGE: Mapping[str, tuple[str, type]] = {
    "model": ("gen_ai.request.model", str),
    "provider": ("gen_ai.provider.name", str),
    "tokens_in": ("gen_ai.usage.input_tokens", int),
    "tokens_out": ("gen_ai.usage.output_tokens", int),
    "tokens_cached": ("gen_ai.usage.cache_read.input_tokens", int),
    # No convention names a price. Langfuse and OpenLIT read this one; whoever does not shows it like any other.
    "cost_usd": ("gen_ai.usage.cost", float),
}
_CALL: Mapping[str, tuple[str, type]] = {
    **_USAGE,
    "response_model": ("gen_ai.response.model", str),
    "response_id": ("gen_ai.response.id", str),
    "conversation_id": ("gen_ai.conversation.id", str),
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "max_tokens": ("gen_ai.request.max_tokens", int),
    "seed": ("gen_ai.request.seed", int),
}
_TOOL: Mapping[str, tuple[str, type]] = {
    "tool": ("gen_ai.tool.name", str),
    "tool_call_id": ("gen_ai.tool.call.id", str),
}

RUN_NAMES = _USAGE
"""Metrics of a run, with the attribute that each becomes and its type."""

EVENT_NAMES: Mapping[str, Mapping[str, tuple[str, type]]] = {
    "llm_call": _CALL,
    "tool_started": _TOOL,
    "tool_ended": _TOOL,
}
"""The same for what the payloads of events of these types hold."""

EVENT_OPERATIONS: Mapping[str, str] = {"tool_started": "execute_tool", "tool_ended": "execute_tool"}
"""`gen_ai.operation.name` of events of these types."""


def named(values: Mapping[str, Any], names: Mapping[str, tuple[str, type]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return what *names* has a name for, under that name, and the rest of *values*.

    A value of another type than the convention says stays with the rest: a backend would refuse or misread it.
    """
    known: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, value in values.items():
        name, kind = names.get(key, ("", object))
        fitting = _as(kind, value) if name else None
        if fitting is None:
            rest[key] = value
        else:
            known[name] = fitting
    return known, rest


def _as(kind: type, value: Any) -> Any:
    if isinstance(value, bool):
        return None
    if kind is float and isinstance(value, int | float):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, kind) else None


def is_llm_run(metrics: Mapping[str, Any]) -> bool:
    """Return whether a run with these *metrics* called a language model; other agents invoke no GenAI operation."""
    return any(name in metrics for name in ("model", "tokens_in", "tokens_out", "llm_calls"))
