"""Send runs and events to any OpenTelemetry backend, durably: what cannot be delivered now is delivered later."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field

from ...plugins.context import SinkContext
from ...plugins.errors import Retryable, TelemetryError
from ...plugins.hookspecs import hookimpl
from ...plugins.item import Item
from ...plugins.records import Record, RunEvent, RunRecord
from ...plugins.remote import remote_sink
from ..delivery import Delivery
from ..delivery.places import Places
from ..web_options import missing_files
from .needs import not_importable, require_exporters
from .options import OtlpOptions
from .protocol import doubts_of

if TYPE_CHECKING:
    from .courier import Courier

__all__ = ["OtlpSink"]

_log = logging.getLogger("telemetry.otlp")


@define(eq=False)
@remote_sink
class OtlpSink:
    """
    Runs as spans, their starts and events as log records, by OpenTelemetry's own exporters: OTLP over HTTP, protobuf.

    What is not set here the exporters take from the variables `OTEL_EXPORTER_OTLP_*`. 408, 425, 429, 5xx and silence
    are tried again; what a wrong set-up brings about (401 to 405, 407, 415, 501, a redirect, a web page) rests for an
    hour or until the next process; any other 4xx sends the culprit to the dead letters.
    """

    contract: ClassVar[int] = 1
    runs_inline: ClassVar[bool] = True

    Options: ClassVar[type[OtlpOptions]] = OtlpOptions

    options: OtlpOptions = field(factory=OtlpOptions)
    delivery: Delivery = field(init=False, repr=False)
    _courier: Courier | None = field(init=False, default=None, repr=False)
    _journal_dir: Path | None = field(init=False, default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        require_exporters()

    @staticmethod
    def check_needs() -> None:
        """
        See that what the extra brings is there.

        Raises:
            ConfigError: it is not.
        """
        require_exporters()

    @staticmethod
    def check_options(options: OtlpOptions) -> list[str]:
        """
        Return what is probably not meant so: files that are not there, a wrong port, path or protocol.

        Raises:
            ConfigError: the exporters are not installed.
        """
        require_exporters()
        names = ("certificate", "client_certificate", "client_key")
        return [*missing_files({name: getattr(options, name) for name in names}), *doubts_of(options)]

    @delivery.default
    def _new_delivery(self) -> Delivery:
        o = self.options
        kinds = ("run", "event") if o.logs else ("run",)
        return Delivery(
            self._deliver,
            policy=o.retry,
            kinds=kinds,
            wants=self._wants,
            batch=o.batch,
            is_backfill=o.backfill,
            reports=False,
            on_idle=self._hang_up,
        )

    def _wants(self, record: Record) -> bool:
        is_ended = isinstance(record, RunRecord) and not record.is_running
        return self.options.traces if is_ended else self.options.logs

    def _deliver(self, batch: Sequence[Item]) -> Mapping[str, TelemetryError]:
        if self._courier is None:
            try:
                # OpenTelemetry takes 0.3 s to import; this is the thread that has the time.
                from .courier import Courier
            except ImportError as error:
                raise Retryable(not_importable(error)) from error

            self._courier = Courier(self.options, self._journal_dir or Path())
        return self._courier.deliver(batch)

    def _hang_up(self) -> None:
        if self._courier is not None:
            self._courier.hang_up()

    @hookimpl
    def telemetry_open(self, context: SinkContext) -> None:
        """Begin to deliver."""
        for warning in doubts_of(self.options):
            _log.warning(warning)
        self._journal_dir = context.journal_dir or Places(context.state_dir, context.sink_name).journal
        self.delivery.open(context)

    @hookimpl
    def telemetry_event_logged(self, event: RunEvent) -> None:
        """Hear of an event."""
        self.delivery.take(event)

    @hookimpl
    def telemetry_health(self) -> dict[str, Any]:
        """Say how the delivery stands; `rejected` counts what the backend threw away without saying which."""
        return {**self.delivery.health(), "rejected": self._courier.rejected if self._courier is not None else 0}

    @hookimpl
    def telemetry_forked(self, context: SinkContext) -> None:
        """Leave the connections to the parent."""
        self._courier = None
        self.delivery.forked(context)

    @hookimpl
    def telemetry_close(self, deadline_s: float) -> None:
        """Send what can be sent quickly, and let go of the connections."""
        self.delivery.close(deadline_s)
        # Exporters that were shut down refuse everything, and a record may come after the close.
        courier, self._courier = self._courier, None
        if courier is not None:
            courier.close()
