"""Hear what the server answers to OpenTelemetry's exporters, which keep it to themselves and retry on their own."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from attrs import frozen

from ...plugins.errors import Retryable
from ..answers import FAULTS, Answer, asked_pause_s, body_of, excerpt_of, shown, unanswered, without
from ..timed import CONNECT_S, TimedAdapter

__all__ = ["ListeningSession", "Reply"]

_PUBLIC = frozenset(("accept", "accept-encoding", "connection", "content-encoding", "content-type", "user-agent"))
_SHORTEST_SECRET = 4


@frozen
class Reply:
    """What a server said to a request, and the body as it came."""

    answer: Answer
    body: bytes
    content_type: str


class ListeningSession(requests.Session):
    """
    A session for one exporter that keeps the last reply, or the reason why there was none.

    The exporter is told 200 whatever happens. Told the truth, it would sleep and try again in the middle of a step of
    the pump, log each failure beside our own complaints, and take a redirect for success. When and whether something
    is tried again is for the pump to say.

    The proxies of the environment count. Its netrc does not, which would replace an `Authorization` header; neither do
    cookies.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: Reply | Retryable | None = None
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = "identity"
        for scheme in ("http", "https"):
            self.mount(f"{scheme}://", TimedAdapter(max_retries=0))

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send the request, keep what became of it, and say that all is well."""
        # Whatever else is raised on the way the exporter keeps to itself, and no record is at fault.
        self.heard = Retryable(f"{shown(str(url))}: the request was broken off")
        secrets = _secrets_in({**self.headers, **(kwargs.get("headers") or {})})
        timeout_s = float(kwargs.pop("timeout", None) or CONNECT_S)
        # Said here and not left to the session, where REQUESTS_CA_BUNDLE would replace the exporter's certificates.
        kwargs.setdefault("verify", self.verify)
        kwargs |= {"stream": True, "allow_redirects": False, "timeout": (min(CONNECT_S, timeout_s), timeout_s)}
        try:
            with super().request(method, url, *args, **kwargs) as response:
                self.heard = _reply_in(response, secrets)
        except FAULTS as error:
            self.heard = unanswered(str(url), error, "certificate", secrets)
        return _well()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Follow nothing; only to look where it leads, requests would read the whole body."""


def _well() -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.reason = "OK"
    return response


def _secrets_in(headers: Any) -> list[str]:
    values = [value for name, value in headers.items() if str(name).lower() not in _PUBLIC]
    texts = [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in values]
    words = [text.partition(" ")[2] for text in texts]  # `Bearer abc`: a server may send back the second word alone
    return [text for text in (*texts, *words) if len(text) >= _SHORTEST_SECRET]


def _reply_in(response: requests.Response, secrets: list[str]) -> Reply:
    body = body_of(response)
    said = without(excerpt_of(body), secrets)
    answer = Answer(shown(response.url), response.status_code, said, asked_pause_s(response.headers))
    return Reply(answer, body, response.headers.get("Content-Type", "").partition(";")[0].strip().lower())
