"""Stand between the pump and a sink's own code, so that a fault in it neither ends the pump nor loses a record."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from attrs import define

from ...plugins.errors import Refused, Retryable, TelemetryError
from .item import Item

__all__ = ["Deliver", "errors_of"]

_log = logging.getLogger("telemetry.delivery")
Deliver = Callable[[Sequence[Item]], Mapping[str, TelemetryError] | None]
"""
Take a batch to the other side; return, or raise.

It returns None when all were taken, or a mapping of key to error for those that were not. It raises `Retryable` or
`Refused` for the batch as a whole.
"""


def errors_of(deliver: Deliver, batch: Sequence[Item]) -> Mapping[str, TelemetryError] | TelemetryError:
    """Call *deliver*; return the errors by key, empty when all was taken, or the one error of the whole batch."""
    border = _Border()
    with border:
        return _checked(deliver(batch), batch)
    return border.error or Retryable("deliver() ended without an answer")


@define
class _Border:
    """
    Turn whatever a sink's code raises into an error of ours.

    The bus has core/shield.py for this; here the sink is called in the pump's thread, behind the bus, and sinks
    cannot import core. An unknown fault may pass, so it is `Retryable`; if only one record brings it about, the
    pump finds that record and sets it aside.
    """

    error: TelemetryError | None = None

    def __enter__(self) -> None:
        """Begin to watch."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if isinstance(error, Retryable | Refused):
            self.error = error
        elif isinstance(error, Exception | SystemExit):
            _log.debug("deliver() raised what it should not", exc_info=error)
            self.error = Retryable(_text_of(error))
        return self.error is not None


def _text_of(error: BaseException) -> str:
    # Not str(): a stranger's exception may fail to say what it is.
    return "".join(traceback.format_exception_only(error)).strip()


def _checked(answer: object, batch: Sequence[Item]) -> Mapping[str, TelemetryError]:
    if answer is None:
        return {}
    if not isinstance(answer, Mapping):
        raise Retryable(f"deliver() returned {type(answer).__name__}, not None or a mapping of key to error")
    return {item.key: _as_error(answer[item.key]) for item in batch if item.key in answer}


def _as_error(error: object) -> TelemetryError:
    return error if isinstance(error, Retryable | Refused) else Retryable(str(error))
