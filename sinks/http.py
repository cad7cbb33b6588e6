"""Post to a web address such that no token leaks, no redirect swallows a record, and no server holds us for ever."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from attrs import define, field
from requests.auth import AuthBase

from ..plugins.secret import Secret
from .answers import (
    FAULTS,
    Answer,
    asked_pause_s,
    body_of,
    excerpt_of,
    shown,
    unanswered,
    without,
    without_user,
)
from .timed import CONNECT_S, TimedAdapter

__all__ = ["Answer", "Poster"]

_MOST_REDIRECTS = 5
_KEEPS_THE_POST = (307, 308)
_PORTS = {"http": 80, "https": 443}


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
            Unreachable: there was no connection.
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
        except FAULTS as error:
            # Without its cause: their texts quote the whole address, and their requests hold the token.
            raise unanswered(url, error, "ca", self._secrets()) from None
        with response:
            excerpt = self._masked(excerpt_of(body_of(response)))
            answer = Answer(shown(url), response.status_code, excerpt, asked_pause_s(response.headers))
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
        timeout = (min(CONNECT_S, self.timeout_s), self.timeout_s)
        return session.get_adapter(url).send(session.prepare_request(request), timeout=timeout, **settings)

    def _opened(self) -> requests.Session:
        if self._session is None:
            self._session = requests.Session()
            for scheme in _PORTS:
                self._session.mount(f"{scheme}://", TimedAdapter(max_retries=0))
            self._session.headers.update({"User-Agent": "local-telemetry", "Accept-Encoding": "identity"})
        return self._session

    def _masked(self, text: str) -> str:
        return without(text, self._secrets())

    def _secrets(self) -> list[str]:
        return [secret.reveal() for secret in (self.token, *self.headers.values()) if secret]

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
    return urlunsplit(without_user(target)) if is_web and not is_downgrade else None


def _origin_of(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
