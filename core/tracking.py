"""Tie a run to a block of code: `with`, `async with`, a decorator; however the block is left, the run has its end."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing, contextmanager
from contextvars import Context, ContextVar, Token, copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from .shield import attempt

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

    def log_event(self, event_type: str, payload: Any = None) -> None:
        """Record that something happened; *payload* is any object."""
        self._client.log_event(self.run_id, event_type, payload)

    def set_metrics(self, **metrics: Any) -> None:
        """Set metrics, and known fields of the record."""
        self._client.set_metrics(self.run_id, **metrics)

    def increment(self, name: str, by: float = 1) -> None:
        """Add *by* to a metric or to one of the `items_*` counts."""
        self._client.increment(self.run_id, name, by)

    def child(self, job_type: str | None = None, *, agent_name: str | None = None, **fields: Any) -> Tracking:
        """Return a tracked run that is part of this one; of the same agent unless another is named."""
        fields.setdefault("parent_run_id", self.run_id)
        tracking: Tracking = self._client.track_run(agent_name or self.agent_name or "unknown", job_type, **fields)
        return tracking

    def log_llm_call(
        self,
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

    @contextmanager
    def tool(self, name: str, **details: Any) -> Iterator[None]:
        """Record the use of a tool as two events, `tool_started` and `tool_ended` with duration and outcome."""
        self.log_event("tool_started", {"tool": name, **details})
        began = time.monotonic()
        error: str | None = "left early"
        try:
            yield
            error = None
        except BaseException as failure:
            error = describe(failure)
            raise
        finally:
            duration_ms = round((time.monotonic() - began) * 1000, 3)
            outcome = {"tool": name, "duration_ms": duration_ms, "ok": error is None, "error": error}
            self.log_event("tool_ended", outcome)


class Tracking:
    """
    A run that begins when the block is entered and ends when it is left.

    As a decorator it starts a run of its own for every call of the function: plain, async, generator or async
    generator. What the block raises is recorded and raised on untouched.
    """

    def __init__(self, client: Any, agent_name: Any, job_type: Any, trigger_type: Any, fields: dict[str, Any]) -> None:
        self._client = client
        self._start = (agent_name, job_type, trigger_type)
        self._fields = fields
        self._context: RunContext | None = None
        self._token: Token[RunContext | None] | None = None
        self._process_id = 0

    def __enter__(self) -> RunContext:
        run_id = self._client.start_run(*self._start, **self._fields)
        agent_name = self._start[0]
        self._context = RunContext(self._client, run_id, agent_name if isinstance(agent_name, str) else None)
        self._token = _current.set(self._context)
        self._process_id = os.getpid()
        return self._context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        context, self._context = self._context, None
        if context is None:
            return
        self._leave()
        # A child that was forked inside the block leaves it too, but the run is its parent's.
        if self._process_id == os.getpid():
            self._client._end_tracked(context.run_id, **ending_of(error))

    def _leave(self) -> None:
        if self._token is not None:
            # A generator may be closed in another context than it was begun in; then there is nothing to reset.
            attempt(_current.reset, self._token)
            self._token = None

    async def __aenter__(self) -> RunContext:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Return *function* with a run around each call."""
        if inspect.isasyncgenfunction(function):
            wrapped: Any = self._around_async_generator(function)
        elif inspect.isgeneratorfunction(function):
            wrapped = self._around_generator(function)
        elif asyncio.iscoroutinefunction(function):
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

    def _around_generator(self, function: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            # In a context of its own, or the run would be the current one of whoever holds the generator.
            own, tracking = copy_context(), self._again()
            own.run(tracking.__enter__)
            try:
                result = yield from _InContext(function(*args, **kwargs), own)
            except BaseException as error:
                own.run(tracking.__exit__, type(error), error, error.__traceback__)
                raise
            own.run(tracking.__exit__, None, None, None)
            return result

        return call

    def _around_async_generator(self, function: Callable[..., AsyncGenerator[Any, Any]]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            outside = _current.get()
            with self._again() as context:
                async with aclosing(function(*args, **kwargs)) as inner:
                    async for item in inner:
                        _current.set(outside)
                        yield item
                        _current.set(context)

        return call


class _InContext(Generator[Any, Any, Any]):
    """Run each step of a generator inside a context of variables."""

    def __init__(self, inner: Generator[Any, Any, Any], context: Context) -> None:
        self._inner = inner
        self._context = context

    def send(self, value: Any) -> Any:
        return self._context.run(self._inner.send, value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        return self._context.run(self._inner.throw, kind if value is None else value)

    def close(self) -> None:
        self._context.run(self._inner.close)


def ending_of(error: BaseException | None) -> dict[str, Any]:
    """Return status and fields with which a run ends that *error* left, None for a plain end."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return {"status": "success"}
    ending: dict[str, Any] = {
        "status": "failed",
        "error_summary": describe(error),
        "attributes": {"traceback": _trace_of(error)},
    }
    if not isinstance(error, Exception) or isinstance(error, asyncio.CancelledError):
        ending["status_detail"] = type(error).__name__
    return ending


def describe(error: BaseException) -> str:
    """Return `Type: message`, 2,000 characters at most, also for an error whose text cannot be read."""
    text, failure = attempt(str, error)
    name = type(error).__name__
    if failure is not None:
        return f"{name}: <its text cannot be read>"
    return f"{name}: {text}"[:_LONGEST_SUMMARY] if text else name


def _trace_of(error: BaseException) -> str:
    lines, failure = attempt(traceback.format_exception, error)
    text = "".join(lines) if failure is None else "<the traceback cannot be written>"
    return text[-_LONGEST_TRACE:]
