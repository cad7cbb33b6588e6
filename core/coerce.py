"""Make a plain JSON value of any object whatsoever, and name each place where that changed something."""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from ..plugins.codec import DEEPEST, encode_exact, name_of_float, safe_text
from .keys import free_key
from .shield import attempt

__all__ = ["LONGEST_TEXT", "MOST_CHARACTERS", "Coercion"]

LONGEST_TEXT = 65_536
"""Characters of one text that are kept once a payload is too large; of a longer one, head, length and digest stay."""

MOST_CHARACTERS = 4 * 1024 * 1024
"""Characters of all texts together; what comes behind them is left out, as it would be cut in any case."""

_CHARACTERS_READ_FOR_ONE = 64  # a text that is cut is read whole, at the speed of C
_MOST_ITEMS = 100_000
_LONGEST_PATH = 200
_LONGEST_KEY = 1_000
_MOST_NOTES = 20
_BIGGEST = 2**64 - 1
_NATURAL_TEXT = (datetime, date, time, UUID, Decimal, PurePath)


class Coercion:
    """
    One conversion: `plain(value)` gives the JSON value, `notes` what had to change and where.

    A note reads `$.path: type -> what it became`. Total: no object makes it raise, hang or recurse without end; what
    is referred to a thousand times counts a thousand times. `is_full` tells that something was left out.

    Args:
        longest_text: characters of a single text that are kept.
    """

    def __init__(self, longest_text: int | None = None) -> None:
        self.notes: list[str] = []
        self._longest = longest_text
        self._open: set[int] = set()
        self._items = 0
        self._characters = 0
        self._is_told = False
        # The same 50 MB text may stand in a list a thousand times, and its digest takes 30 ms.
        self._known_cuts: dict[str, str] = {}

    @property
    def has_long_texts(self) -> bool:
        """Whether the texts are longer, all together, than are converted."""
        return self._characters > MOST_CHARACTERS

    @property
    def is_full(self) -> bool:
        """Whether the value has more parts, or longer texts, than are converted."""
        return self._items > _MOST_ITEMS or self._characters > MOST_CHARACTERS

    def plain(self, value: Any, path: str = "$", depth: int = 0) -> Any:
        """Return *value* as None, bool, int, float, str, list or dict with text keys."""
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._text(value, path)
        if kind is int or kind is float:
            return self._number(value, path)
        if depth >= DEEPEST:
            return self._note(path, value, "text", f"<{_name_of(kind)} nested deeper than {DEEPEST} levels>")
        return self._compound(value, path, depth)

    def _text(self, value: str, path: str) -> str:
        if self._longest is not None and len(value) > self._longest:
            return self._cut(value, path, self._longest // 16)
        safe = safe_text(value)
        if safe != value:
            self._say(path, "str with lone surrogates", "escaped text")
        self._characters += len(safe)
        return safe

    def _cut(self, value: str, path: str, head: int) -> str:
        self._say(path, f"str of {len(value)} characters", "its head, length and digest")
        self._characters += len(value) // _CHARACTERS_READ_FOR_ONE
        if value not in self._known_cuts:
            import hashlib  # 3 ms, which few agents ever need

            digest = hashlib.sha256(value.encode("utf-8", "backslashreplace")).hexdigest()
            self._known_cuts[value] = f"{safe_text(value[:head])}... [cut: {len(value)} characters, sha256 {digest}]"
        cut = self._known_cuts[value]
        self._characters += len(cut)
        return cut

    def _number(self, value: Any, path: str) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else self._note(path, value, "text", name_of_float(value))
        if -_BIGGEST <= value <= _BIGGEST:
            return value
        # str() of a huge int raises above 4300 digits (CPython's limit); hex() has none.
        text, failure = attempt(str, value)
        return self._note(path, value, "text", hex(value) if failure is not None else text)

    def _compound(self, value: Any, path: str, depth: int) -> Any:
        if id(value) in self._open:
            return self._note(path, value, "text", f"<cycle back to {_name_of(type(value))}>")
        self._open.add(id(value))
        try:
            converted, failure = attempt(self._convert, value, path, depth)
        finally:
            self._open.discard(id(value))
        return self._described(value, path) if failure is not None else converted

    def _convert(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, path, depth)
        if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
            if type(value) is not list:
                self._say(path, _name_of(type(value)), "list")
            return self._list(value, path, depth)
        return self._other(value, path, depth)

    def _list(self, values: Iterable[Any], path: str, depth: int) -> list[Any]:
        result = []
        for index, item in enumerate(values):
            if self._has_no_room(path):
                break
            result.append(self.plain(item, _below(path, f"[{index}]"), depth + 1))
        return result

    def _mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        if type(value) is not dict:
            self._say(path, _name_of(type(value)), "dict")
        result: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        for key, item in value.items():
            if self._has_no_room(path):
                break
            name = self._key(key, path, depth)
            free = free_key(name, result, numbers)
            below = _below(path, f".{free[:_LONGEST_PATH]}")
            if free is not name:
                self._say(below, "second key of this name", "numbered key")
            result[free] = self.plain(item, below, depth + 1)
        return result

    def _key(self, key: Any, path: str, depth: int) -> str:
        if type(key) is str:
            return self._text(key, path)
        # In the same state: a key may hold the very table that it is a key of, and its parts count as parts.
        notes, self.notes = self.notes, []
        plain = self.plain(key, path, depth + 1)
        self.notes = notes
        name = (plain if type(plain) is str else _json_word(plain))[:_LONGEST_KEY]
        self._say(path, f"{_name_of(type(key))} key", f"text key {name[:60]!r}")
        return name

    def _has_no_room(self, path: str) -> bool:
        self._items += 1
        if self.is_full and not self._is_told:
            self._is_told = True
            self._say(path, f"more than {_MOST_ITEMS} items, or {MOST_CHARACTERS} characters", "the first of them")
        return self.is_full

    def _other(self, value: Any, path: str, depth: int) -> Any:
        for types, convert in _CONVERSIONS:
            if isinstance(value, types):
                self._say(path, _name_of(type(value)), "plain value")
                return self.plain(convert(value), path, depth + 1)
        for method in _DUMPING:
            if (dumped := _dumped(value, method)) is not value:
                self._say(path, _name_of(type(value)), f"result of {method}()")
                # An array of 50,000 numbers takes 75 ms number by number, and 4 ms at once.
                exact, _ = attempt(encode_exact, dumped)
                return self.plain(dumped, path, depth + 1) if exact is None else exact[1]
        if (names := _field_names(value)) is not None:
            self._say(path, _name_of(type(value)), "dict of its fields")
            return self.plain({name: getattr(value, name, None) for name in names}, path, depth + 1)
        return self._described(value, path)

    def _described(self, value: Any, path: str) -> str:
        text, failure = attempt(_repr_of, value)
        if failure is not None:
            text = f"<{_name_of(type(value))} whose repr() cannot be read>"
        self._say(path, _name_of(type(value)), "text")
        return self._text(text[:LONGEST_TEXT], path)

    def _note(self, path: str, value: Any, became: str, result: str) -> str:
        self._say(path, _name_of(type(value)), became)
        self._characters += len(result)
        return result

    def _say(self, path: str, was: str, became: str) -> None:
        # A payload may have a million odd places; the line names the first and that there are more.
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(f"{safe_text(path)[:_LONGEST_PATH]}: {was} -> {became}")
        elif len(self.notes) == _MOST_NOTES:
            self.notes.append("... and more")


# Not `kind.__name__`: a metaclass may have made a property of it that raises.
_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__


def _below(path: str, step: str) -> str:
    # Notes show the beginning only; with a key of a megabyte, a path for each item under it would take gigabytes.
    return path if len(path) > _LONGEST_PATH else path + step


def _repr_of(value: Any) -> str:
    return str.__str__(repr(value))  # repr() may return a text of a stranger's type


def _dumped(value: Any, method: str) -> Any:
    """Return what *method* of *value* makes of it, *value* itself where it has none, or none that is of use."""
    found = getattr(value, method, None)
    if isinstance(value, type) or not callable(found):
        return value
    size = getattr(value, "size", 0)
    if isinstance(size, int) and size > _MOST_ITEMS:
        return value  # ten million numbers of an array would be made into objects, to be cut then
    dumped = found()
    # A mock answers everything with a mock, without end.
    return value if callable(getattr(dumped, method, None)) else dumped


def _json_word(value: Any) -> str:
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _field_names(value: Any) -> list[str] | None:
    for attribute in ("__dataclass_fields__", "__attrs_attrs__", "__struct_fields__"):
        fields = getattr(type(value), attribute, None)
        if fields is not None:
            return [field if isinstance(field, str) else field.name for field in fields]
    return None


def _bytes(value: bytes | bytearray | memoryview) -> str:
    raw = bytes(value)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(raw).decode()}"


def _error(value: BaseException) -> str:
    return f"{_name_of(type(value))}: {value}"


_DUMPING = ("model_dump", "tolist", "_asdict", "to_dict")
_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (Enum, lambda value: value.value),
    (bool, bool),
    (int, int.__int__),
    (float, float.__float__),
    ((bytes, bytearray, memoryview), _bytes),
    ((set, frozenset), lambda value: sorted(itertools.islice(value, _MOST_ITEMS + 1), key=_sort_key)),
    (_NATURAL_TEXT, lambda value: value.isoformat() if hasattr(value, "isoformat") else str(value)),
    (timedelta, lambda value: value.total_seconds()),
    (BaseException, _error),
)


def _sort_key(value: Any) -> str:
    # Sets have no order; sorting by text makes one line for one set. A broken repr must not lose the set.
    text, failure = attempt(repr, value)
    return "" if failure is not None else f"{_name_of(type(value))}{text}"
