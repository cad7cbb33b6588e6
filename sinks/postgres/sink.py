"""Deliver every record of a host to a PostgreSQL that many hosts share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from attrs import define, field

from ...plugins.context import SinkContext
from ...plugins.errors import ConfigError, Retryable, StoreError
from ...plugins.hookspecs import hookimpl
from ...plugins.item import Item
from ...plugins.records import CommitLink, DeliveryReport, RunEvent
from ...plugins.remote import remote_sink
from ..delivery import Delivery
from .needs import not_importable, psycopg_for, require_psycopg
from .options import Access, PostgresOptions

if TYPE_CHECKING:
    from ...plugins.store import RunStore
    from .writer import Writer

__all__ = ["PostgresSink"]

_WRITTEN = "write postgres://USER@HOST:PORT/DATABASE"
_KINDS = ("run", "event", "metrics", "delivery", "commit")


def _store(access: Access) -> RunStore:
    """
    Return the store for reading.

    Raises:
        ConfigError: psycopg is not installed, or cannot be imported.
    """
    require_psycopg()
    try:
        from .store import PostgresStore
    except ImportError as error:
        raise ConfigError(not_importable(error)) from error
    return PostgresStore(access)


@define(eq=False)
@remote_sink
class PostgresSink:
    """
    All runs, events and commits in the tables of schema v3, each exactly once, from any number of hosts.

    The hooks only wake the thread that delivers; it reads the journal and writes a batch a transaction.
    """

    Options: ClassVar[type[PostgresOptions]] = PostgresOptions
    contract: ClassVar[int] = 1
    runs_inline: ClassVar[bool] = True

    options: PostgresOptions
    delivery: Delivery = field(init=False, repr=False)
    _writer: Writer | None = field(init=False, default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse to be built where nothing could ever be delivered."""
        require_psycopg()

    @staticmethod
    def check_needs() -> None:
        """
        See that psycopg is there.

        Raises:
            ConfigError: it is not.
        """
        require_psycopg()

    @delivery.default
    def _new_delivery(self) -> Delivery:
        return Delivery(
            self._deliver,
            policy=self.options.retry,
            kinds=_KINDS,
            batch=self.options.batch,
            is_backfill=self.options.backfill,
            completes=False,
            reports=False,
            on_idle=self._disconnect,
        )

    @property
    def place(self) -> str:
        """Where the records go, without a secret."""
        return self.options.access.place

    @hookimpl
    def telemetry_event_logged(self, event: RunEvent) -> None:
        """Hear of an event."""
        self.delivery.take(event)

    @hookimpl
    def telemetry_commit_linked(self, commit: CommitLink) -> None:
        """Hear of a commit."""
        self.delivery.take(commit)

    @hookimpl
    def telemetry_delivery_reported(self, report: DeliveryReport) -> None:
        """Hear that an API took a run."""
        self.delivery.take(report)

    @hookimpl
    def telemetry_forked(self, context: SinkContext) -> None:
        """Leave the connection to the parent."""
        self._writer = None
        self.delivery.forked(context)

    @hookimpl
    def telemetry_close(self, deadline_s: float) -> None:
        """Deliver what can be delivered quickly, and let go of the connection."""
        end = time.monotonic() + deadline_s
        self.delivery.close(deadline_s)
        if self._writer is not None:
            self._writer.close(end - time.monotonic())

    @staticmethod
    def check_options(options: PostgresOptions) -> list[str]:
        """
        Return what is probably not meant so: files of TLS that are not there.

        Raises:
            ConfigError: psycopg is not installed or cannot be imported, or libpq does not know a parameter.
        """
        require_psycopg()
        try:
            from .parameters import checked
        except ImportError as error:
            raise ConfigError(not_importable(error)) from error
        return checked(options.access)

    def open_store(self, context: SinkContext) -> RunStore:
        """Return the store for reading, which has what was delivered so far, by every host."""
        return _store(self.options.access)

    @staticmethod
    def open_url(url: str) -> RunStore:
        """
        Return the store behind *url*, for reading.

        Raises:
            MissingExtra: psycopg is not installed.
            StoreError: *url* is none of a PostgreSQL, or psycopg cannot be imported.
        """
        psycopg_for("a postgres:// URL")
        try:
            return _store(Access(url=url))
        except ValueError as error:
            raise StoreError(str(error), _WRITTEN) from None
        except ConfigError as error:
            raise StoreError(str(error), "mend what the import says, or install another psycopg") from None

    def _deliver(self, batch: Sequence[Item]) -> None:
        self._ready_writer().write(batch)

    def _ready_writer(self) -> Writer:
        if self._writer is None:
            try:
                # psycopg takes 100 ms to import; this is the thread that has the time.
                from .writer import Writer
            except ImportError as error:
                raise Retryable(not_importable(error)) from error
            self._writer = Writer(self.options.access)
        return self._writer

    def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()
