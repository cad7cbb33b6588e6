"""Check the options that all sinks with a web address have, with texts that never hold a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute

from ..plugins.secret import Secret

__all__ = ["as_secret", "as_secrets", "fits_a_header", "headers_beside", "missing_files", "shown_url", "web_address"]

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def web_address(example: str, instead: str) -> Callable[[Any, Attribute[Any], str | None], None]:
    """
    Return a validator for a web address, which lets None pass.

    Args:
        example: an address as it should be.
        instead: the option to set in place of a user and a password in the address.
    """

    def check(instance: Any, attribute: Attribute[Any], value: str | None) -> None:
        if value is None:
            return
        if "@" in value.partition("://")[2].partition("/")[0]:
            raise ValueError(
                f"{attribute.name} holds a user or password; leave it out and set {instead}, which is never shown"
            )
        if not _is_web_address(value) or not value.isprintable() or " " in value:
            raise ValueError(f"{attribute.name} is {value!r}; write it like {example!r}, http or https")

    return check


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def as_secret(value: str | Secret | None) -> Secret | None:
    """Return *value* hidden; None for an empty one."""
    return Secret(value) if value else None


def as_secrets(values: Mapping[str, str | Secret]) -> dict[str, Secret]:
    """Return *values* hidden."""
    return {name: Secret(value) for name, value in values.items()}


def fits_a_header(instance: Any, attribute: Attribute[Any], value: Secret | None) -> None:
    """Refuse what no header can carry: a library further down would refuse it as well, and quote it."""
    if value is not None and not (value.reveal().isascii() and value.reveal().isprintable()):
        raise ValueError(f"{attribute.name} holds letters that no header can carry, or a line break; copy it anew")


def headers_beside(ours: Collection[str]) -> Callable[[Any, Attribute[Any], Mapping[str, Secret]], None]:
    """Return a validator for headers that stand beside *ours*, which the sink sets itself."""

    def check(instance: Any, attribute: Attribute[Any], value: Mapping[str, Secret]) -> None:
        for name, secret in value.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in ours:
                raise ValueError(f"headers has {name!r}, which is no header's name or one that this sink sets itself")
            fits_a_header(instance, attribute, secret)

    return check


def missing_files(files: Mapping[str, Path | None]) -> list[str]:
    """Return a sentence for each of *files*, by the name of its option, that is set and cannot be read."""
    return [
        f"{name} is {str(path)!r}, which is no file that can be read here"
        for name, path in files.items()
        if path is not None and not os.access(path, os.R_OK)
    ]


def shown_url(url: str | None) -> str:
    """Return *url* as a repr without its query, which may hold a secret."""
    return repr(url and url.partition("?")[0])
