"""Fit any JSON value into what OTLP can carry: its encoder drops what it cannot, and servers refuse what is deep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...plugins.checks import as_json
from ...plugins.ids import parse_time

__all__ = ["NANOSECONDS", "as_attributes", "as_body", "as_text", "nanoseconds"]

_MOST_LEVELS = 16
"""A level takes three protobuf messages, and decoders stop at a hundred."""
_INTS = range(-(2**63), 2**63)
NANOSECONDS = range(2**63)
_PLAIN = (str, bool, int, float)


def as_text(value: str) -> str:
    """Return *value* without lone surrogates, which protobuf refuses."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def as_body(value: Any, levels: int = _MOST_LEVELS) -> Any:
    """Return *value* in its own structure; what lies more than 16 levels deep as JSON text."""
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value in _INTS else str(value)
    if value is None or isinstance(value, bool | float):
        return value
    if levels == 0:
        return as_text(as_json(value))
    if isinstance(value, Mapping):
        return {as_text(str(key)): as_body(inner, levels - 1) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [as_body(inner, levels - 1) for inner in value]
    return as_text(str(value))


def as_attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return *values* as attributes, those that are None left out.

    An attribute is plain, or a list of plain values of one type: few backends take more. All else becomes JSON text.
    """
    return {as_text(name): _as_attribute(value) for name, value in values.items() if value is not None}


def _as_attribute(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return as_body(value)
    if isinstance(value, list | tuple) and len({type(inner) for inner in value}) == 1 and isinstance(value[0], _PLAIN):
        fitting = [as_body(inner) for inner in value]
        # Of the numbers some may be too large, and stand as text.
        return fitting if len({type(inner) for inner in fitting}) == 1 else list(map(str, fitting))
    return as_text(as_json(value))


def nanoseconds(text: str | None) -> int | None:
    """Return a time of a record in nanoseconds since 1970; None for one that OTLP cannot tell, and for no time."""
    try:
        since = parse_time(text or "") - parse_time("1970-01-01T00:00:00Z")
    except ValueError:
        return None
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return micros * 1000 if micros * 1000 in NANOSECONDS else None
