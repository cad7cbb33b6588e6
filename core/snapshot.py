"""Seal what an agent hands over: a plain copy nobody can change, its JSON, and the names of all changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..plugins.codec import encode, encode_exact, safe_text
from .coerce import LONGEST_TEXT, Coercion
from .shield import attempt

__all__ = ["LARGEST_BYTES", "Snapshot", "snapshot", "snapshot_mapping"]

LARGEST_BYTES = 1_048_576
"""Bytes of JSON that one payload may take; of a larger one the long texts are cut, then the whole."""

_SMALL_BYTES = 4_096
_MOST_WORK_BYTES = 16 * LARGEST_BYTES


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
        return Snapshot(exact[1], exact[0], ())
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
    if exact is None:
        return _coerced_mapping(plain)
    return (exact[1], ()) if len(exact[0]) <= LARGEST_BYTES else _cut_one_by_one(exact[1], ())


def _coerced_mapping(values: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    coercion = Coercion()
    plain: dict[str, Any] = coercion.plain(values)
    if coercion.is_full and all(type(name) is str for name in values):
        # One that is too large must not cost the names behind it.
        return _cut_one_by_one({safe_text(name): value for name, value in values.items()}, ())
    if len(encode(plain)) <= LARGEST_BYTES:
        return plain, tuple(coercion.notes)
    return _cut_one_by_one(plain, tuple(coercion.notes))


def _coerced(value: Any, longest_text: int | None = None, notes: tuple[str, ...] = ()) -> Snapshot:
    coercion = Coercion(longest_text)
    plain = coercion.plain(value)
    if longest_text is None and coercion.has_long_texts:
        return _coerced(value, LONGEST_TEXT, notes)  # before it is encoded: these may be gigabytes
    return Snapshot(plain, encode(plain), (*notes, *coercion.notes))


def _cut_one_by_one(values: Mapping[str, Any], notes: tuple[str, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    kept: dict[str, Any] = {}
    used_bytes = worked_bytes = 0
    for name, value in values.items():
        # One large list may stand there under a thousand names.
        is_too_much = worked_bytes > _MOST_WORK_BYTES and isinstance(value, dict | list | tuple | set)
        sealed = snapshot(f"<{type(value).__name__} left out: the record is too large>" if is_too_much else value)
        worked_bytes += len(sealed.text)
        if len(sealed.text) > _SMALL_BYTES and used_bytes + len(sealed.text) > LARGEST_BYTES:
            sealed = _digest_of(sealed)
        kept[name] = sealed.value
        used_bytes += len(sealed.text)
        notes = (*notes, *(note.replace("$", f"$.{name[:100]}", 1) for note in sealed.coerced))
    return kept, notes


def _digest_of(sealed: Snapshot) -> Snapshot:
    import hashlib  # 3 ms, which few agents ever need

    head = sealed.text[: LONGEST_TEXT // 16].decode("utf-8", "ignore")
    digest = hashlib.sha256(sealed.text).hexdigest()
    short = {"_cut": {"bytes": len(sealed.text), "sha256": digest, "head": head}}
    note = f"$: {len(sealed.text)} bytes of JSON -> its head, length and digest"
    return Snapshot(short, encode(short), (*sealed.coerced, note))
