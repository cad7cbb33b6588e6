"""Say when a failed act is tried again, as a value that stands in a sink's options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import Attribute, field, frozen

__all__ = ["RetryPolicy"]


def _pauses(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _not_negative(instance: Any, attribute: Attribute[Any], value: tuple[float, ...]) -> None:
    if any(pause < 0 for pause in value):
        raise ValueError(f"RetryPolicy.delays_s is {value!r}; pauses are seconds and never negative")


@frozen
class RetryPolicy:
    """
    The pauses between tries, in seconds.

    The first try is immediate; `delays_s[0]` is the pause before the first retry. With `cap_s` the pauses go on
    after the listed ones, each twice the one before and never above the cap; without it the tries end.
    No jitter: a test can name every value.

    Raises:
        ValueError: a pause is negative.
    """

    delays_s: tuple[float, ...] = field(default=(0.1, 0.2, 0.4), converter=_pauses, validator=_not_negative)
    cap_s: float | None = None

    def wait_s(self, attempt: int) -> float | None:
        """
        Return the pause before retry number *attempt* (1 is the first retry), None when there is none.

        Raises:
            ValueError: *attempt* is below 1.
        """
        if attempt < 1:
            raise ValueError(f"attempt is {attempt!r}; the first retry is number 1")
        if attempt <= len(self.delays_s):
            return self.delays_s[attempt - 1]
        if self.cap_s is None:
            return None
        last = self.delays_s[-1] if self.delays_s else 1.0
        # 2.0 ** 64 s is longer than any outage; a larger power would overflow after a month offline.
        return float(min(self.cap_s, last * 2.0 ** min(attempt - len(self.delays_s), 64)))

    def pauses(self) -> Iterator[float]:
        """Yield the listed pauses, without those that a cap adds."""
        yield from self.delays_s
