"""Read one plain value as one type, strictly: "no" is not true, 1 is not a text, and what does not fit says why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .secret import MASK, Secret, looks_secret, masked

__all__ = [
    "EnvText",
    "Unfit",
    "nearest",
    "plain",
    "read_flag",
    "read_number",
    "read_path",
    "read_secret",
    "read_text",
    "read_whole",
    "shown",
]

_TRUE = frozenset(("true", "1", "yes", "on"))
_FALSE = frozenset(("false", "0", "no", "off"))
_LONGEST_SHOWN = 80


class Unfit(ValueError):
    """A value does not fit its setting; the text says what is wanted instead."""


class EnvText(str):
    """
    Text that came out of an environment variable, which can hold nothing but text.

    So numbers and flags are read from its words. It may be a secret wherever it ends up: `repr()` shows *source*,
    as in `${HQ_TOKEN}`, never the text.
    """

    __slots__ = ("source",)
    source: str

    def __new__(cls, text: str, source: str) -> EnvText:
        made = super().__new__(cls, text)
        made.source = source
        return made

    def __reduce__(self) -> tuple[type[EnvText], tuple[str, str]]:
        return EnvText, (str.__str__(self), self.source)

    def __repr__(self) -> str:
        return repr(self.source)


def read_flag(value: object) -> bool:
    """Return *value* as a bool; text counts only when it comes from the environment."""
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvText):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    raise Unfit("wanted true or false")


def read_whole(value: object) -> int:
    """Return *value* as an int; true and 1.0 are none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, EnvText):
        try:
            return int(value)
        except ValueError:
            raise Unfit("wanted a whole number") from None
    raise Unfit("wanted a whole number")


def read_number(value: object) -> float:
    """Return *value*, an int or a float, as a float."""
    if isinstance(value, int | float | EnvText) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            raise Unfit("wanted a number") from None
    raise Unfit("wanted a number")


def read_text(value: object) -> str:
    """Return *value* as a plain str."""
    if isinstance(value, str):
        return str.__str__(value)
    raise Unfit("wanted text")


def read_path(value: object) -> Path:
    """Return *value* as a path, with `~` replaced by the home directory."""
    if not isinstance(value, str | os.PathLike):
        raise Unfit("wanted a path")
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise Unfit("wanted a path, neither empty nor with a NUL in it")
    try:
        return Path(str.__str__(text)).expanduser()
    except RuntimeError:
        raise Unfit("wanted a path, and the home directory that it begins with is not known") from None


def read_secret(value: object) -> Secret:
    """Return *value* as a `Secret`."""
    if isinstance(value, str | Secret):
        return Secret(value)
    raise Unfit("wanted text")


def plain(value: Any) -> Any:
    """Return *value* with text from the environment as ordinary text, at any depth."""
    if isinstance(value, EnvText):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def shown(name: str, value: object) -> str:
    """
    Return *value* as a fault shows it: bounded, and masked where the setting's *name* or the type says secret.

    Tables and lists are named, not shown: nobody knows what is in them.
    """
    if isinstance(value, EnvText):
        return repr(value)
    if isinstance(value, Secret) or (looks_secret(name) and not isinstance(value, bool | Mapping | list)):
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | os.PathLike) or value is None:
        text = masked(repr(os.fspath(value) if isinstance(value, os.PathLike) else value))
        return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list) else f"of type {type(value).__name__}"


def nearest(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the name that looks most like *word*, else an empty text."""
    # 1 ms to import, and needed only where something is wrong.
    import difflib

    by_lower = {name.lower(): name for name in names}
    found = difflib.get_close_matches(word.lower(), by_lower, 1)
    return f"; did you mean {by_lower[found[0]]!r}?" if found else ""
