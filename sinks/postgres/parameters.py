"""Bring together what libpq is told: the URL, the table beside it, and what nobody should have to set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from ...plugins.errors import ConfigError, Retryable
from ...plugins.typed import nearest
from ..web_options import missing_files
from .options import Access

__all__ = ["checked", "parameters_of"]

# Without these a connection that a firewall forgot would be waited on for two hours.
_NETWORK = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "telemetry",
}
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_SYSTEM = "system"
"""What stands for the usual authorities in the place of a file."""
_WRITTEN = "in user, password and parameters write what is neither letter nor digit as %XX, or set password apart"


def parameters_of(access: Access) -> dict[str, str]:
    """
    Return the parameters of libpq for *access*, by name.

    Raises:
        Retryable: the URL cannot be read, or libpq does not know a name; the text never holds a secret.
    """
    _refuse_strangers(access)
    given = _parsed(access) | {name: value.reveal() for name, value in access.connect.items()}
    if access.password is not None:
        given["password"] = access.password.reveal()
    own = {**_NETWORK, "connect_timeout": str(max(2, round(access.connect_timeout_s)))}
    return {**own, **given, "client_encoding": "utf8"}


def checked(access: Access) -> list[str]:
    """
    Return a sentence for each file that libpq is told to read and that is not there, or elsewhere in each folder.

    Raises:
        ConfigError: libpq does not understand what it is told.
    """
    try:
        given = parameters_of(access)
    except Retryable as error:
        raise ConfigError(str(error)) from None
    files = {name: Path(given[name]) for name in _FILES if given.get(name, _SYSTEM) != _SYSTEM}
    relative = {name: path for name, path in files.items() if not path.is_absolute()}
    told = "{} is {!r}, which libpq looks for in the folder of each process; write the whole path"
    absolute = {name: path for name, path in files.items() if name not in relative}
    return [*(told.format(name, str(path)) for name, path in relative.items()), *missing_files(absolute)]


@cache
def _known() -> frozenset[str]:
    return frozenset(option.keyword.decode() for option in Conninfo.get_defaults())


def _refuse_strangers(access: Access) -> None:
    # Psycopg has names of its own beside them, as autocommit: what these bring about is ours to say.
    for name in _unknown(access.connect):
        raise Retryable(f"{access.place}: connect has {name!r}, which libpq does not know{nearest(name, _known())}")


def _parsed(access: Access) -> dict[str, str]:
    try:
        return {name: str(value) for name, value in conninfo_to_dict(access.url.reveal()).items()}
    except psycopg.ProgrammingError:
        # Not libpq's own words: they quote the piece at which it stumbled, which may be one of the password.
        raise Retryable(f"{access.place}: the URL cannot be read{_guess(access)}; {_WRITTEN}") from None


def _guess(access: Access) -> str:
    """Return which parameter of the URL is probably meant by one that libpq does not know, empty text for none."""
    pairs = urlsplit(access.url.reveal()).query.split("&")
    unknown = _unknown(unquote(pair.partition("=")[0]) for pair in pairs)
    return next((hint for name in unknown if (hint := nearest(name, _known()))), "")


def _unknown(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in _known()]
