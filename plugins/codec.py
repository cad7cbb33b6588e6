"""Turn plain values into JSON and back, at the speed of the encoder; what is not plain is refused, never guessed."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

__all__ = [
    "DEEPEST",
    "RawJSON",
    "decode",
    "encode",
    "encode_exact",
    "is_within_bounds",
    "name_of_float",
    "safe_text",
    "without_surrogates",
]

DEEPEST = 100
"""Levels of nesting that a payload may have; a reader deep in its own stack must still be able to read the line."""

RawJSON = msgspec.Raw
"""JSON that is encoded already; `encode()` passes it through."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
encode = _encoder.encode
"""Return a plain value (None, bool, int, float, str, list, dict with text keys) as JSON bytes."""

MOST_ITEMS = 600_000
"""Parts of a value that is encoded as it is; more of them take over a megabyte, and are cut in any case."""

MOST_CHARACTERS = 16 * 1024 * 1024
"""Characters in all its texts together."""

_FLOATS = frozenset((float, bool, type(None)))
_SCALARS = _FLOATS | {int, str}
_CONTAINERS = (dict, list)
_PLAIN = _SCALARS | {dict, list}
# What may read back equal: a subclass of theirs, such as an OrderedDict. All else is never exact.
_ALIKE = (str, int, float, dict, list, type(None))
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


def decode(text: bytes | str) -> Any:
    """
    Return the value that JSON *text* describes, as a plain value.

    What only other writers leave behind is understood and becomes text: a bare `NaN` or `Infinity`, a number too
    large for a float, a lone surrogate (as its escape).

    Raises:
        ValueError: *text* is no JSON, or is nested too deeply to be read.
    """
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # msgspec refuses NaN and lone surrogates, which the standard library reads
    try:
        return without_surrogates(json.loads(text, parse_constant=str, parse_float=_number))
    except RecursionError as error:
        raise ValueError("JSON nested too deeply to be read") from error


def _number(digits: str) -> Any:
    number = float(digits)
    return number if math.isfinite(number) else name_of_float(number)


def without_surrogates(value: Any) -> Any:
    """Return a plain value with each lone surrogate in its texts as its escape."""
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {safe_text(key): without_surrogates(item) for key, item in value.items()}
    return value


def name_of_float(value: float) -> str:
    """Return the word for a float that JSON cannot say: NaN, Infinity or -Infinity."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def safe_text(text: str) -> str:
    """Return *text* with each lone surrogate as its escape, since UTF-8 cannot say it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def encode_exact(value: Any) -> tuple[bytes, Any] | None:
    """
    Return *value* as JSON together with a snapshot of it, or None when JSON would not say the same, or at length.

    The encoder takes NaN, enums, dataclasses and bytes without a word, so its output is decoded and compared
    (0.45 us on 130 bytes): only what reads back equal is exact. The snapshot no longer shares anything with
    *value*, which its owner may go on changing. What the `__eq__` of a stranger's object raises passes.
    """
    if not is_within_bounds(value):
        return None
    try:
        text = encode(value)
        snapshot = _decoder.decode(text)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None
    return (text, snapshot) if _is_same(snapshot, value) and not _is_too_deep(text) else None


def is_within_bounds(value: Any) -> bool:
    """
    Tell whether *value* is plain, and of so few parts that it can be encoded: none of a sequence of itself.

    A list of two references to a list of two references, 40 levels deep, takes 3 kB and a million years to encode. So
    what is counted is the work: each part as often as it is referred to, and the characters of all texts.
    """
    if not isinstance(value, _CONTAINERS):
        return isinstance(value, _ALIKE) and not (isinstance(value, str) and str.__len__(value) > MOST_CHARACTERS)
    items_left, characters_left = MOST_ITEMS, MOST_CHARACTERS
    parts = [value]
    while parts and items_left >= 0 and characters_left >= 0:
        items, names = _items_of(parts.pop())
        items_left -= len(items)
        kinds = {*map(type, items)}  # at the speed of C: most lists hold numbers, and nothing to look at one by one
        if not (kinds <= _PLAIN or all(issubclass(kind, _ALIKE) for kind in kinds)):
            return False
        if kinds == {int}:
            characters_left -= sum(map(int.bit_length, items)) // 3
        elif not kinds <= _FLOATS:
            characters_left -= sum(map(_length_of, items))
        characters_left -= sum(map(_length_of, names))
        if not kinds <= _SCALARS:
            parts.extend(item for item in items if isinstance(item, _CONTAINERS))
    return items_left >= 0 and characters_left >= 0


def _length_of(item: Any) -> int:
    if isinstance(item, str):
        return str.__len__(item)
    return int.bit_length(item) // 3 if isinstance(item, int) else 0


def _items_of(part: Any) -> tuple[list[Any], list[Any]]:
    """Return what *part* holds, and its keys; not by methods that a subclass may have of its own."""
    if isinstance(part, dict):
        return [*dict.values(part)], [*dict.keys(part)]
    return [*list.__iter__(part)], []


def _is_same(snapshot: Any, value: Any) -> bool:
    # A stranger's __eq__ may return anything (numpy returns an array): only a plain True counts.
    return (snapshot == value) is True


def _is_too_deep(text: bytes) -> bool:
    # Nearly every text is too short, or has too few brackets, to be deep; only the rest is looked at.
    if len(text) <= 2 * DEEPEST or text.count(b"{") + text.count(b"[") <= DEEPEST:
        return False
    # Brackets inside texts seldom come in pairs; where they spoil the quick count (0.7 ms a MB) texts are left out.
    return not _closes_within(DEEPEST, text) and not _closes_within(DEEPEST, _STRINGS.sub(b"", text))


def _closes_within(levels: int, text: bytes) -> bool:
    """Tell whether all brackets in *text* are gone after as many rounds of taking out the innermost pairs."""
    brackets = text.translate(None, _NO_BRACKET)
    for _ in range(levels):
        left = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(left) == len(brackets):
            break
        brackets = left
    return not brackets
