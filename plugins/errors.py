"""Name everything that can go wrong, on one page; each class says its cause and its cure."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "InputError",
    "InvalidRecord",
    "MissingExtra",
    "NotFound",
    "PluginError",
    "Refused",
    "Retryable",
    "StoreError",
    "TelemetryError",
    "Unreachable",
]


class TelemetryError(Exception):
    """
    Root of all errors that the platform raises by itself.

    Cure: catch this one where any telemetry fault is to be survived.
    """


class ConfigError(TelemetryError):
    """
    A setting is unknown, of the wrong type, or names something that is not installed.

    Cure: the message lists every fault with its path, value and origin; `telemetry config check` repeats it.

    Attributes:
        faults: one sentence per fault.
    """

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (message,)


class InputError(TelemetryError, ValueError):
    """
    What was given cannot be used as it is.

    Cure: pass what the message asks for. Input to a record raises it in strict mode only (`TELEMETRY_STRICT=1`), else
    it is kept with a change and warned of; a question to a store, and a call of `Care`, raises it always.
    """


class InvalidRecord(TelemetryError, ValueError):
    """
    A record was built with a value that its field cannot hold.

    Cure: build it with the type that the message names; the client does this by itself for agents.

    Attributes:
        field: the record's class and field, as `RunRecord.status`.
        value: what was given.
    """

    def __init__(self, field: str, value: object, wanted: str) -> None:
        super().__init__(f"{field} is {_shown(value)}; {wanted}.")
        self.field = field
        self.value = value


class MissingExtra(TelemetryError, ImportError):
    """
    A library is not installed that only this one thing needs: DuckDB, pandas, polars, psycopg for a URL.

    Cure: the command that the message ends with.

    Args:
        what: what needs it.
        library: its name.
        command: installs it.
    """

    def __init__(self, what: str, library: str, command: str) -> None:
        super().__init__(f"{what} needs {library}, which is not installed. Get it with: {command}")
        self.command = command


class PluginError(TelemetryError):
    """
    A plugin cannot be loaded or does not keep the contract (unknown hook, unknown argument, no such sink).

    Cure: the message names plugin, distribution and hook; `telemetry plugins` shows the state of each.
    """


class StoreError(TelemetryError):
    """
    A store cannot be opened or read: damaged, newer than this version knows, or not there.

    Cure: the message says it, and `cure` where it is known; else `telemetry doctor` explains. Where the database itself
    is at fault, move it away: it is built anew from the journal.

    Attributes:
        what: what is wrong.
        cure: what to do, empty when that has to be found out.
        is_absent: nothing at all is at the place that was named.
    """

    def __init__(self, what: str, cure: str = "", *, is_absent: bool = False) -> None:
        super().__init__(f"{what}; {cure}" if cure else what)
        self.what = what
        self.cure = cure
        self.is_absent = is_absent


class NotFound(TelemetryError, LookupError):
    """
    No run has this id (or more than one run begins with it).

    Cure: the message lists the nearest ids; `telemetry runs` lists all.
    """


class Retryable(TelemetryError):
    """
    A delivery failed in a way that may pass: locked, refused, timed out, 5xx, 408, 429.

    Cure: none needed; the sink's `RetryPolicy` decides when it is tried again.

    Attributes:
        retry_after_s: seconds that the other side asked us to wait, or None.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unreachable(Retryable):
    """
    The other side cannot be reached at all: nobody listens, no such host, no route. No record is at fault.

    Cure: none needed. The whole batch stays together and is tried again after the usual pauses.
    """


class Refused(TelemetryError):
    """
    The other side will never take this record (4xx but not 408/429); it goes to the dead letters.

    Cure: `telemetry outbox dead` shows reason and record; mend the cause, then `telemetry outbox retry`.
    """


def _shown(value: object) -> str:
    # repr() of a stranger's object may raise or be huge; the message must come out all the same.
    if type(value) in (str, bytes, int, float, bool, type(None)):
        text = repr(value)
        return text if len(text) <= 80 else f"{text[:77]}..."
    return f"an object of type {type(value).__name__}"
