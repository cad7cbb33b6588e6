"""Tie a run to a block of code: `with`, `async with`, a decorator; however the block is left, the run has its end."""

from __future__ import annotations

import functools
import inspect
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from ..plugins import clock
from .generators import around_async_generator, around_generator
from .shield import attempt, border, nothing

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["RunContext", "Tracking", "current_run", "parent_of"]

F = TypeVar("F", bound=Callable[..., Any])
_LONGEST_SUMMARY = 2_000
_LONGEST_TRACE = 8_000
_current: ContextVar[RunContext | None] = ContextVar("telemetry_run", default=None)


def current_run() -> RunContext | None:
    """Return the innermost tracked run around this code, None when there is none."""
    return _current.get()


def parent_of(run_id: str) -> str | None:
    """Return the run that a new one is part of: the one around this code, or that of the process that started us."""
    context = current_run()
    parent = context.run_id if context is not None else os.environ.get("TELEMETRY_RUN_ID")
    return parent if parent != run_id else None


@define(eq=False)
class RunContext:
    """
    One run under way, as the code inside it sees it.

    Args:
        client: records what is said here.
        run_id: the run's id.
    """

    _client: Any = field(repr=False)
    run_id: str
    agent_name: str | None = None
    # The run that was the current one when this one began, and whether this one has been left.
    _outside: RunContext | None = field(default=None, repr=False)
    _is_left: bool = field(default=False, repr=False)

    @property
    def is_strict(self) -> bool:
        """Whether a slip raises a `TelemetryError` in place of a warning (`TELEMETRY_STRICT=1`)."""
        return bool(getattr(self._client, "is_strict", False))

    @border(otherwise=nothing)
    def log_event(self, event_type: str, payload: Any = None) -> None:
        """Record that something happened; *payload* is any object."""
        self._client.log_event(self.run_id, event_type, payload)

    @border(otherwise=nothing)
    def set_metrics(self, table: Mapping[str, Any] | None = None, /, **metrics: Any) -> None:
        """Set metrics, and known fields of the record: by keyword, or as a *table*, or both."""
        self._client.set_metrics(self.run_id, table, **metrics)

    @border(otherwise=nothing)
    def increment(self, name: str, by: float = 1) -> None:
        """Add *by* to a metric or to one of the `items_*` counts."""
        self._client.increment(self.run_id, name, by)

    @border(otherwise=lambda self, *args, **kwargs: self._client.track_run(self.agent_name))
    def child(self, /, job_type: str | None = None, *, agent_name: str | None = None, **fields: Any) -> Tracking:
        """Return a tracked run that is part of this one; of the same agent unless another is named."""
        fields.setdefault("parent_run_id", self.run_id)
        tracking: Tracking = self._client.track_run(agent_name or self.agent_name or "unknown", job_type, **fields)
        return tracking

    @border(otherwise=nothing)
    def log_llm_call(
        self,
        /,
        model: str,
        *,
        tokens_in: int = 0,
        tokens_out: int = 0,
        tokens_cached: int = 0,
        cost_usd: float = 0.0,
        **details: Any,
    ) -> None:
        """
        Record one call of a language model as an event, and add its figures to the run's metrics.

        Args:
            cost_usd: in US dollars.
            details: anything else for the event.
        """
        counts = {"tokens_in": tokens_in, "tokens_out": tokens_out, "tokens_cached": tokens_cached}
        self.log_event("llm_call", {"model": model, **counts, "cost_usd": cost_usd, **details})
        for name, value in {**counts, "cost_usd": cost_usd, "llm_calls": 1}.items():
            if value:
                self.increment(name, value)
        self.set_metrics(model=model)

    def _leave(self) -> None:
        """Make the run around this one the current one again; blocks may be left in another order than entered."""
        self._is_left = True
        if _current.get() is not self:
            return
        outside = self._outside
        while outside is not None and outside._is_left:
            outside = outside._outside
        _current.set(outside)

    @border(otherwise=lambda *args, **kwargs: nullcontext())
    @contextmanager
    def tool(self, /, name: str, **details: Any) -> Iterator[None]:
        """Record the use of a tool as two events, `tool_started` and `tool_ended` with duration and outcome."""
        self.log_event("tool_started", {"tool": name, **details})
        began_ns = clock.monotonic_ns()
        error: str | None = "left early"
        try:
            yield
            error = None
        except BaseException as failure:
            error = describe(failure)
            raise
        finally:
            duration_ms = round((clock.monotonic_ns() - began_ns) / 1e6, 3)
            outcome = {"tool": name, "duration_ms": duration_ms, "ok": error is None, "error": error}
            self.log_event("tool_ended", outcome)


class Tracking:
    """
    A run that begins when the block is entered and ends when it is left.

    Each entry is a run of its own, so one object may serve many blocks: one after the other, one inside the other,
    in threads and tasks side by side. As a decorator it starts a run for every call of the function: plain, async,
    generator or async generator. What the block raises is recorded and raised on untouched.
    """

    def __init__(self, client: Any, agent_name: Any, job_type: Any, trigger_type: Any, fields: dict[str, Any]) -> None:
        self._client = client
        self._start = (agent_name, job_type, trigger_type)
        self._fields = fields
        self._entered: list[tuple[RunContext, int]] = []

    def __enter__(self) -> RunContext:
        run_id = self._client.start_run(*self._start, **self._fields)
        agent_name = self._start[0] if isinstance(self._start[0], str) else None
        context = RunContext(self._client, run_id, agent_name, outside=_current.get())
        _current.set(context)
        self._entered.append((context, os.getpid()))
        return context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        entry = self._own_entry()
        if entry is None:
            return
        context, process_id = entry
        context._leave()
        # A child that was forked inside the block leaves it too, but the run is its parent's.
        if process_id == os.getpid():
            self._client._end_tracked(context.run_id, **ending_of(error))

    def _own_entry(self) -> tuple[RunContext, int] | None:
        """Take out the entry that the code around is in; the newest where it is in none: a block may end elsewhere."""
        here, entered = _current.get(), self._entered[::-1]
        entry = next((entry for entry in entered if entry[0] is here), entered[0] if entered else None)
        if entry is not None:
            self._entered.remove(entry)
        return entry

    async def __aenter__(self) -> RunContext:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Return *function* with a run around each call."""
        if inspect.isasyncgenfunction(function):
            wrapped: Any = around_async_generator(function, self._again, _current)
        elif inspect.isgeneratorfunction(function):
            wrapped = around_generator(function, self._again, _current)
        elif inspect.iscoroutinefunction(function):
            wrapped = self._around_coroutine(function)
        else:
            wrapped = self._around_call(function)
        return functools.wraps(function)(wrapped)  # type: ignore[return-value]

    def _again(self) -> Tracking:
        return Tracking(self._client, *self._start, dict(self._fields))

    def _around_call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return call

    def _around_coroutine(self, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return await function(*args, **kwargs)

        return call


def ending_of(error: BaseException | None) -> dict[str, Any]:
    """Return status and fields with which a run ends that *error* left, None for a plain end."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return {"status": "success"}
    ending: dict[str, Any] = {
        "status": "failed",
        "error_summary": describe(error),
        "attributes": {"traceback": _trace_of(error)},
    }
    if not isinstance(error, Exception):  # asyncio.CancelledError among them
        ending["status_detail"] = type(error).__name__
    return ending


def describe(error: BaseException) -> str:
    """Return `Type: message`, 2,000 characters at most, also for an error whose text cannot be read."""
    text, failure = attempt(str, error)
    name = type(error).__name__
    if failure is not None:
        return f"{name}: <its text cannot be read>"
    if isinstance(error, GeneratorExit):
        text = text or "left before its end"  # Python says nothing, and a list of errors would show an empty line
    return f"{name}: {text}"[:_LONGEST_SUMMARY] if text else name


def _trace_of(error: BaseException) -> str:
    lines, failure = attempt(traceback.format_exception, error)
    text = "".join(lines) if failure is None else "<the traceback cannot be written>"
    return text[-_LONGEST_TRACE:]
