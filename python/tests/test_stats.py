"""erlang.stats(): calls and bytes, however the calls are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import erlang
import pytest
from fates import hangs, key
from together import IN_FLIGHT, eventually

Call = Callable[[str, object], Any]


def call(name: str, argument: object) -> Any:
    return erlang.call(name, argument)


def submit(name: str, argument: object) -> Any:
    return erlang.submit(name, argument).result(60)


def async_call(name: str, argument: object) -> Any:
    return asyncio.run(_awaited(name, argument))


async def _awaited(name: str, argument: object) -> Any:
    return await erlang.async_call(name, argument)


def mapped(name: str, argument: object) -> Any:
    return next(erlang.map(name, [argument]))


ways = pytest.mark.parametrize("way", [call, submit, async_call, mapped])


@ways
def test_calls_are_counted(way: Call) -> None:
    before = erlang.stats()
    assert [way("double_it", n) for n in range(10)] == [2 * n for n in range(10)]
    with pytest.raises(erlang.CallError):
        way("maybe_fail", 42)
    after = erlang.stats()
    assert after["calls"] == before["calls"] + 11
    assert after["in_flight"] == before["in_flight"] == IN_FLIGHT


@pytest.mark.beam
@ways
def test_bytes_are_counted(way: Call) -> None:
    before = erlang.stats()
    data = b"\xff" * 10_000
    assert way("echo", data) == data
    after = erlang.stats()
    assert 10_000 < after["bytes_out"] - before["bytes_out"] < 12_000
    assert 10_000 < after["bytes_in"] - before["bytes_in"] < 12_000


def test_submitted_calls_are_in_flight_until_they_are_cancelled() -> None:
    names = [key() for _ in range(5)]
    before = erlang.stats()["calls"]
    futures = [erlang.submit("hang", name) for name in names]
    for name in names:
        hangs(name)
    assert erlang.stats()["in_flight"] == IN_FLIGHT + 5
    for future in futures:
        assert future.cancel()
    assert erlang.stats()["in_flight"] == IN_FLIGHT
    assert erlang.stats()["calls"] >= before + 5


def test_items_of_a_map_are_in_flight_until_it_is_closed() -> None:
    names = [key() for _ in range(5)]
    calls = erlang.map("hang", ["", *names, ""], window=7)
    assert next(calls) is None
    for name in names[:1]:
        hangs(name)
    eventually(lambda: erlang.stats()["in_flight"] == IN_FLIGHT + 5, "those that hang are in flight")
    before = erlang.stats()["calls"]
    calls.close()
    assert erlang.stats()["in_flight"] == IN_FLIGHT
    assert erlang.stats()["calls"] == before + 5


@pytest.mark.beam
def test_what_a_lost_connection_has_carried_stays_counted() -> None:
    data = b"\xff" * 10_000
    assert submit("echo", data) == data
    before = erlang.stats()["bytes_out"]
    with pytest.raises(erlang.Disconnected):
        erlang.submit("kill_channel").result(60)
    assert erlang.stats()["bytes_out"] >= before
