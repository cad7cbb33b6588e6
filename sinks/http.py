"""Post to a web address such that no token leaks, no redirect swallows a record, and no server holds us for ever."""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
import urllib3
from attrs import define, field, frozen
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from ..plugins.errors import Retryable
from ..plugins.secret import MASK, Secret

__all__ = ["Answer", "Poster"]

_CONNECT_S = 3.0
_MOST_REDIRECTS = 5
_MOST_BODY_BYTES = 64 << 10
_EXCERPT_CHARACTERS = 300
_KEEPS_THE_POST = (307, 308)
_PORTS = {"http": 80, "https": 443}


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


@define(eq=False)
class Poster:
    """
    A client for one address; not for threads.

    Proxies and certificate bundles of the environment count. Its netrc does not, and neither do cookies: they would
    replace or accompany the token.

    Args:
        headers: further headers, sent to the address itself and to nobody that it redirects to.
        timeout_s: for the whole answer, not for each piece of it.
        ca: a bundle of certificates to trust in place of the usual ones.
    """

    url: str
    token: Secret | None = None
    headers: Mapping[str, Secret] = field(factory=dict)
    timeout_s: float = 10.0
    ca: Path | None = None
    _session: requests.Session | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """
        Post *body* and return the answer, whatever it is; 307 and 308 are followed five times.

        No other redirect is followed: it would turn the POST into a GET, whose 200 says nothing about the record.

        Raises:
            Retryable: there was no answer.
        """
        url = self.url
        for _ in range(_MOST_REDIRECTS):
            answer, target = self._post_to(url, body, headers)
            if target is None:
                return answer
            url = target
        return self._post_to(url, body, headers)[0]

    def _post_to(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, str | None]:
        try:
            response = self._sent(url, body, headers)
        except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, ValueError) as error:
            # Without its cause: their texts quote the whole address, and their requests hold the token.
            raise Retryable(f"{_shown(url)}: {self._masked(_cause_of(error))}") from None
        with response:
            excerpt = self._masked(_excerpt_of(response))
            answer = Answer(_shown(url), response.status_code, excerpt, _asked_pause_s(response.headers))
            return answer, _target_of(url, response)

    def _sent(self, url: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
        session = self._opened()
        is_home = _origin_of(url) == _origin_of(self.url)
        own = {name: value.reveal() for name, value in self.headers.items()} if is_home else {}
        request = requests.Request(
            "POST", url, {**own, **headers}, data=body, auth=_Bearer(self.token if is_home else None)
        )
        verify = True if self.ca is None else str(self.ca)
        settings: dict[str, Any] = dict(session.merge_environment_settings(url, {}, True, verify, None))
        # Not session.send(): on a redirect that is not followed, that reads the whole body all the same.
        timeout = (min(_CONNECT_S, self.timeout_s), self.timeout_s)
        return session.get_adapter(url).send(session.prepare_request(request), timeout=timeout, **settings)

    def _opened(self) -> requests.Session:
        if self._session is None:
            self._session = requests.Session()
            for scheme in _PORTS:
                self._session.mount(f"{scheme}://", _TimedAdapter(max_retries=0))
            self._session.headers.update({"User-Agent": "local-telemetry", "Accept-Encoding": "identity"})
        return self._session

    def _masked(self, text: str) -> str:
        # Some servers send back what they got, and this text goes into logs and files.
        for secret in (self.token, *self.headers.values()):
            if secret:
                text = text.replace(secret.reveal(), MASK)
        return text

    def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None


class _Bearer(AuthBase):
    """Set the token, or none: an explicit answer keeps requests from looking into the netrc."""

    def __init__(self, token: Secret | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class _TimedReader(io.RawIOBase):
    """Read from a socket until a moment in time; a server that drips would start the usual timeout anew each time."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._end = time.monotonic() + (sock.gettimeout() or _CONNECT_S)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """All that http.client asks of a socket when it reads an answer."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock))


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(_TimedSocket(sock), *args, **kwargs)  # type: ignore[arg-type]


class _TimedConnection(urllib3.connection.HTTPConnection):
    response_class = _TimedResponse


class _TimedSecureConnection(urllib3.connection.HTTPSConnection):
    response_class = _TimedResponse


class _TimedPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TimedSecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedSecureConnection


class _TimedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _time_pools_of(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _time_pools_of(super().proxy_manager_for(*args, **kwargs))


def _time_pools_of(manager: Any) -> Any:
    manager.pool_classes_by_scheme = {"http": _TimedPool, "https": _TimedSecurePool}
    return manager


def _excerpt_of(response: requests.Response) -> str:
    """Return the begin of the body; reads no more than 64 kB, so that a short answer frees its connection."""
    try:
        body = response.raw.read(_MOST_BODY_BYTES, decode_content=False)
    except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, ValueError):
        return ""  # the status is known, and a body that breaks off does not change it
    text = " ".join(body.decode("utf-8", "replace").split())
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_EXCERPT_CHARACTERS])


def _target_of(url: str, response: requests.Response) -> str | None:
    """Return where *response* sends the same POST, None when it does not, or to where it must not go."""
    location = response.headers.get("Location")
    if response.status_code not in _KEEPS_THE_POST or not location:
        return None
    try:
        target = urlsplit(urljoin(url, location))
        is_web = target.scheme in _PORTS and bool(target.hostname)
    except ValueError:
        return None
    is_downgrade = urlsplit(url).scheme == "https" and target.scheme == "http"
    return urlunsplit(_without_user(target)) if is_web and not is_downgrade else None


def _without_user(parts: SplitResult) -> SplitResult:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")


def _origin_of(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _shown(url: str) -> str:
    """Return *url* without what may be secret in it: user, password, query."""
    return urlunsplit(_without_user(urlsplit(url))._replace(query=""))


def _asked_pause_s(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _cause_of(error: BaseException) -> str:
    """Return what *error* comes from, in words that quote neither address nor headers."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout | TimeoutError):
        return "no answer in time"
    while (inner := _inner(error)) is not None:
        error = inner
    is_ours_to_quote = isinstance(error, OSError | http.client.HTTPException)
    if not is_ours_to_quote or isinstance(error, requests.RequestException):
        return type(error).__name__
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_EXCERPT_CHARACTERS]}"


def _inner(error: BaseException) -> BaseException | None:
    candidates = (getattr(error, "reason", None), *reversed(error.args), error.__cause__)
    return next((inner for inner in candidates if isinstance(inner, BaseException)), None)
