"""Seal what an agent hands over: a plain copy nobody can change, its JSON, and the names of all changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..plugins.codec import encode, encode_exact
from .coerce import LONGEST_TEXT, Coercion

__all__ = ["LARGEST_BYTES", "Snapshot", "snapshot", "snapshot_mapping"]

LARGEST_BYTES = 1_048_576
"""Bytes of JSON that one payload may take; of a larger one the long texts are cut, then the whole."""


class Snapshot(NamedTuple):
    """A value as it will be stored; `text` is its JSON, `coerced` names what is not as it was given."""

    value: Any
    text: bytes
    coerced: tuple[str, ...]


_NOTHING = Snapshot(None, b"null", ())


def snapshot(value: Any) -> Snapshot:
    """Return *value* sealed; whatever it is, this returns one valid JSON value and never raises."""
    if value is None:
        return _NOTHING
    exact = encode_exact(value)
    if exact is not None and len(exact[0]) <= LARGEST_BYTES:
        return Snapshot(exact[1], exact[0], ())
    return _converted(value)


def snapshot_mapping(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return *values* sealed as a dict, and the names of all changes."""
    sealed = snapshot(dict(values))
    return (sealed.value if isinstance(sealed.value, dict) else {"value": sealed.value}), sealed.coerced


def _converted(value: Any) -> Snapshot:
    sealed = _coerced(value, None)
    if len(sealed.text) > LARGEST_BYTES:
        sealed = _coerced(value, LONGEST_TEXT)
    return sealed if len(sealed.text) <= LARGEST_BYTES else _digest_of(sealed)


def _coerced(value: Any, longest_text: int | None) -> Snapshot:
    coercion = Coercion(longest_text)
    plain = coercion.plain(value)
    return Snapshot(plain, encode(plain), tuple(coercion.notes))


def _digest_of(sealed: Snapshot) -> Snapshot:
    head = sealed.text[: LONGEST_TEXT // 16].decode("utf-8", "ignore")
    digest = hashlib.sha256(sealed.text).hexdigest()
    short = {"_cut": {"bytes": len(sealed.text), "sha256": digest, "head": head}}
    note = f"$: {len(sealed.text)} bytes of JSON -> its head, length and digest"
    return Snapshot(short, encode(short), (*sealed.coerced, note))
