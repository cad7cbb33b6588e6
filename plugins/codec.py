"""Turn plain values into JSON and back, at the speed of the encoder; what is not plain is refused, never guessed."""

from __future__ import annotations

import json
from typing import Any

import msgspec

__all__ = ["RawJSON", "decode", "encode", "encode_exact"]

RawJSON = msgspec.Raw
"""JSON that is encoded already; `encode()` passes it through."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
encode = _encoder.encode
"""Return a plain value (None, bool, int, float, str, list, dict with text keys) as JSON bytes."""


def decode(text: bytes | str) -> Any:
    """
    Return the value that JSON *text* describes; a bare `NaN` or `Infinity` of an earlier writer is understood.

    Raises:
        ValueError: *text* is no JSON.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # msgspec refuses NaN, which earlier writers left behind; the standard library reads it
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply to be read") from error


def encode_exact(value: Any) -> tuple[bytes, Any] | None:
    """
    Return *value* as JSON together with a snapshot of it, or None when JSON would not say the same.

    The encoder takes NaN, enums, dataclasses and bytes without a word, so its output is decoded and compared
    (0.45 us on 130 bytes): only what reads back equal is exact. The snapshot no longer shares anything with
    *value*, which its owner may go on changing.
    """
    try:
        text = encode(value)
        snapshot = _decoder.decode(text)
        return (text, snapshot) if _is_same(snapshot, value) else None
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None


def _is_same(snapshot: Any, value: Any) -> bool:
    # A stranger's __eq__ may return anything (numpy returns an array): only a plain True counts.
    return (snapshot == value) is True
