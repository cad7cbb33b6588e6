"""Make a plain JSON value of any object whatsoever, and name each place where that changed something."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from .shield import attempt

__all__ = ["LONGEST_TEXT", "Coercion"]

LONGEST_TEXT = 65_536
"""Characters of one text that are kept once a payload is too large; of a longer one, head, length and digest stay."""

_DEEPEST = 100
_MOST_ITEMS = 100_000
_MOST_NOTES = 20
_BIGGEST = 2**64 - 1
_NATURAL_TEXT = (datetime, date, time, UUID, Decimal, PurePath)


class Coercion:
    """
    One conversion: `plain(value)` gives the JSON value, `notes` what had to change and where.

    A note reads `$.path: type -> what it became`. Total: no object makes it raise, hang or recurse without end.

    Args:
        longest_text: characters of a single text that are kept.
    """

    def __init__(self, longest_text: int | None = None) -> None:
        self.notes: list[str] = []
        self._longest = longest_text
        self._open: set[int] = set()
        self._items = 0

    def plain(self, value: Any, path: str = "$", depth: int = 0) -> Any:
        """Return *value* as None, bool, int, float, str, list or dict with text keys."""
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._text(value, path)
        if kind is int or kind is float:
            return self._number(value, path)
        if depth >= _DEEPEST:
            return self._note(path, value, "text", f"<{kind.__name__} nested deeper than {_DEEPEST} levels>")
        return self._compound(value, path, depth)

    def _text(self, value: str, path: str) -> str:
        if not value.isascii():
            safe = value.encode("utf-8", "backslashreplace").decode("utf-8")
            if safe != value:
                self._say(path, "str with lone surrogates", "escaped text")
                value = safe
        if self._longest is not None and len(value) > self._longest:
            return self._cut(value, path)
        return value

    def _cut(self, value: str, path: str) -> str:
        digest = hashlib.sha256(value.encode()).hexdigest()
        self._say(path, f"str of {len(value)} characters", "its head, length and digest")
        head = value[: (self._longest or 0) // 16]
        return f"{head}... [cut: {len(value)} characters, sha256 {digest}]"

    def _number(self, value: Any, path: str) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else self._note(path, value, "text", _name_of_float(value))
        if -_BIGGEST <= value <= _BIGGEST:
            return value
        # str() of a huge int raises above 4300 digits (CPython's limit); hex() has none.
        text, failure = attempt(str, value)
        return self._note(path, value, "text", hex(value) if failure is not None else text)

    def _compound(self, value: Any, path: str, depth: int) -> Any:
        if id(value) in self._open:
            return self._note(path, value, "text", f"<cycle back to {type(value).__name__}>")
        self._open.add(id(value))
        try:
            converted, failure = attempt(self._convert, value, path, depth)
        finally:
            self._open.discard(id(value))
        return self._described(value, path) if failure is not None else converted

    def _convert(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, path, depth)
        if isinstance(value, list | tuple):
            if type(value) is not list:
                self._say(path, type(value).__name__, "list")
            return self._list(value, path, depth)
        return self._other(value, path, depth)

    def _list(self, values: Iterable[Any], path: str, depth: int) -> list[Any]:
        result = []
        for index, item in enumerate(values):
            if self._is_full(path):
                break
            result.append(self.plain(item, f"{path}[{index}]", depth + 1))
        return result

    def _mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        if type(value) is not dict:
            self._say(path, type(value).__name__, "dict")
        result: dict[str, Any] = {}
        for key, item in value.items():
            if self._is_full(path):
                break
            name = self._key(key, result, path)
            result[name] = self.plain(item, f"{path}.{name}", depth + 1)
        return result

    def _key(self, key: Any, taken: Mapping[str, Any], path: str) -> str:
        name = self._text(key, path) if type(key) is str else self._key_text(key, path)
        if name not in taken:
            return name
        number = 2
        while f"{name}#{number}" in taken:
            number += 1
        self._say(f"{path}.{name}", "second key of this name", f"{name}#{number}")
        return f"{name}#{number}"

    def _key_text(self, key: Any, path: str) -> str:
        inner = Coercion(longest_text=1000)
        plain = inner.plain(key)
        name = plain if type(plain) is str else _json_word(plain)
        self._say(path, f"{type(key).__name__} key", f"text key {name[:60]!r}")
        return name

    def _is_full(self, path: str) -> bool:
        self._items += 1
        if self._items == _MOST_ITEMS + 1:
            self._say(path, f"more than {_MOST_ITEMS} items", "the first of them")
        return self._items > _MOST_ITEMS

    def _other(self, value: Any, path: str, depth: int) -> Any:
        for types, convert in _CONVERSIONS:
            if isinstance(value, types):
                self._say(path, type(value).__name__, "plain value")
                return self.plain(convert(value), path, depth + 1)
        for method in ("model_dump", "tolist", "_asdict", "to_dict"):
            if callable(found := getattr(value, method, None)) and not isinstance(value, type):
                self._say(path, type(value).__name__, f"result of {method}()")
                return self.plain(found(), path, depth + 1)
        if (names := _field_names(value)) is not None:
            self._say(path, type(value).__name__, "dict of its fields")
            return self.plain({name: getattr(value, name, None) for name in names}, path, depth + 1)
        return self._described(value, path)

    def _described(self, value: Any, path: str) -> str:
        text, failure = attempt(repr, value)
        if failure is not None or not isinstance(text, str):
            text = f"<{type(value).__name__} whose repr() cannot be read>"
        self._say(path, type(value).__name__, "text")
        return self._text(text[:LONGEST_TEXT], path)

    def _note(self, path: str, value: Any, became: str, result: str) -> str:
        self._say(path, type(value).__name__, became)
        return result

    def _say(self, path: str, was: str, became: str) -> None:
        # A payload may have a million odd places; the line names the first and that there are more.
        if len(self.notes) < _MOST_NOTES:
            place = path.encode("utf-8", "backslashreplace").decode()[:200]
            self.notes.append(f"{place}: {was} -> {became}")
        elif len(self.notes) == _MOST_NOTES:
            self.notes.append("... and more")


def _name_of_float(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


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
    return f"{type(value).__name__}: {value}"


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (Enum, lambda value: value.value),
    (bool, bool),
    (int, int.__int__),
    (float, float.__float__),
    ((bytes, bytearray, memoryview), _bytes),
    ((set, frozenset), lambda value: sorted(value, key=_sort_key)),
    (_NATURAL_TEXT, lambda value: value.isoformat() if hasattr(value, "isoformat") else str(value)),
    (timedelta, lambda value: value.total_seconds()),
    (BaseException, _error),
)


def _sort_key(value: Any) -> str:
    # Sets have no order; sorting by text makes one line for one set. A broken repr must not lose the set.
    text, failure = attempt(repr, value)
    return "" if failure is not None else f"{type(value).__name__}{text}"
