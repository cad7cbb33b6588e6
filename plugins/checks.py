"""Check the fields of records: exact types, and errors that name field, value and cure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import Attribute, field

from .codec import decode, encode, without_surrogates
from .errors import InvalidRecord

__all__ = [
    "EMPTY",
    "as_json",
    "as_mapping",
    "as_texts",
    "count",
    "is_flag",
    "is_mapping",
    "is_name",
    "is_texts",
    "is_whole",
    "is_whole_or_none",
    "one_of",
    "parsed",
    "text",
]

EMPTY: Mapping[str, Any] = MappingProxyType({})
Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _is(*types: type, wanted: str) -> Validator:
    # bool is an int to isinstance(), and True items would be nonsense, so types are compared exactly first.
    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if type(value) in types or (isinstance(value, types) and not isinstance(value, bool)):
            return
        raise InvalidRecord(f"{type(instance).__name__}.{attribute.name}", value, wanted)

    return check


def one_of(*words: str) -> Validator:
    """Return a validator that takes one of *words*."""

    def check(instance: Any, attribute: Attribute[Any], value: Any) -> None:
        if value not in words:
            place = f"{type(instance).__name__}.{attribute.name}"
            raise InvalidRecord(place, value, f"it must be one of {', '.join(words)}")

    return check


def is_name(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Take text that is not empty."""
    if not isinstance(value, str) or not value:
        raise InvalidRecord(f"{type(instance).__name__}.{attribute.name}", value, "it must be text, not empty")


is_whole = _is(int, wanted="it must be a whole number")
is_whole_or_none = _is(int, type(None), wanted="it must be a whole number or None")
is_flag = _is(bool, wanted="it must be True or False")
is_mapping = _is(dict, MappingProxyType, wanted="it must be a mapping with text keys")
_is_text = _is(str, type(None), wanted="it must be text or None")


def text() -> Any:
    """Return an attrs field for text or None."""
    return field(default=None, validator=_is_text)


def count() -> Any:
    """Return an attrs field for a whole number, 0 by default."""
    return field(default=0, validator=is_whole)


def is_texts(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Take a tuple of text."""
    if type(value) is not tuple or not all(isinstance(item, str) for item in value):
        raise InvalidRecord(f"{type(instance).__name__}.{attribute.name}", value, "it must be a tuple of text")


def as_json(value: Any) -> str:
    """
    Return a plain value as JSON text, non-ASCII kept; NaN and infinity, which JSON cannot say, become null.

    A lone surrogate, which UTF-8 cannot say, becomes its escape.

    Raises:
        TypeError: *value* is not plain.
    """
    try:
        return encode(value).decode()
    except UnicodeEncodeError:
        return encode(without_surrogates(value)).decode()


def as_mapping(value: Any) -> dict[str, Any]:
    """Return *value*, a mapping or its JSON text, as a dict; anything else stands under the key `value`."""
    if isinstance(value, str):
        value = parsed(value)
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else {"value": value}


def as_texts(value: Any) -> tuple[str, ...]:
    """Return *value*, a list or one item, as a tuple of text; empty for None."""
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def parsed(value: Any) -> Any:
    """Return what JSON text says; anything else, and text that is no JSON, comes back as it is."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return decode(value)
    except ValueError:
        return value  # an earlier writer's broken text is still evidence
