"""Say what can be set for the otlp sink; OpenTelemetry is not needed for that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from attrs import field, frozen, validators

from ...plugins.policies import RetryPolicy
from ...plugins.secret import Secret
from ..delivery.plan import PATIENT
from ..web_options import as_secrets, headers_beside, shown_url, web_address

__all__ = ["OtlpOptions"]

_OURS = frozenset(("content-encoding", "content-length", "content-type", "cookie", "host"))
_address = web_address("https://collector.example:4318", "headers")
_compression = validators.optional(validators.in_(("none", "gzip", "deflate")))


@frozen(kw_only=True)
class OtlpOptions:
    """
    What can be set for the sink; what is None the exporters take from the variables `OTEL_EXPORTER_OTLP_*`.

    Args:
        endpoint: the backend's base URL, to which `/v1/traces` and `/v1/logs` are added.
        headers: sent along; their values are never shown.
        timeout_s: for one answer; a connection gets 3 seconds of it.
        compression: `none`, `gzip` or `deflate`.
        certificate: a file with the certificates to trust, for a backend with one of its own.
        client_certificate: a file with our certificate, for a backend that asks for one.
        client_key: a file with its key, where the certificate's file does not hold it.
        traces: send runs that ended as spans.
        logs: send starts of runs, and events, as log records.
        span_events: tell the last 128 events of a run with its span, too.
        resource: further attributes of the resource.
        retry: the pauses after failed tries.
        batch: how many records are sent at once.
        backfill: send what was recorded before the sink was set up, too.

    Raises:
        ValueError: a value does not fit, or nothing would be sent; the text never holds a secret.
    """

    endpoint: str | None = field(default=None, validator=_address, repr=shown_url)
    headers: Mapping[str, Secret] = field(factory=dict, converter=as_secrets, validator=headers_beside(_OURS))
    timeout_s: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    compression: Literal["none", "gzip", "deflate"] | None = field(default=None, validator=_compression)
    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    traces: bool = True
    logs: bool = True
    span_events: bool = False
    resource: Mapping[str, str] = field(factory=dict)
    retry: RetryPolicy = PATIENT
    batch: int = field(default=256, validator=validators.in_(range(1, 10_001)))
    backfill: bool = False

    def __attrs_post_init__(self) -> None:
        if not (self.traces or self.logs):
            raise ValueError("traces and logs are both false, so nothing would be sent; set one of them")
        if self.span_events and not self.traces:
            raise ValueError("span_events is set, but traces is false, so there is no span to tell them with")
