"""Put into words what a server said, or why it said nothing, such that no secret is quoted."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit, urlunsplit

import requests
import urllib3
from attrs import frozen

from ..plugins.errors import Retryable, Unreachable
from ..plugins.secret import MASK
from .reach import causes_of, is_unreachable
from .trust import tls_cure

__all__ = [
    "FAULTS",
    "Answer",
    "asked_pause_s",
    "body_of",
    "excerpt_of",
    "shown",
    "unanswered",
    "without",
    "without_user",
]

FAULTS = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, ValueError)
"""What a request that got no answer raises; requests' own errors are OSErrors."""

_MOST_BODY_BYTES = 64 << 10
_EXCERPT_CHARACTERS = 300


@frozen
class Answer:
    """
    What a server said.

    Args:
        url: who said it, after redirects; without what could be secret.
        excerpt: the begin of the body, with our secrets masked.
        retry_after_s: the pause that it asks for, None when it asks for none.
    """

    url: str
    status: int
    excerpt: str
    retry_after_s: float | None

    def __str__(self) -> str:
        reason = http.client.responses.get(self.status, "")
        said = f": {self.excerpt}" if self.excerpt else ""
        return f"{self.url} answered {self.status} {reason}".rstrip() + said


def body_of(response: requests.Response) -> bytes:
    """Return the begin of the body; reads no more than 64 kB, so that a short answer frees its connection."""
    try:
        return bytes(response.raw.read(_MOST_BODY_BYTES, decode_content=False))
    except FAULTS:
        return b""  # the status is known, and a body that breaks off does not change it


def excerpt_of(body: bytes) -> str:
    """Return the begin of *body* as one printable line."""
    text = " ".join(body.decode("utf-8", "replace").split())
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_EXCERPT_CHARACTERS])


def without(text: str, secrets: Iterable[str]) -> str:
    """Return *text* with *secrets* masked: some servers send back what they got, and texts go into logs and files."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    return text


def shown(url: str) -> str:
    """Return *url* without what may be secret in it: user, password, query."""
    return urlunsplit(without_user(urlsplit(url))._replace(query=""))


def without_user(parts: SplitResult) -> SplitResult:
    """Return *parts* of a URL without user, password and fragment."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")


def asked_pause_s(headers: Mapping[str, str]) -> float | None:
    """Return the pause, in seconds, that a server asks for by `Retry-After`; None when it asks for none."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _cause_of(error: BaseException, authorities: str) -> str:
    """
    Return what *error* comes from, in words that quote neither address nor headers, and what to do about it.

    Args:
        authorities: the option that names the file with the certificates to trust.
    """
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout | TimeoutError):
        return "no answer in time"
    *_, error = causes_of(error)
    is_ours_to_quote = isinstance(error, OSError | http.client.HTTPException)
    if not is_ours_to_quote or isinstance(error, requests.RequestException):
        return type(error).__name__
    told = f"{type(error).__name__}: {' '.join(str(error).split())[:_EXCERPT_CHARACTERS]}"
    cure = tls_cure(error, authorities)
    return f"{told}; {cure}" if cure else told


def unanswered(url: str, error: BaseException, authorities: str, secrets: Iterable[str]) -> Retryable:
    """
    Return what the delivery is told when a request to *url* got no answer; `Unreachable` where nothing of it was sent.

    Args:
        authorities: the option that names the file with the certificates to trust.
        secrets: what the text must not hold.
    """
    is_unreached = isinstance(error, requests.ConnectTimeout) or is_unreachable(error)
    kind = Unreachable if is_unreached else Retryable
    return kind(f"{shown(url)}: {without(_cause_of(error, authorities), secrets)}")
