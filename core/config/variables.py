"""Put environment variables into the texts of a file: `${VAR}`, `${VAR:-default}`, and `$$` for a dollar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...plugins.typed import EnvText, Unfit

__all__ = ["broken_references", "expand"]

_REFERENCE = re.compile(r"\$(?:\$|\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<otherwise>[^{}]*))?\})?)")


def expand(value: Any, environ: Mapping[str, str]) -> Any:
    """
    Return *value* with the variables put into each text, at any depth; keys stay as they are.

    A text that named a variable becomes an `EnvText`: it may stand for a number or a flag, and is never shown.

    Raises:
        Unfit: a variable is not set, or a reference is misspelt.
    """
    if isinstance(value, str):
        return _expand_text(value, environ)
    if isinstance(value, Mapping):
        return {key: expand(item, environ) for key, item in value.items()}
    return [expand(item, environ) for item in value] if isinstance(value, list) else value


def broken_references(value: Any, environ: Mapping[str, str], place: str) -> Iterator[tuple[str, str, Unfit]]:
    """Yield place, text and fault of each text inside *value* that `expand()` refuses."""
    if isinstance(value, str):
        try:
            _expand_text(value, environ)
        except Unfit as error:
            yield place, value, error
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from broken_references(item, environ, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from broken_references(item, environ, f"{place}[{index}]")


def _expand_text(text: str, environ: Mapping[str, str]) -> str:
    if "$" not in text:
        return text
    expanded = _REFERENCE.sub(lambda match: _replacement(match, environ), text)
    has_variable = any(match["name"] for match in _REFERENCE.finditer(text))
    return EnvText(expanded, text) if has_variable else expanded


def _replacement(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    name, otherwise = match["name"], match["otherwise"]
    if name is None:
        raise Unfit("a reference is written ${NAME} or ${NAME:-default}, and a dollar before a brace $$")
    value = environ.get(name, "")
    # As in a shell, the default stands in for an empty variable too.
    if otherwise is not None:
        return value or otherwise
    if name not in environ:
        raise Unfit(f"the environment variable {name} is not set")
    return value
