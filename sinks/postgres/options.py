"""Say where the server is and how it is reached, so that no repr, message or listing shows a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import Attribute, field, frozen, validators

from ...plugins.policies import RetryPolicy
from ...plugins.secret import MASK, Secret, masked
from ..delivery.plan import PATIENT

__all__ = ["Access", "PostgresOptions", "place_of"]

_PARAMETER = re.compile(r"[a-z_]+")
_HOST = r"(?:\[[^\]]*\]|[^:/@\[\],]*)(?::\d*)?"
_PLACE = re.compile(rf"{_HOST}(?:,{_HOST})*(?:/[^/?@]*)?")
# Stricter than libpq, which takes a piece of a password with an @ or a / in it for a host or a port, and quotes it.
_URL = re.compile(rf"postgres(?:ql)?://(?:[^@/?]*@)?{_PLACE.pattern}(?:\?.*)?")
_SHORTEST_MASKED = 3


def place_of(url: Secret) -> str:
    """Return *url* as people may see it: without user, password and parameters."""
    if not _URL.fullmatch(url.reveal()):
        return MASK  # not checked yet: an error in the middle of __init__ may show the object
    scheme, _, rest = url.reveal().partition("://")
    where = rest.partition("?")[0].rpartition("@")[2]
    return f"{scheme}://{where}"


def _as_secret(value: str | Secret | None) -> Secret | None:
    return Secret(value) if value else None


def _as_secrets(values: Mapping[str, Any]) -> dict[str, Secret]:
    return {name: value if isinstance(value, Secret) else Secret(str(value)) for name, value in values.items()}


def _is_url(instance: Any, attribute: Attribute[Any], value: Secret) -> None:
    if not _URL.fullmatch(value.reveal()) or not value.reveal().isprintable():
        raise ValueError(
            "url must look like 'postgresql://hq.example/telemetry?sslmode=verify-full'; in user and password write "
            "what is neither letter nor digit as %XX, or set password apart"
        )


def _are_parameters(instance: Any, attribute: Attribute[Any], value: Mapping[str, Secret]) -> None:
    for name in value:
        if not _PARAMETER.fullmatch(name):
            raise ValueError(f"connect has {name!r}; its keys are parameters of libpq, as sslmode or sslrootcert")


@frozen(kw_only=True)
class Access:
    """
    What a connection needs to know.

    Args:
        url: `postgresql://[user[:password]@]host[:port]/database[?parameter=value]`.
        password: in place of the one in *url*.
        connect: further parameters of libpq, which win over those in *url*.
        connect_timeout_s: for one host to answer.
        timeout_s: for one statement.
    """

    url: Secret = field(converter=Secret, validator=_is_url)
    password: Secret | None = field(default=None, converter=_as_secret)
    connect: Mapping[str, Secret] = field(factory=dict, converter=_as_secrets, validator=_are_parameters)
    connect_timeout_s: float = 10.0
    timeout_s: float = 60.0

    @property
    def place(self) -> str:
        """The server and database, as people may see them."""
        return place_of(self.url)

    def without_secrets(self, text: str) -> str:
        """Return *text* without the passwords that stand in this access, however they are written."""
        for secret in self._secrets():
            if len(secret) >= _SHORTEST_MASKED:
                text = text.replace(secret, MASK)
        return masked(text)

    def _secrets(self) -> list[str]:
        url = self.url.reveal()
        _, has_user, _ = url.partition("://")[2].rpartition("@")
        written = url.partition("://")[2].rpartition("@")[0].partition(":")[2] if has_user else ""
        given = [self.password.reveal()] if self.password is not None else []
        given += [secret.reveal() for name, secret in self.connect.items() if "passw" in name]
        return sorted({url, written, unquote(written), *given, *_parameters_of(url)}, key=len, reverse=True)


def _parameters_of(url: str) -> list[str]:
    pairs = (pair.partition("=") for pair in urlsplit(url).query.split("&"))
    return [text for name, _, value in pairs if "passw" in name for text in (value, unquote(value))]


@frozen(kw_only=True)
class PostgresOptions:
    """
    What can be set for the sink.

    Args:
        url: of the database; TLS and all else that libpq knows may stand behind the question mark. Never shown whole.
        password: in place of the one in *url*; libpq's own `PGPASSWORD` and `~/.pgpass` work too.
        connect: parameters of libpq by name, as `sslmode`, `sslrootcert`, `sslcert`, `sslkey`.
        connect_timeout_s: for the server to take a connection.
        timeout_s: for one statement.
        retry: the pauses after failed tries.
        batch: how many records go into one transaction.
        backfill: deliver what was recorded before the sink was set up, too.

    Raises:
        ValueError: a value does not fit; its text never holds a secret.
    """

    url: Secret = field(converter=Secret, validator=_is_url, repr=place_of)
    password: Secret | None = field(default=None, converter=_as_secret)
    connect: Mapping[str, Secret] = field(factory=dict, converter=_as_secrets, validator=_are_parameters)
    connect_timeout_s: float = field(default=10.0, validator=validators.ge(1))
    timeout_s: float = field(default=60.0, validator=validators.gt(0))
    retry: RetryPolicy = PATIENT
    batch: int = field(default=2000, validator=[validators.ge(1), validators.le(100_000)])
    backfill: bool = False

    @property
    def access(self) -> Access:
        """The part that concerns the connection."""
        return Access(
            url=self.url,
            password=self.password,
            connect=self.connect,
            connect_timeout_s=self.connect_timeout_s,
            timeout_s=self.timeout_s,
        )
