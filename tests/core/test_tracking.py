"""Hold tracked runs to their blocks: in tasks, threads, generators and processes, however the block is left."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from telemetry import current_run
from telemetry.core.run import sharing, track


def _ends(sink: Any) -> dict[str, Any]:
    """Return the ended runs by job."""
    return {run.job_type: run for run in sink.runs if not run.is_running}


def _events(sink: Any) -> list[tuple[str, str]]:
    """Return job and type of each event."""
    jobs = {run.run_id: run.job_type for run in sink.runs}
    return [(jobs[event.run_id], event.event_type) for event in sink.events]


def _log(event_type: str) -> None:
    run = current_run()
    assert run is not None
    run.log_event(event_type)


# asyncio


def test_tasks_side_by_side_have_each_their_own_run(client, sink):
    """Fifty tasks that interleave at every step: each event is in the run of its task, and each run is a success."""

    async def work(number: int) -> None:
        async with client.track_run("agent", f"job-{number}") as run:
            for step in range(5):
                await asyncio.sleep(0)
                assert current_run() is run
                _log(f"{number}.{step}")
        assert current_run() is None

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(50)))

    asyncio.run(main())

    assert {(f"job-{number}", f"{number}.{step}") for number in range(50) for step in range(5)} == set(_events(sink))
    assert ["success"] * 50 == [run.status for run in _ends(sink).values()]


def test_a_cancelled_task_ends_its_run(client, sink):
    """The run is failed with the exception's name, its parent goes on, and the cancellation is passed on."""

    @track("agent", "decorated")
    async def decorated() -> None:
        await asyncio.sleep(60)

    async def block() -> None:
        async with client.track_run("agent", "block"):
            await asyncio.sleep(60)

    async def main() -> list[Any]:
        async with client.track_run("agent", "main"):
            tasks = [asyncio.create_task(decorated()), asyncio.create_task(block())]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    with sharing(client):
        errors = asyncio.run(main())

    ends = _ends(sink)
    assert [asyncio.CancelledError] * 2 == [type(error) for error in errors]
    assert [("failed", "CancelledError")] * 2 == [
        (ends[job].status, ends[job].status_detail) for job in ("decorated", "block")
    ]
    assert "success" == ends["main"].status
    assert {ends["main"].run_id} == {ends["decorated"].parent_run_id, ends["block"].parent_run_id}


def test_a_timeout_inside_a_block_fails_the_run_by_its_name(client, sink):
    """What leaves the block is what asyncio.timeout() makes of the cancellation."""

    async def main() -> None:
        async with client.track_run("agent", "slow"), asyncio.timeout(0.01):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert "failed" == _ends(sink)["slow"].status
    assert _ends(sink)["slow"].error_summary.startswith("TimeoutError")


def test_a_task_that_is_begun_in_a_block_is_inside_it(client, sink):
    """Also in a thread of asyncio.to_thread(); and what it begins is no business of its parent's."""

    async def child() -> None:
        with client.track_run("agent", "child"):
            await asyncio.sleep(0)
            await asyncio.to_thread(_log, "from a thread")

    async def main() -> None:
        async with client.track_run("agent", "main") as run, asyncio.TaskGroup() as group:
            group.create_task(child())
            await asyncio.sleep(0)
            assert current_run() is run

    asyncio.run(main())

    assert [("child", "from a thread")] == _events(sink)
    assert _ends(sink)["child"].parent_run_id == _ends(sink)["main"].run_id


# generators


@pytest.mark.parametrize(
    "leave", [lambda made: made.close(), lambda made: made.throw(GeneratorExit)], ids=["close", "throw"]
)
def test_a_generator_that_is_left_early_says_so(client, sink, leave):
    """Python gives GeneratorExit no text; a list of errors would have an empty line."""

    @client.track_run("agent", "decorated")
    def decorated() -> Iterator[int]:
        with client.track_run("agent", "block"):
            yield 1

    made = decorated()
    next(made)
    with suppress(GeneratorExit):
        leave(made)

    ends = _ends(sink)
    assert ["GeneratorExit: left before its end"] * 2 == [ends[job].error_summary for job in ("block", "decorated")]
    assert {"failed"} == {run.status for run in ends.values()}


def test_a_generator_may_call_it_a_success_to_be_left(client, sink):
    """What it says of its end when it is closed counts; what it raises then is a failure."""

    def taken(number: int) -> Iterator[int]:
        try:
            yield number
        except GeneratorExit:
            run = current_run()
            assert run is not None
            if number == 0:
                raise KeyError("cleanup") from None
            client.end_run(run.run_id)
            raise

    for number, job in ((1, "closed"), (2, "collected"), (0, "broken")):
        made = client.track_run("agent", job)(taken)(number)
        assert number == next(made)
        if job == "collected":
            del made
            gc.collect()
        else:
            with suppress(KeyError):
                made.close()

    assert {"closed": "success", "collected": "success", "broken": "failed"} == {
        job: run.status for job, run in _ends(sink).items()
    }
    assert "KeyError: 'cleanup'" == _ends(sink)["broken"].error_summary


def test_a_generator_is_tracked_from_its_first_step_to_its_last(client, sink):
    """Inside, its run is the current one; between the steps the caller's is, also in a block of the generator's."""

    @track("agent", "numbers")
    def numbers() -> Iterator[int]:
        _log("begun")
        yield 1
        with client.track_run("agent", "part"):
            _log("in part")
            yield 2
            _log("still in part")
        _log("done")

    with sharing(client), client.track_run("agent", "caller") as caller:
        made = numbers()
        assert {"caller"} == {run.job_type for run in sink.runs}
        for _ in made:
            assert current_run() is caller

    expected = [("numbers", "begun"), ("part", "in part"), ("part", "still in part"), ("numbers", "done")]
    assert expected == _events(sink)
    ends = _ends(sink)
    assert ends["numbers"].run_id == ends["part"].parent_run_id
    assert ends["caller"].run_id == ends["numbers"].parent_run_id


def test_a_generator_keeps_the_whole_protocol(client, sink):
    """send(), throw(), return and close() get through to it, and its run ends as it does."""

    @track("agent", "echo")
    def echo() -> Any:
        said = yield "ready"
        try:
            said = yield said
        except KeyError as error:
            said = yield f"caught {error}"
        return f"last {said}"

    with sharing(client):
        made = echo()
        assert ["ready", "one", "caught 'two'"] == [next(made), made.send("one"), made.throw(KeyError("two"))]
        with pytest.raises(StopIteration) as ended:
            made.send("three")
        assert "last three" == ended.value.value
        assert "success" == _ends(sink)["echo"].status

        sink.records.clear()
        left = echo()
        next(left)
        left.close()
        assert ("failed", "GeneratorExit") == (_ends(sink)["echo"].status, _ends(sink)["echo"].status_detail)

        sink.records.clear()
        thrown = echo()
        next(thrown)
        with pytest.raises(ValueError, match="no"):
            thrown.throw(ValueError("no"))
        assert "ValueError: no" == _ends(sink)["echo"].error_summary


def test_a_generator_sees_what_its_caller_sets_between_the_steps(client):
    """Context variables are those of the caller at each step, and what the generator sets is seen outside."""
    color: contextvars.ContextVar[str] = contextvars.ContextVar("color", default="none")

    @track("agent", "painting")
    def painting() -> Iterator[Any]:
        yield color.get()
        yield color.get()
        color.set("blue")
        yield decimal.getcontext().prec

    with sharing(client), decimal.localcontext():
        made = painting()
        assert "none" == next(made)
        color.set("red")
        assert "red" == next(made)
        decimal.getcontext().prec = 7
        assert 7 == next(made)
        assert "blue" == color.get()
        made.close()


def test_an_abandoned_generator_ends_its_run(client, sink):
    """When it is collected, as failed; and the current run of whoever collects it stays the same."""

    @track("agent", "abandoned")
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    with sharing(client), client.track_run("agent", "caller") as caller:
        next(numbers())
        gc.collect()

        assert current_run() is caller
    assert "failed" == _ends(sink)["abandoned"].status


def test_an_async_generator_keeps_the_whole_protocol(client, sink):
    """asend(), athrow() and aclose() get through to it, and its run ends as it does."""

    @track("agent", "echo")
    async def echo() -> Any:
        said = yield "ready"
        try:
            said = yield said
        except KeyError as error:
            said = yield f"caught {error}"
        _log(f"heard {said}")

    async def main() -> None:
        with client.track_run("agent", "caller") as caller:
            made = echo()
            assert "ready" == await made.asend(None)
            assert current_run() is caller
            assert "one" == await made.asend("one")
            assert "caught 'two'" == await made.athrow(KeyError("two"))
            with pytest.raises(StopAsyncIteration):
                await made.asend("three")
            assert current_run() is caller
        assert "success" == _ends(sink)["echo"].status
        assert [("echo", "heard three")] == _events(sink)

        sink.records.clear()
        left = echo()
        await anext(left)
        await left.aclose()
        assert ("failed", "GeneratorExit") == (_ends(sink)["echo"].status, _ends(sink)["echo"].status_detail)

        sink.records.clear()
        thrown = echo()
        await anext(thrown)
        with pytest.raises(ValueError, match="no"):
            await thrown.athrow(ValueError("no"))
        assert "ValueError: no" == _ends(sink)["echo"].error_summary

    with sharing(client):
        asyncio.run(main())


def test_an_async_generator_is_cancelled_with_its_task(client, sink):
    """Its `finally` runs inside its run, which fails; the caller's own current run comes back."""

    @track("agent", "stream")
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
            yield 2
        finally:
            _log("cleaned")

    async def main() -> None:
        async with client.track_run("agent", "caller"):
            async for _ in stream():
                pass

    async def cancelled() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(0.02)
        task.cancel()
        await task

    with sharing(client), pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())

    assert [("stream", "cleaned")] == _events(sink)
    assert ["CancelledError"] * 2 == [_ends(sink)[job].status_detail for job in ("stream", "caller")]


def test_an_async_generator_closed_by_another_task_leaves_no_current_run(client, sink):
    """The event loop closes abandoned ones in a task of its own, whose current run stays what it was."""

    @track("agent", "stream")
    async def stream() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def close(made: Any) -> None:
        with client.track_run("agent", "closer") as closer:
            await made.aclose()
            assert current_run() is closer
        assert current_run() is None

    async def main() -> None:
        made = stream()
        await anext(made)
        await asyncio.create_task(close(made))
        assert current_run() is None

    with sharing(client):
        asyncio.run(main())

    assert "failed" == _ends(sink)["stream"].status


# one object, many blocks


def test_one_tracking_serves_blocks_inside_each_other(client, sink):
    """Two entries are two runs, and both end."""
    tracking = client.track_run("agent", "job")

    with tracking as outer:
        with tracking as inner:
            assert current_run() is inner
        assert current_run() is outer
    with tracking as third:
        pass

    ended = [run.run_id for run in sink.runs if not run.is_running]
    assert [inner.run_id, outer.run_id, third.run_id] == ended
    assert current_run() is None


def test_one_tracking_serves_threads_and_tasks(client, sink):
    """Each thread and each task leaves the block that it has entered, in whatever order."""
    tracking = client.track_run("agent", "job")
    inside = threading.Barrier(8)

    def work(number: int) -> None:
        for _ in range(3):
            with tracking as run:
                inside.wait(30)
                run.log_event(f"thread {number}")
                assert current_run() is run
                if number % 2:
                    inside.wait(30)
            if not number % 2:
                inside.wait(30)

    async def tasks() -> None:
        async def task(number: int) -> None:
            async with tracking:
                await asyncio.sleep(0.001 * (number % 3))
                _log(f"task {number}")

        await asyncio.gather(*(task(number) for number in range(10)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(tasks())

    starts, ends = ({run.run_id for run in sink.runs if run.is_running is side} for side in (True, False))
    assert (34, starts) == (len(starts), ends)
    assert {"success"} == {run.status for run in sink.runs if not run.is_running}


def test_blocks_that_are_left_in_another_order_than_entered(client, sink):
    """As two halves of a program do it by hand: both runs end, and no ended run stays the current one."""
    first, second = client.track_run("agent", "first"), client.track_run("agent", "second")

    first.__enter__()
    inner = second.__enter__()
    first.__exit__(None, None, None)
    assert current_run() is inner
    second.__exit__(None, None, None)

    assert current_run() is None
    assert {"first", "second"} == set(_ends(sink))


def test_leaving_a_block_that_nobody_entered_does_nothing(client, sink):
    """An exit more than entries is no error of the agent's."""
    client.track_run("agent", "job").__exit__(None, None, None)

    assert [] == sink.records


# names


def test_a_metric_may_have_any_name(client, sink, warnings_of):
    """Also those of the parameters of our own methods."""
    odd = {"self": 1, "run_id": 2, "metrics": {"a": 3}}
    with client.track_run("agent", "job", self=4) as run:
        run.set_metrics(**odd)
        run.log_llm_call("model", self=5)
        with run.tool("fetch", self=6):
            pass
        with run.child("part", self=7):
            pass
        client.end_run(run.run_id, self=8)
    client.start_run("agent", "another", self=9)

    ends = _ends(sink)
    assert {"self": 1, "run_id": 2, "a": 3} == {name: ends["job"].metrics.get(name) for name in ("self", "run_id", "a")}
    assert (8, 7) == (ends["job"].attributes["self"], ends["part"].attributes["self"])
    assert [5, 6] == [event.payload["self"] for event in sink.events if "self" in event.payload]
    assert 9 == sink.runs[-1].attributes["self"]
    assert [] == [warning for warning in warnings_of() if "fault of its own" in warning]


def test_one_decoration_for_many_functions(client, sink):
    """What track() was given holds for each function that it decorates, not for the first alone."""
    nightly = track("agent", trigger_type="scheduler", product="shop")

    @nightly
    def first() -> None: ...

    @nightly
    def second() -> None: ...

    with sharing(client):
        first()
        second()

    assert [("scheduler", "shop")] * 2 == [(run.trigger_type, run.product) for run in _ends(sink).values()]
