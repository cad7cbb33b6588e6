"""Post each finished run to a metrics API, durably: what cannot be delivered now is delivered later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from attrs import define, field, frozen, validators

from ..plugins.api_payload import APIPayload
from ..plugins.context import SinkContext
from ..plugins.errors import Refused, Retryable, TelemetryError
from ..plugins.hookspecs import hookimpl
from ..plugins.policies import RetryPolicy
from ..plugins.records import Record, RunRecord
from ..plugins.secret import Secret
from .delivery import Delivery, Item, remote_sink
from .delivery.plan import LONGEST_PAUSE_S, PATIENT
from .web_options import as_secret, as_secrets, fits_a_header, headers_beside, missing_files, shown_url, web_address

if TYPE_CHECKING:
    from .http import Answer, Poster

__all__ = ["ApiSink"]

_OURS = frozenset(("authorization", "content-length", "content-type", "cookie", "host", "idempotency-key"))
_TRY_AGAIN = frozenset((408, 425, 429))
_NOT_LET_IN = frozenset((401, 402, 403, 407))


@define(eq=False)
@remote_sink
class ApiSink:
    """
    `POST {url}` with the run as JSON, `Authorization: Bearer {token}` and an `Idempotency-Key`.

    The hooks only wake the thread that posts. Any 2xx is success. 408, 425, 429, 5xx and silence are tried again; 401,
    402, 403, 407 and redirects that would lose the record rest for an hour or until the next process; any other 4xx
    sends the run to the dead letters.
    """

    contract: ClassVar[int] = 1
    runs_inline: ClassVar[bool] = True

    @frozen(kw_only=True)
    class Options:
        """
        What can be set for the sink.

        Args:
            url: where runs are posted to.
            token: sent to *url*, and to no other origin.
            timeout_s: for one answer; a connection gets 3 seconds of it.
            retry: the pauses after failed tries.
            ca: a file with the certificates to trust, for a server with one of its own.
            headers: sent beside ours; their values are treated like the token.
            backfill: post what was recorded before the sink was set up, too.
            post: `ends` posts each run once, `all` posts it when it begins as well.

        Raises:
            ValueError: a value does not fit; its text never holds a secret.
        """

        url: str = field(validator=web_address("https://hq.example/v1/records", "token"), repr=shown_url)
        token: Secret | None = field(default=None, converter=as_secret, validator=fits_a_header)
        timeout_s: float = field(default=10.0, validator=validators.gt(0))
        retry: RetryPolicy = PATIENT
        ca: Path | None = None
        headers: Mapping[str, Secret] = field(factory=dict, converter=as_secrets, validator=headers_beside(_OURS))
        backfill: bool = False
        post: Literal["ends", "all"] = field(default="ends", validator=validators.in_(("ends", "all")))

    options: Options
    delivery: Delivery = field(init=False, repr=False)
    _poster: Poster | None = field(init=False, default=None, repr=False)

    @delivery.default
    def _new_delivery(self) -> Delivery:
        return Delivery(
            self._post_batch, policy=self.options.retry, wants=self._wants, is_backfill=self.options.backfill
        )

    @staticmethod
    def check_options(options: ApiSink.Options) -> list[str]:
        """Return what is probably not meant so: a file that is not there."""
        return missing_files({"ca": options.ca})

    def _wants(self, record: Record) -> bool:
        return isinstance(record, RunRecord) and (self.options.post == "all" or not record.is_running)

    @hookimpl
    def telemetry_forked(self, context: SinkContext) -> None:
        """Leave the connection to the parent."""
        self._poster = None
        self.delivery.forked(context)

    @hookimpl
    def telemetry_close(self, deadline_s: float) -> None:
        """Post what can be posted quickly, and let go of the connection."""
        self.delivery.close(deadline_s)
        if self._poster is not None:
            self._poster.close()

    def _post_batch(self, batch: Sequence[Item]) -> None:
        for item in batch:
            body = APIPayload.from_run_record(cast(RunRecord, item.record)).to_json().encode()
            headers = {"Content-Type": "application/json", "Idempotency-Key": item.key}
            error = _judged(self._connected().post(body, headers))
            if error is not None:
                raise error

    def _connected(self) -> Poster:
        if self._poster is None:
            # requests takes 100 to 190 ms to import; this is the thread that has the time.
            from .http import Poster

            o = self.options
            self._poster = Poster(o.url, o.token, o.headers, o.timeout_s, o.ca)
        return self._poster


def _judged(answer: Answer) -> TelemetryError | None:
    """Return what *answer* means for the record: None when it was taken."""
    status = answer.status
    if 200 <= status < 300:
        return None
    if status in _NOT_LET_IN:
        return Retryable(
            f"{answer}. Check the token, and the account that it is for; runs are kept until then", LONGEST_PAUSE_S
        )
    if 300 <= status < 400:
        return Retryable(
            f"{answer}, a redirect. Set url to the final address; runs are kept until then", LONGEST_PAUSE_S
        )
    if 400 <= status < 500 and status not in _TRY_AGAIN:
        return Refused(str(answer))
    return Retryable(str(answer), answer.retry_after_s)
