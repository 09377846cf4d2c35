"""Exceptions that strike while the ends of calls are handed over: Ctrl-C, Interrupted, MemoryError. No call is lost with them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import _erlang
import erlang
import pytest
from erlang import _pending
from fates import key
from test_asyncio import on_asyncio
from together import eventually, in_threads

# Not _tell: between its body and the release of its lock no exception comes by itself.
HAND_OVER = {"_reap", "_forget", "_hand_out", "_settle_in_loop", "settle", "_invoke_callbacks"}


class Strike:
    """Raises an exception at the step of that number of the functions that hand over, in a thread that has set it with sys.settrace."""

    def __init__(self, kind: type[BaseException], step: int) -> None:
        self.kind, self.left, self.struck = kind, step, False

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_name not in HAND_OVER or not frame.f_globals.get("__name__", "").startswith("erlang."):
            return None
        frame.f_trace_opcodes = sys.version_info >= (3, 10)  # 3.9 does not take exceptions well there
        if event != "return" and not self.struck:
            self.left -= 1
            if self.left < 0:
                self.struck = True
                raise self.kind
        return self


def on_completion_thread(act: Callable[[], None]) -> None:
    """Runs it there. A callback of a future that is done already runs here: then another one is tried."""
    ran: list[bool] = []

    def callback(_: Any) -> None:
        there = _pending.is_reaper()
        if there:
            act()
        ran.append(there)

    while not any(ran):
        ran.clear()
        erlang.submit("sleep", 1).add_done_callback(callback)
        eventually(lambda: ran, "the callback runs")


def results(futures: list[Any]) -> list[Any]:
    return [future.result(20) for future in futures]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """What the completion thread has reported."""
    reported: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))
    return reported


@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
def test_at_any_step_of_a_loop(kind: type[BaseException]) -> None:
    """From the first bytecode on, which is before any `try`."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    struck = 0
    for step in range(10_000):
        tasks = [loop.create_task(erlang.async_call("double_it", n)) for n in range(3)]
        everything = asyncio.gather(*tasks, return_exceptions=True)
        strike = Strike(kind, step)
        sys.settrace(strike)
        try:
            loop.run_until_complete(everything)
        except kind:
            struck += 1
        finally:
            sys.settrace(None)
        assert loop.run_until_complete(asyncio.wait_for(everything, 20)) == [0, 2, 4]
        if not strike.struck:
            break
    assert step > 10 and (struck == step or kind is MemoryError)
    loop.close()


def test_at_any_step_of_a_loop_again_and_again() -> None:
    loop = asyncio.new_event_loop()
    everything = asyncio.gather(*(loop.create_task(erlang.async_call("double_it", n)) for n in range(3)))
    for step in [0, 0, 0, 0, 0, 1, 2, 3, 0, 0]:
        sys.settrace(Strike(KeyboardInterrupt, step))
        try:
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(everything)
        finally:
            sys.settrace(None)
    assert loop.run_until_complete(asyncio.wait_for(everything, 20)) == [0, 2, 4]
    loop.close()


@pytest.mark.parametrize("kind", [erlang.Interrupted, SystemExit])
def test_at_any_step_of_the_completion_thread(kind: type[BaseException], quiet: list[type[BaseException]]) -> None:
    """Futures of threads and of loops, their callbacks, and those that are cancelled."""
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()
    for step in range(10_000):
        strike = Strike(kind, step)
        on_completion_thread(lambda: sys.settrace(strike))
        called: list[Any] = []
        futures = [erlang.submit("double_it", n) for n in range(3)]
        for future in futures:
            future.add_done_callback(lambda f: called.append(f.result()))
        awaited = asyncio.run_coroutine_threadsafe(erlang.async_call("double_it", 5), loop)
        stopped = erlang.submit("sleep", 60_000)
        assert stopped.cancel() and not concurrent.futures.wait([stopped], 20).not_done
        assert results([*futures, awaited]) == [0, 2, 4, 10]
        eventually(lambda: sorted(called) == [0, 2, 4], f"each callback is called once: {called}")
        if not strike.struck:
            break
    assert step > 10
    on_completion_thread(lambda: sys.settrace(None))
    loop.call_soon_threadsafe(loop.stop)
    running.join(20)
    loop.close()


def test_a_hail_of_interrupts(quiet: list[type[BaseException]]) -> None:
    """None strikes the completion thread: in the library's code it would leave a lock taken."""
    erlang.submit("double_it", 1).result(60)
    reaper = _pending._reaper
    assert reaper is not None
    ident = reaper.ident or 0
    over = threading.Event()

    def strikes() -> None:
        while not over.is_set():
            _erlang.raise_in(ident, erlang.Interrupted)
            over.wait(0.0001)

    striking = threading.Thread(target=strikes)
    striking.start()
    try:

        async def main() -> None:
            calls = (erlang.async_call("double_it", n) for n in range(2000))
            assert await asyncio.gather(*calls) == [2 * n for n in range(2000)]

        for _ in range(3):
            called: list[Any] = []
            futures = [erlang.submit("double_it", n) for n in range(2000)]
            for future in futures:
                future.add_done_callback(called.append)
            on_asyncio(main())
            assert results(futures) == [2 * n for n in range(2000)]
            eventually(lambda: len(called) == 2000 and set(called) == set(futures), "each callback is called once")
    finally:
        over.set()
        striking.join(60)
    assert not quiet and reaper.is_alive() and erlang.submit("double_it", 4).result(60) == 8


def test_callbacks_that_raise_whatever_they_like(quiet: list[type[BaseException]]) -> None:
    """They are no matter for those of the same future, nor for other futures."""
    called: list[str] = []

    def raises(kind: type[BaseException]) -> Callable[[Any], None]:
        def callback(_: Any) -> None:
            called.append(kind.__name__)
            raise kind

        return callback

    kinds: list[type[BaseException]] = [KeyboardInterrupt, MemoryError, SystemExit, GeneratorExit, erlang.Interrupted, ValueError]
    future = erlang.submit("sleep", 20)
    for kind in kinds:
        future.add_done_callback(raises(kind))

    async def main() -> Any:
        return await asyncio.wrap_future(future)

    assert on_asyncio(main()) == 20
    eventually(lambda: called == [kind.__name__ for kind in kinds], "each of them is called")
    assert erlang.submit("double_it", 5).result(60) == 10


@pytest.mark.parametrize("times", [2, 4])
def test_a_loop_that_cannot_be_told_at_once(quiet: list[type[BaseException]], times: int) -> None:
    """Three attempts for each batch of ends; the next batch brings the rest."""
    failing = threading.Event()

    class Loop(asyncio.SelectorEventLoop):
        failures: Iterator[type[BaseException]] = iter([MemoryError, KeyboardInterrupt, OSError, RuntimeError][:times])

        def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:  # type: ignore[override]
            failing.set()
            for failure in self.failures:
                raise failure("not now")
            return super().call_soon_threadsafe(*args, **options)

    def others() -> None:
        assert failing.wait(20) and erlang.submit("double_it", 1).result(20) == 2

    other = threading.Thread(target=others)
    other.start()
    loop = Loop()
    assert loop.run_until_complete(asyncio.wait_for(erlang.async_call("double_it", 21), 20)) == 42
    other.join(20)
    loop.close()
    assert quiet == [MemoryError, KeyboardInterrupt, OSError, RuntimeError][:times]


def test_an_exception_when_a_call_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has its future: it is taken back."""
    for way in ("submit", "offer"):
        start = getattr(_erlang, way)

        def struck(*args: Any, start: Callable[..., Any] = start) -> None:
            start(*args)
            raise KeyboardInterrupt

        name = key()
        with monkeypatch.context() as patch:
            patch.setattr(_erlang, way, struck)
            with pytest.raises(KeyboardInterrupt):
                if way == "submit":
                    erlang.submit("hang", name)
                else:
                    # Outside of a task, since that would end the loop with it.
                    loop = asyncio.new_event_loop()
                    asyncio._set_running_loop(loop)
                    try:
                        erlang.async_call("hang", name).send(None)
                    finally:
                        asyncio._set_running_loop(None)
                        loop.close()
        eventually(lambda: erlang.call("fate", name) != "running", "it has been killed")
    eventually(lambda: not _pending._table, "no calls in the table")


def test_a_callback_that_raises_when_its_call_is_cancelled() -> None:
    name = key()
    future = erlang.submit("hang", name)

    def callback(_: Any) -> None:
        raise KeyboardInterrupt

    called: list[Any] = []
    future.add_done_callback(callback)
    future.add_done_callback(called.append)
    with pytest.raises(KeyboardInterrupt):
        future.cancel()
    assert future.cancelled()
    assert not concurrent.futures.wait([future], 60).not_done
    eventually(lambda: called == [future], "the other callback is called")
    eventually(lambda: erlang.call("fate", name) != "running", "it has been killed")


def test_cancelled_from_many_threads_at_about_the_end() -> None:
    for n in range(100):
        future = erlang.submit("double_it", n)
        told: list[Any] = []
        future.add_done_callback(told.append)
        cancelled = in_threads(3, lambda _: future.cancel())
        assert not concurrent.futures.wait([future], 60).not_done
        assert len(set(cancelled)) == 1
        assert future.cancelled() if cancelled[0] else future.result(60) == 2 * n
        eventually(lambda: told == [future], "told once")
