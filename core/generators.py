"""Put a run around a generator, plain or async: inside, the run is the current one; whoever holds it sees his own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

__all__ = ["around_async_generator", "around_generator"]


class _Inside:
    """
    One step of a generator, as a block: the current run is the generator's, and afterwards again its caller's.

    Only this one variable is exchanged. In a copy of the whole context, as it was once, the generator did not see
    what its caller set meanwhile (the precision of decimal numbers, say), nor the caller what the generator set.
    """

    def __init__(self, current: ContextVar[Any], own: Any) -> None:
        self._current = current
        self._own = own
        self._outside: Any = None

    def __enter__(self) -> None:
        self._outside = self._current.get()
        self._current.set(self._own)

    def __exit__(self, *error: object) -> None:
        self._own = self._current.get()  # it may have yielded in the middle of another run
        self._current.set(self._outside)


class _Stepped(Generator[Any, Any, Any]):
    """The same generator, each step of which is taken inside."""

    def __init__(self, inner: Generator[Any, Any, Any], inside: _Inside) -> None:
        self._inner = inner
        self._inside = inside

    def send(self, value: Any) -> Any:
        with self._inside:
            return self._inner.send(value)

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Any:
        with self._inside:
            return self._inner.throw(kind if value is None else value)

    def close(self) -> None:
        with self._inside:
            self._inner.close()


def around_generator(
    function: Callable[..., Generator[Any, Any, Any]],
    run: Callable[[], AbstractContextManager[Any]],
    current: ContextVar[Any],
) -> Callable[..., Generator[Any, Any, Any]]:
    """Return *function* with a *run* around each generator that it returns, from the first step to the last."""

    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        outside = current.get()
        with run() as own:
            current.set(outside)
            return (yield from _Stepped(function(*args, **kwargs), _Inside(current, own)))

    return call


def around_async_generator(
    function: Callable[..., AsyncGenerator[Any, Any]],
    run: Callable[[], AbstractContextManager[Any]],
    current: ContextVar[Any],
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Return *function* with a *run* around each async generator that it returns, from the first step to the last."""

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        outside = current.get()
        with run() as own:
            current.set(outside)
            inner, inside = function(*args, **kwargs), _Inside(current, own)
            try:
                with inside:
                    item = await inner.asend(None)
                while True:
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - it is thrown on, into the generator
                        with inside:
                            item = await inner.athrow(error)
                    else:
                        with inside:
                            item = await inner.asend(sent)
            except StopAsyncIteration:
                return
            finally:
                with inside:
                    await inner.aclose()

    return call
