"""await erlang.async_call(...): any loop, any thread, any number."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Callable

import erlang
import pytest
import uvloop
from erlang import _pending
from fates import hangs, key, killed
from together import eventually, in_threads

Runner = Callable[[Coroutine[Any, Any, Any]], Any]


def on_asyncio(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 60))


def on_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, 60))
    finally:
        loop.close()


@pytest.fixture(params=[on_asyncio, on_uvloop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    runner: Runner = request.param
    return runner


def test_a_call(run: Runner) -> None:
    async def main() -> Any:
        return await erlang.async_call("double_it", 21)

    assert run(main()) == 42


def test_many_at_once_in_order(run: Runner) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*(erlang.async_call("sleep_random", 20, i) for i in range(300)))

    assert run(main()) == list(range(300))


def test_10000_in_flight(run: Runner) -> None:
    async def main() -> None:
        tasks = [asyncio.ensure_future(erlang.async_call("double_it", i)) for i in range(10_000)]
        assert await asyncio.gather(*tasks) == [2 * i for i in range(10_000)]

    run(main())


def test_10000_at_once_over_the_bound() -> None:
    """More than may run at once, each of which takes its time: the others wait, and none is lost."""

    async def main() -> None:
        calls = [erlang.async_call("sleep", 20) for _ in range(10_000)]
        assert await asyncio.gather(*calls) == [20] * 10_000

    on_asyncio(main())


def test_they_run_side_by_side(run: Runner) -> None:
    async def main() -> None:
        await asyncio.gather(*(erlang.async_call("sleep", 500) for _ in range(100)))

    start = time.monotonic()
    run(main())
    assert time.monotonic() - start < 50 / 2


def test_the_loop_goes_on_meanwhile(run: Runner) -> None:
    async def main() -> list[str]:
        order = []

        async def calls() -> None:
            await erlang.async_call("sleep", 200)
            order.append("call")

        async def computes() -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            order.append("loop")

        await asyncio.gather(calls(), computes())
        return order

    assert run(main()) == ["loop", "call"]


def test_failures(run: Runner) -> None:
    async def main() -> None:
        with pytest.raises(erlang.CallError, match="maybe_fail: 42"):
            await erlang.async_call("maybe_fail", 42)
        with pytest.raises(erlang.NotRegistered, match="Function 'nope' not registered"):
            await erlang.async_call("nope")
        with pytest.raises(TypeError, match="set has no Erlang term"):
            await erlang.async_call("echo", {1})
        with pytest.raises(TypeError, match="name"):
            await erlang.async_call(7)  # type: ignore[arg-type]
        assert await erlang.async_call("double_it", 1) == 2

    run(main())


def test_failures_among_others(run: Runner) -> None:
    async def main() -> list[Any]:
        numbers = [42 if i % 3 == 0 else -i for i in range(200)]
        calls = [erlang.async_call("maybe_fail" if n == 42 else "echo", n) for n in numbers]
        return list(zip(numbers, await asyncio.gather(*calls, return_exceptions=True)))

    for number, result in run(main()):
        assert isinstance(result, erlang.CallError) if number == 42 else result == number


def test_timeouts(run: Runner) -> None:
    name = key()

    async def main() -> None:
        running = asyncio.ensure_future(erlang.async_call("hang", name, timeout=0.5))
        with pytest.raises(erlang.Timeout):
            await erlang.async_call("hang", key(), timeout=0.01)
        with pytest.raises(erlang.Timeout):
            await running
        assert await erlang.async_call("double_it", 2, timeout=60) == 4

    run(main())
    killed(name)


def test_cancelling_kills(run: Runner) -> None:
    name = key()

    async def main() -> None:
        task = asyncio.ensure_future(erlang.async_call("hang", name))
        while await erlang.async_call("fate", name) != "running":
            pass
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while await erlang.async_call("fate", name) != "ended":
            pass
        assert await erlang.async_call("double_it", 1) == 2

    run(main())


def test_wait_for_kills() -> None:
    name = key()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(erlang.async_call("hang", name), 0.5)

    on_asyncio(main())
    killed(name)


def test_a_loop_that_ends_cancels_what_is_in_flight() -> None:
    """asyncio.run cancels the tasks that its main leaves behind."""
    name = key()

    async def main() -> None:
        task = asyncio.ensure_future(erlang.async_call("hang", name))
        while await erlang.async_call("fate", name) != "running":
            pass
        assert not task.done()

    on_asyncio(main())
    killed(name)


def test_cancelled_while_others_wait_their_turn() -> None:
    """Cancelled calls that have not even begun are taken out of the queue; the others all end."""

    async def main() -> None:
        tasks = [asyncio.ensure_future(erlang.async_call("sleep", 30)) for _ in range(4000)]
        await tasks[0]
        for task in tasks[1::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[::2] == [30] * 2000
        assert all(r == 30 or isinstance(r, asyncio.CancelledError) for r in results)

    on_asyncio(main())


def test_a_closed_loop_is_ignored() -> None:
    """The outcome of a call whose loop is gone disturbs nobody."""
    name = key()
    loop = asyncio.new_event_loop()
    call = erlang.async_call("hang", name, timeout=0.3)
    task = loop.create_task(call)
    loop.run_until_complete(asyncio.sleep(0))
    hangs(name)
    loop.close()
    killed(name)
    assert on_asyncio(erlang.async_call("double_it", 4)) == 8
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # on purpose
    call.close()


def test_a_closed_loop_among_others_of_a_batch() -> None:
    """Answers that come together, for three loops of which the middle one is gone: the others have theirs."""
    loops = [asyncio.new_event_loop() for _ in range(3)]
    futures = [loop.create_future() for loop in loops]
    tokens = [-1, -2, -3]  # no call has these
    _pending._table.update(zip(tokens, futures))
    loops[1].close()
    _pending._hand_out([part for token in tokens for part in (token, True, token)])
    for i in (0, 2):
        assert loops[i].run_until_complete(asyncio.wait_for(futures[i], 60)) == tokens[i]
        loops[i].close()
    assert not futures[1].done()
    assert not _pending._table.keys() & set(tokens)


def test_several_loops_in_several_threads() -> None:
    def work(i: int) -> None:
        async def main() -> list[Any]:
            return await asyncio.gather(*(erlang.async_call("double_it", i * 1000 + n) for n in range(200)))

        for run in (on_asyncio, on_uvloop):
            assert run(main()) == [2 * (i * 1000 + n) for n in range(200)]

    in_threads(8, work)


def test_tasks_and_calls_in_one_thread() -> None:
    """A call that blocks, on the thread of a loop with calls in flight."""

    async def main() -> None:
        task = asyncio.ensure_future(erlang.async_call("sleep", 50))
        await asyncio.sleep(0)
        assert erlang.call("double_it", 3) == 6
        assert await task == 50

    on_asyncio(main())


def test_without_a_loop() -> None:
    call = erlang.async_call("double_it", 1)
    with pytest.raises(RuntimeError):
        call.send(None)


@pytest.mark.beam
def test_each_runs_in_a_process_of_its_own() -> None:
    async def main() -> None:
        pids = await asyncio.gather(*(erlang.async_call("whoami") for _ in range(50)))
        assert len(set(pids)) == 50
        assert erlang.self() not in pids

    on_asyncio(main())


@pytest.mark.beam
def test_a_process_that_is_killed_fails_its_call_alone() -> None:
    async def main() -> None:
        other = asyncio.ensure_future(erlang.async_call("sleep", 100))
        with pytest.raises(erlang.CallError, match="exit: killed"):
            await erlang.async_call("kill_me")
        with pytest.raises(erlang.CallError, match="exit: bye"):
            await erlang.async_call("fail_exit")
        assert await other == 100

    on_asyncio(main())


def test_nothing_is_left_behind() -> None:
    async def main() -> None:
        await asyncio.gather(*(erlang.async_call("maybe_fail", n) for n in (42, 42)), return_exceptions=True)

    on_asyncio(main())
    eventually(lambda: not _pending._table, "no calls in the table")
