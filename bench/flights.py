"""Many calls in flight at once."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import erlang


def mapped(calls: int) -> dict[str, Any]:
    return _result(calls, lambda: list(erlang.map("double_it", range(calls))))


def gathered(calls: int) -> dict[str, Any]:
    async def gather() -> list[Any]:
        return await asyncio.gather(*[erlang.async_call("double_it", i) for i in range(calls)])

    return _result(calls, lambda: asyncio.run(gather()))


def loop(calls: int) -> dict[str, Any]:
    """What asyncio needs by itself: coroutines that wait for a future which the loop resolves."""

    async def wait(value: int) -> int:
        future = asyncio.get_running_loop().create_future()
        future.get_loop().call_soon(future.set_result, value)
        result: int = await future
        return result

    async def gather() -> list[int]:
        return await asyncio.gather(*[wait(2 * i) for i in range(calls)])

    return _result(calls, lambda: asyncio.run(gather()))


def submitted(calls: int) -> dict[str, Any]:
    def submit() -> list[Any]:
        return [future.result() for future in [erlang.submit("double_it", i) for i in range(calls)]]

    return _result(calls, submit)


def _result(calls: int, run: Any) -> dict[str, Any]:
    start = perf_counter()
    results = run()
    took = perf_counter() - start
    if results != [2 * i for i in range(calls)]:
        raise AssertionError("wrong results")
    return {"calls": [calls], "seconds": took}
