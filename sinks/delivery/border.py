"""Stand between the pump and a sink's own code, so that a fault in it neither ends the pump nor loses a record."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence

from ...plugins.errors import Refused, Retryable, TelemetryError, Unreachable
from ...plugins.shelter import attempt
from ..reach import is_unreachable
from .item import Item

__all__ = ["Deliver", "errors_of", "text_of"]

_log = logging.getLogger("telemetry.delivery")
Deliver = Callable[[Sequence[Item]], Mapping[str, TelemetryError] | None]
"""
Take a batch to the other side; return, or raise.

It returns None when all were taken, or a mapping of key to error for those that were not. It raises `Retryable` or
`Refused` for the batch as a whole.
"""


def errors_of(deliver: Deliver, batch: Sequence[Item]) -> Mapping[str, TelemetryError] | TelemetryError:
    """
    Call *deliver*; return the errors by key, empty when all was taken, or the one error of the whole batch.

    An unknown fault may pass, so it is `Retryable`; if only one record brings it about, the pump finds that record
    and sets it aside.
    """
    answer, failure = attempt(_checked, deliver, batch)
    if isinstance(failure, Retryable) and is_unreachable(failure):
        failure = Unreachable(str(failure), failure.retry_after_s)
    if failure is None or isinstance(failure, Retryable | Refused):
        return answer if failure is None else failure
    _log.debug("deliver() raised what it should not", exc_info=failure)
    return (Unreachable if is_unreachable(failure) else Retryable)(text_of(failure))


def text_of(error: BaseException) -> str:
    """Return type and words of *error*, whoever wrote it."""
    # Not str(): a stranger's exception may fail to say what it is.
    return "".join(traceback.format_exception_only(error)).strip()


def _checked(deliver: Deliver, batch: Sequence[Item]) -> Mapping[str, TelemetryError]:
    answer: object = deliver(batch)
    if answer is None:
        return {}
    if not isinstance(answer, Mapping):
        raise Retryable(f"deliver() returned {type(answer).__name__}, not None or a mapping of key to error")
    return {item.key: _as_error(answer[item.key]) for item in batch if item.key in answer}


def _as_error(error: object) -> TelemetryError:
    return error if isinstance(error, Retryable | Refused) else Retryable(str(error))
