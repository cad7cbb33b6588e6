"""Say what a server's reply means for the records that it answers."""

from __future__ import annotations

from typing import Any, Protocol

from attrs import evolve, frozen
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status

from ...plugins.errors import Refused, Retryable
from ..answers import excerpt_of
from ..delivery.plan import LONGEST_PAUSE_S
from .listening import Reply

__all__ = ["Verdict", "judged"]

_TRY_AGAIN = frozenset((408, 425, 429))
_NOT_LET_IN = frozenset((401, 402, 403, 407))
_NO_SUCH_PLACE = frozenset((404, 405, 415, 501))
_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"


class _Response(Protocol):
    """A message of the collector's protocol: `ExportTraceServiceResponse` or `ExportLogsServiceResponse`."""

    def __call__(self) -> Any: ...


@frozen
class Verdict:
    """
    What became of a request.

    Args:
        error: why its records were not taken; None when they were.
        rejected: how many of them the server took and threw away, without saying which.
        warning: what it said with that, or although it took all.
    """

    error: Retryable | Refused | None = None
    rejected: int = 0
    warning: str = ""


def judged(reply: Reply, count: int, response: _Response) -> Verdict:
    """
    Return what *reply* means for a request with *count* records.

    Args:
        response: the message that a success holds.
    """
    status = reply.answer.status
    if not 200 <= status < 300:
        return Verdict(_error_of(reply))
    if reply.content_type == "text/html":
        # A proxy that wants somebody to log in; to take its 200 for success would lose all that is sent.
        return Verdict(
            Retryable(f"{reply.answer.url} answered with a web page; is that an OTLP endpoint?", LONGEST_PAUSE_S)
        )
    rejected, warning = _partial_success(reply, response)
    if rejected >= count:
        return Verdict(Refused(f"{reply.answer.url} rejected it: {warning or 'it does not say why'}"))
    return Verdict(None, rejected, warning)


def _error_of(reply: Reply) -> Retryable | Refused:
    answer = evolve(reply.answer, excerpt=_message_in(reply))
    status = answer.status
    if status in _NOT_LET_IN:
        return Retryable(
            f"{answer}. Check the headers, and the account that they are for; what is recorded is kept until then",
            LONGEST_PAUSE_S,
        )
    if status in _NO_SUCH_PLACE or 300 <= status < 400:
        return Retryable(f"{answer}. {_advice(answer.url)}; what is recorded is kept until then", LONGEST_PAUSE_S)
    if 400 <= status < 500 and status not in _TRY_AGAIN:
        return Refused(str(answer))
    return Retryable(str(answer), answer.retry_after_s)


def _advice(url: str) -> str:
    if url.endswith("/logs"):
        return "Check the endpoint; for a backend that takes traces alone set logs = false and span_events = true"
    return "Check the endpoint, and that it takes OTLP over HTTP with protobuf"


def _message_in(reply: Reply) -> str:
    """Return what the server said, out of the message that OTLP has for faults where it sent one."""
    if reply.content_type != _PROTOBUF:
        return reply.answer.excerpt
    status = Status()
    if not _is_parsed(status, reply):
        return reply.answer.excerpt
    # The excerpt is masked already, and the message a part of it.
    return excerpt_of(status.message.encode()) if status.message in reply.answer.excerpt else reply.answer.excerpt


def _partial_success(reply: Reply, response: _Response) -> tuple[int, str]:
    message = response()
    if not reply.body or not _is_parsed(message, reply):
        return 0, ""  # many a server answers "ok"; only what is said in the protocol's words is a rejection
    told = message.partial_success
    rejected = getattr(told, "rejected_spans", 0) or getattr(told, "rejected_log_records", 0)
    return max(0, int(rejected)), excerpt_of(told.error_message.encode())


def _is_parsed(message: Message, reply: Reply) -> bool:
    try:
        if reply.content_type == _JSON:
            json_format.Parse(reply.body, message, ignore_unknown_fields=True)
        elif reply.content_type in (_PROTOBUF, ""):
            message.ParseFromString(reply.body)
        else:
            return False
    except (DecodeError, json_format.ParseError, UnicodeDecodeError):
        return False
    return True
