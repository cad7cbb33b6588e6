"""Seal what an agent hands over: a plain copy nobody can change, its JSON, and the names of all changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..plugins.codec import encode, encode_exact
from .coerce import LONGEST_TEXT, Coercion
from .shield import attempt

__all__ = ["LARGEST_BYTES", "Snapshot", "snapshot", "snapshot_mapping"]

LARGEST_BYTES = 1_048_576
"""Bytes of JSON that one payload may take; of a larger one the long texts are cut, then the whole."""

_SMALL_BYTES = 4_096


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
    # Guarded: to compare means to call the `__eq__` of whatever is inside, which may raise anything.
    exact, _ = attempt(encode_exact, value)
    if exact is not None and len(exact[0]) <= LARGEST_BYTES:
        # tuple.__new__ spares the 0.2 us that the constructor of a NamedTuple takes, of 6 us for a log_event().
        return tuple.__new__(Snapshot, (exact[1], exact[0], ()))
    sealed = _coerced(value) if exact is None else Snapshot(exact[1], exact[0], ())
    if len(sealed.text) <= LARGEST_BYTES:
        return sealed
    shorter = _coerced(sealed.value, LONGEST_TEXT, sealed.coerced)
    return shorter if len(shorter.text) <= LARGEST_BYTES else _digest_of(shorter)


def snapshot_mapping(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    Return *values* sealed as a dict, and the names of all changes.

    Where they are too large together, small values stay as they are and only large ones are cut.
    """
    plain = dict(values)
    exact, _ = attempt(encode_exact, plain)
    sealed = _coerced(plain) if exact is None else Snapshot(exact[1], exact[0], ())
    if len(sealed.text) <= LARGEST_BYTES:
        return sealed.value, sealed.coerced
    return _cut_one_by_one(sealed.value, sealed.coerced)


def _coerced(value: Any, longest_text: int | None = None, notes: tuple[str, ...] = ()) -> Snapshot:
    coercion = Coercion(longest_text)
    plain = coercion.plain(value)
    return Snapshot(plain, encode(plain), (*notes, *coercion.notes))


def _cut_one_by_one(values: Mapping[str, Any], notes: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    kept: dict[str, Any] = {}
    used_bytes = 0
    for name, value in values.items():
        sealed = snapshot(value)
        if len(sealed.text) > _SMALL_BYTES and used_bytes + len(sealed.text) > LARGEST_BYTES:
            sealed = _digest_of(sealed)
        kept[name] = sealed.value
        used_bytes += len(sealed.text)
        notes = (*notes, *(note.replace("$", f"$.{name[:100]}", 1) for note in sealed.coerced))
    return kept, notes


def _digest_of(sealed: Snapshot) -> Snapshot:
    head = sealed.text[: LONGEST_TEXT // 16].decode("utf-8", "ignore")
    digest = hashlib.sha256(sealed.text).hexdigest()
    short = {"_cut": {"bytes": len(sealed.text), "sha256": digest, "head": head}}
    note = f"$: {len(sealed.text)} bytes of JSON -> its head, length and digest"
    return Snapshot(short, encode(short), (*sealed.coerced, note))
