"""Set up cattrs so that it converts nothing silently; imported only when a file sets options of a sink."""

from __future__ import annotations

import collections.abc
import datetime
import enum
import functools
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_mapping_structure_fn

from .secret import Secret
from .typed import (
    EnvText,
    Unfit,
    nearest,
    plain,
    read_flag,
    read_number,
    read_path,
    read_secret,
    read_text,
    read_whole,
)

__all__ = ["strict_converter"]

Hook = Callable[[Any, Any], Any]

_READERS: Mapping[Any, Callable[[object], Any]] = {
    bool: read_flag,
    int: read_whole,
    float: read_number,
    str: read_text,
    Path: read_path,
    Secret: read_secret,
}
_TIMES = (datetime.datetime, datetime.date, datetime.time)  # TOML has them as types of its own
_TABLES = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_LISTS: Mapping[Any, Callable[[list[Any]], Any]] = {
    list: list,
    collections.abc.Sequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Set: frozenset,
}


@functools.cache
def strict_converter() -> cattrs.Converter:
    """Return the converter; made once a process."""
    converter = cattrs.Converter(detailed_validation=True, structure_fallback_factory=_instance_hook)
    for kind, read in _READERS.items():
        converter.register_structure_hook(kind, _ignoring_type(read))
    for kind in _TIMES:
        converter.register_structure_hook(kind, _same)
    converter.register_structure_hook_func(_is_any, _ignoring_type(plain))
    converter.register_structure_hook_factory(attrs.has, functools.partial(_record_hook, converter))
    converter.register_structure_hook_factory(_is_table, functools.partial(_table_hook, converter))
    converter.register_structure_hook_factory(_is_list, functools.partial(_list_hook, converter))
    converter.register_structure_hook_factory(_is_choice_of_types, functools.partial(_union_hook, converter))
    converter.register_structure_hook(enum.Enum, _structure_enum)
    converter.register_structure_hook_func(_is_literal, _structure_literal)
    return converter


def _is_any(kind: Any) -> bool:
    return kind is Any or kind is object


def _ignoring_type(read: Callable[[object], Any]) -> Hook:
    return lambda value, _kind: read(value)


def _same(value: Any, kind: Any) -> Any:
    # A datetime is a date too, and here it would be one by mistake.
    if type(value) is kind:
        return value
    raise Unfit(f"wanted a {kind.__name__}")


def _structure_enum(value: Any, kind: Any) -> Any:
    if isinstance(value, kind):
        return value
    return kind(_chosen(value, [member.value for member in kind]))


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _structure_literal(value: Any, kind: Any) -> Any:
    return _chosen(value, list(get_args(kind)))


def _chosen(value: Any, choices: list[Any]) -> Any:
    for choice in choices:
        # Without the types True would be chosen by 1.
        if choice == value and (type(choice) is type(value) or isinstance(value, EnvText)):
            return choice
    words = [choice for choice in choices if isinstance(choice, str)]
    hint = nearest(value, words) if type(value) is str else ""
    raise Unfit(f"wanted one of {', '.join(map(repr, choices))}{hint}")


def _instance_hook(kind: Any) -> Hook:
    """Return the hook for a type that no file can hold: a program may pass an object of it all the same."""
    if not isinstance(kind, type):
        raise cattrs.StructureHandlerNotFoundError(f"{kind!r} is unknown", type_=kind)

    def structure(value: Any, _kind: Any) -> Any:
        if isinstance(value, kind):
            return value
        raise Unfit(f"wanted an object of type {kind.__name__}, which only a program can pass")

    return structure


def _record_hook(converter: cattrs.Converter, kind: Any) -> Hook:
    built = make_dict_structure_fn(
        kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, _cattrs_use_alias=True
    )

    def structure(value: Any, _kind: Any) -> Any:
        if isinstance(value, kind):
            return value
        return built(_table(value), kind)

    return structure


def _is_table(kind: Any) -> bool:
    return (get_origin(kind) or kind) in _TABLES


def _table_hook(converter: cattrs.Converter, kind: Any) -> Hook:
    key, item = get_args(kind) or (Any, Any)
    built: Hook = make_mapping_structure_fn(
        dict[key, item],  # type: ignore[valid-type]  # the types are known at run time only
        converter,
        detailed_validation=True,
    )
    return lambda value, _kind: built(_table(value), dict)


def _table(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise Unfit("wanted a table")


def _is_list(kind: Any) -> bool:
    return (get_origin(kind) or kind) in _LISTS


def _list_hook(converter: cattrs.Converter, kind: Any) -> Hook:
    make = _LISTS[get_origin(kind) or kind]
    kinds = get_args(kind) or (Any,)
    fixed = None if make is not tuple or kinds[-1] is ... or not get_args(kind) else len(kinds)

    def structure(value: Any, _kind: Any) -> Any:
        # A text is a sequence of letters, and nobody means that.
        if not isinstance(value, list | tuple | set | frozenset):
            raise Unfit("wanted a list")
        if fixed is not None and len(value) != fixed:
            raise Unfit(f"wanted a list of {fixed}")
        return make(_items(converter, list(value), kinds if fixed else kinds[:1] * len(value)))

    return structure


def _items(converter: cattrs.Converter, values: list[Any], kinds: tuple[Any, ...]) -> list[Any]:
    items, errors = [], []
    for index, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        try:
            items.append(converter.structure(value, kind))
        except (ValueError, TypeError, cattrs.BaseValidationError) as error:
            error.__notes__ = [IterableValidationNote(f"item {index}", index, kind)]
            errors.append(error)
    if errors:
        raise cattrs.IterableValidationError("faulty items", errors, list)
    return items


def _is_choice_of_types(kind: Any) -> bool:
    is_union = get_origin(kind) in (Union, types.UnionType)
    # `X | None` is cattrs' own: it passes the faults inside X on, with their places.
    return is_union and sum(member is not type(None) for member in get_args(kind)) > 1


def _union_hook(converter: cattrs.Converter, kind: Any) -> Hook:
    members = get_args(kind)

    def structure(value: Any, _kind: Any) -> Any:
        # Exact types first, or `float | int` would make 1.0 of 1.
        if type(value) in members:
            return value
        wants = []
        for member in members:
            if member is type(None):
                continue
            try:
                return converter.structure(value, member)
            except (ValueError, TypeError, cattrs.BaseValidationError) as error:
                wants.append(str(error).removeprefix("wanted ") if isinstance(error, Unfit) else str(member))
        raise Unfit(f"wanted {' or '.join(wants)}")

    return structure
