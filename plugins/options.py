"""Make a sink's options of the plain values in a file, and tell every fault at once with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from .errors import ConfigError, PluginError
from .secret import MASK, looks_secret, masked
from .typed import EnvText, nearest, read_flag, read_number, read_text, read_whole, shown

__all__ = ["Place", "origin_at", "read_options", "structure", "told"]

T = TypeVar("T")
Place = tuple[str | int, ...]
"""Keys, and numbers in a list, from a table on down to a value."""
_ABSENT = object()
_NO_ORIGINS: Mapping[Place, str] = MappingProxyType({})
_TYPED: Mapping[type, Callable[[object], Any]] = {bool: read_flag, int: read_whole, float: read_number, str: read_text}
_READERS: Mapping[Any, Callable[[object], Any]] = {**_TYPED, **{kind.__name__: read for kind, read in _TYPED.items()}}


def structure(
    cls: type[T], values: Mapping[str, Any], *, path: str, origin: str, origins: Mapping[Place, str] = _NO_ORIGINS
) -> T:
    """
    Return *cls*, an attrs class, built from plain *values*.

    Nothing is converted silently: "no" is not true, 1 is not a text; only an int may stand for a float, and text
    that came from the environment for a number or a flag. Tables become attrs classes, unknown keys are refused.

    Args:
        path: where the values stand, as `sinks.hq`.
        origin: what they come from, as `/etc/telemetry.toml:12`.
        origins: the same of single values by their keys, where it can be said more closely.

    Raises:
        ConfigError: something does not fit; `faults` has one sentence for each.
        PluginError: *cls* itself is at fault: a field has a type that no file can hold.
    """
    made, faults = read_options(cls, values, path=path, origin=origin, origins=origins)
    if faults:
        raise ConfigError(told(faults), faults)
    return made


def read_options(
    cls: type[T], values: Mapping[str, Any], *, path: str, origin: str, origins: Mapping[Place, str] = _NO_ORIGINS
) -> tuple[T, tuple[str, ...]]:
    """
    Return *cls* built from what fits in *values*, and a sentence for each fault; an option at fault has its default.

    Raises:
        ConfigError: there is no *cls* without an option that is missing or at fault.
        PluginError: as `structure()`.
    """
    if (simple := _simply(cls, values)) is not None:
        return simple, ()
    faults: list[str] = []
    fitting: dict[str, Any] = {}
    tell = partial(_sentence, cls, path=path, origin_of=partial(origin_at, origin, origins))
    # One by one: so each validator speaks, and a fault does not take along what is right.
    for key, value in values.items():
        found = [tell(values, at, error) for at, error in _faults_of_one(cls, key, value)]
        faults += found
        if not found:
            fitting[key] = value
    made, errors = _structured(cls, fitting)
    faults += [tell(fitting, at, error) for at, error in errors if not (at and at[0] in values)]
    if made is None and _has_required(cls):
        raise ConfigError(told(faults), tuple(faults))
    return cls() if made is None else made, tuple(faults)


def origin_at(origin: str, origins: Mapping[Place, str], at: Place) -> str:
    """Return the origin of what stands *at* this place, else of the nearest that it stands in, else *origin*."""
    return next((origins[at[:length]] for length in range(len(at), 0, -1) if at[:length] in origins), origin)


def _simply(cls: type[T], values: Mapping[str, Any]) -> T | None:
    """
    Return *cls* where every value is a right one of a simple type, None where it needs a longer look.

    Read by the functions that cattrs would call too, without its import: 10 to 30 ms and 0.9 MB, for which a file
    that says `fsync = "interval"` should not pay.
    """
    if not (values or _has_required(cls)):
        return cls()
    fields = _settable(cls)
    if hasattr(cls, "__attrs_post_init__") or not all(map(_is_plain, fields.values())):
        return None
    try:
        return cls(**{key: _READERS[fields[key].type](value) for key, value in values.items()})
    except (LookupError, ValueError, TypeError):
        return None  # whose fault it is, and in which words to say so, is found out below


def _settable(cls: type[Any]) -> dict[str, Any]:
    return {field.alias: field for field in attrs.fields(cls) if field.init}


def _is_plain(field: Any) -> bool:
    """Whether nobody else's code runs when *field* is set, which might raise anything."""
    is_checked_by_attrs = type(field.validator).__module__ == "attr.validators"
    return field.converter is None and (field.validator is None or is_checked_by_attrs)


def told(faults: Iterable[str]) -> str:
    """Return *faults* as one text: the only sentence, or a list of them."""
    sentences = list(faults)
    if len(sentences) == 1:
        return sentences[0]
    return "\n- ".join((f"{len(sentences)} settings are wrong:", *sentences))


def _has_required(cls: type[Any]) -> bool:
    return any(field.init and field.default is attrs.NOTHING for field in attrs.fields(cls))


def _faults_of_one(cls: type[Any], key: str, value: Any) -> Iterator[tuple[Place, BaseException]]:
    _, errors = _structured(cls, {key: value})
    for at, error in errors:
        # No place: the class refused the value while it was built. Another's place: that one is missing here.
        if not at or at[0] == key:
            yield at or (key,), error


def _structured(cls: type[T], values: Mapping[str, Any]) -> tuple[T | None, list[tuple[Place, BaseException]]]:
    import cattrs

    from .strict import strict_converter

    try:
        return strict_converter().structure(values, cls), []
    except NameError as error:
        raise PluginError(f"The types of {cls.__qualname__} in {cls.__module__} cannot be read: {error}") from error
    except cattrs.BaseValidationError as error:
        leaves = list(_leaves(error, ()))
    for at, leaf in leaves:
        if isinstance(leaf, cattrs.StructureHandlerNotFoundError):
            place = f"{cls.__qualname__}.{'.'.join(map(str, at))} of {cls.__module__}"
            raise PluginError(f"{place} has a type that no file can hold: {leaf}")
    return None, leaves


def _leaves(error: BaseException, at: Place) -> Iterator[tuple[Place, BaseException]]:
    """Yield each single error inside *error* with its place."""
    extra = getattr(error, "extra_fields", None)
    if extra is not None:
        yield from (((*at, key), error) for key in sorted(extra))
    elif isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner, (*at, *_step(error, inner)))
    else:
        yield at, error


def _step(group: BaseException, inner: BaseException) -> Place:
    """Return the step down from *group* to *inner*, which cattrs writes into a note."""
    from cattrs.errors import AttributeValidationNote, IterableValidationNote

    for note in getattr(inner, "__notes__", ()):
        if isinstance(note, IterableValidationNote):
            return (note.index,)
        if isinstance(note, AttributeValidationNote):
            return (_key_of(getattr(group, "cl", None), note.name),)
    return ()


def _key_of(cls: Any, name: str) -> str:
    alias = attrs.fields_dict(cls)[name].alias if attrs.has(cls) and name in attrs.fields_dict(cls) else None
    return alias or name


def _sentence(
    cls: type[Any],
    values: Mapping[str, Any],
    at: Place,
    error: BaseException,
    *,
    path: str,
    origin_of: Callable[[Place], str],
) -> str:
    origin = origin_of(at)
    where = path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
    if hasattr(error, "extra_fields"):
        known = [field.alias or field.name for field in attrs.fields(error.cl) if field.init]  # type: ignore[attr-defined]
        hint = nearest(str(at[-1]), known)
        told = f"{where} is no known option (in {origin}){hint}{' Known' if hint else '; known'}"
        return f"{told} are {', '.join(known) or 'none'}"
    value = _value_at(values, at)
    if value is _ABSENT:
        return f"{where} is missing (in {origin})"
    name = ".".join(str(step) for step in at)
    is_secret = looks_secret(name) or _is_secret(cls, at)
    is_plain = isinstance(value, str) and not isinstance(value, EnvText)
    told = MASK if is_secret and is_plain else shown(name, value)
    return f"{where} is {told} (in {origin}); {_text_of(error, value, is_secret=is_secret)}"


def _is_secret(cls: type[Any], at: Place) -> bool:
    """Whether the option at *at* is declared as a `Secret`, or as a mapping of them."""
    field = attrs.fields_dict(cls).get(str(at[0])) if at else None
    return field is not None and "Secret" in str(field.type)


def _value_at(values: Any, at: Place) -> Any:
    for step in at:
        try:
            values = values[step]
        except (LookupError, TypeError):
            return _ABSENT
    return values


def _text_of(error: BaseException, value: Any, *, is_secret: bool) -> str:
    # A validator may quote the value it refuses, and does not know that it is a secret.
    # Those of attrs add the attribute and the pattern as further arguments, which str() would show as a tuple.
    text = str(error.args[0] if error.args else error)
    if isinstance(value, str) and value and (isinstance(value, EnvText) or is_secret):
        text = text.replace(str.__str__(value), MASK)
    return masked(text)
