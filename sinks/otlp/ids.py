"""Derive trace and span ids from run ids, so that every repetition and replay names the same spans."""

from __future__ import annotations

import hashlib

__all__ = ["span_id_of", "trace_id_of"]

_TRACE_BYTES = 16
_SPAN_BYTES = 8


def trace_id_of(root_run_id: str) -> int:
    """Return the id of the trace whose outermost run is *root_run_id*: 16 bytes, never 0."""
    return _digest(root_run_id, _TRACE_BYTES, b"trace")


def span_id_of(run_id: str) -> int:
    """Return the id of the span of *run_id*: 8 bytes, never 0."""
    return _digest(run_id, _SPAN_BYTES, b"span")


def _digest(run_id: str, size: int, what: bytes) -> int:
    # W3C calls an id of zeros invalid; of 2 ** 64 run ids one has such a digest.
    digest = hashlib.blake2b(run_id.encode("utf-8", "backslashreplace"), digest_size=size, person=what)
    return int.from_bytes(digest.digest(), "big") or 1
