"""erlang.map: a pipeline with its results in order."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import erlang
import pytest
from fates import hangs, key, killed
from together import IN_FLIGHT, eventually, in_threads


def test_results_in_order() -> None:
    assert list(erlang.map("double_it", range(1000))) == [2 * n for n in range(1000)]
    assert list(erlang.map("double_it", [])) == []
    assert list(erlang.map("echo", ([n] for n in range(3)))) == [[0], [1], [2]]


@pytest.mark.parametrize("window", [1, 2, 7, 1000])
def test_windows(window: int) -> None:
    assert list(erlang.map("double_it", range(100), window=window)) == [2 * n for n in range(100)]
    assert list(erlang.map("double_it", range(100), window)) == [2 * n for n in range(100)]


def test_no_more_in_flight_than_the_window() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for n in itertools.count():
            taken += 1
            yield n

    results = erlang.map("double_it", items(), window=10)
    for n in range(50):
        assert next(results) == 2 * n
        assert taken == n + 10
    results.close()


def test_nothing_is_called_before_it_is_asked_for() -> None:
    name = key()
    erlang.map("hang", [name])
    assert erlang.call("fate", name) is None


def test_an_error_comes_at_its_item() -> None:
    results = erlang.map("maybe_fail", itertools.cycle([42]))
    with pytest.raises(erlang.CallError, match="maybe_fail: 42"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_results_before_an_error_are_given() -> None:
    results = erlang.map("size", [b"a", b"bc", "nine", b"x" * 5, 7, b"z"])
    assert [next(results) for _ in range(4)] == [1, 2, 4, 5]
    with pytest.raises(erlang.CallError):
        next(results)


def test_an_item_that_cannot_be_sent() -> None:
    results = erlang.map("echo", [1, 2, {3}, 4])
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(TypeError, match="set has no Erlang term"):
        next(results)


def test_an_iterable_that_fails() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    results = erlang.map("double_it", items())
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    with pytest.raises(LookupError, match="no more"):
        next(results)


def hanging(first: object, names: list[str]) -> Iterator[object]:
    """Items for hang: the first ends, or fails, at once; each of the others hangs before the next one is taken."""
    yield first
    for name in names:
        yield name
        hangs(name)
    yield ""


def test_closing_stops_what_is_in_flight() -> None:
    names = [key() for _ in range(5)]
    calls = erlang.map("hang", hanging("", names), window=7)
    assert next(calls) is None
    calls.close()
    for name in names:
        killed(name)
    eventually(lambda: erlang.stats()["in_flight"] == IN_FLIGHT, "nothing in flight")


def test_a_failure_stops_what_is_in_flight() -> None:
    names = [key() for _ in range(5)]
    with pytest.raises(TypeError, match="set has no Erlang term"):
        list(erlang.map("hang", hanging({1}, names), window=7))
    for name in names:
        killed(name)


def test_an_item_is_on_its_way_when_nobody_asks_for_more() -> None:
    """The item taken last, of a function that only the consumer could wait for."""
    name = key()
    calls = erlang.map("hang", iter(["", name]), window=2)
    assert next(calls) is None
    hangs(name)
    calls.close()
    killed(name)


def test_slow_functions_run_side_by_side() -> None:
    start = time.monotonic()
    assert list(erlang.map("sleep", [100] * 256)) == [100] * 256
    assert time.monotonic() - start < 25.6 / 2


def test_a_slow_item_in_the_midst_of_quick_ones() -> None:
    for slow in (0, 1, 31, 32, 62, 63):
        items = [0] * 64
        items[slow] = 50
        assert list(erlang.map("sleep", items)) == items


@pytest.mark.parametrize("last", [2, 64, 256])
def test_items_that_wait_for_the_next_one(last: int) -> None:
    name = key()
    items = [[name, n, last] for n in range(1, last + 1)]
    assert list(erlang.map("chain", items)) == list(range(1, last + 1))


def test_results_come_while_the_next_one_is_waited_for() -> None:
    """What the results before let the consumer do may be what the next one waits for."""
    name = key()
    results = erlang.map("hang", ["", "", "", name, ""], window=5)
    assert [next(results) for _ in range(3)] == [None] * 3
    hangs(name)
    results.close()
    killed(name)


def test_a_million_bytes_each() -> None:
    """Each a frame of its own, or several."""
    items = [bytes([255 - n]) * size for n, size in enumerate([1_000_000, 1, 70_000, 2, 16_384, 16_370, 3, 65_536, 1_000_000])]
    assert list(erlang.map("echo", items)) == items
    assert list(erlang.map("size", items)) == [len(item) for item in items]


def test_results_of_any_kind() -> None:
    items: list[Any] = [None, True, -1, 2**70, 1.5, "text", "", [], [1, 2], [300], (), (1, "x"), {"a": [1, {}]}, b"\xff"] * 20
    assert list(erlang.map("echo", items)) == items


def test_an_item_over_the_limit() -> None:
    results = erlang.map("size", [b"1", b"\xff" * (65 << 20), b"1"])
    assert next(results) == 1
    with pytest.raises(ValueError, match="max_frame"):
        next(results)


def test_the_first_of_several_errors() -> None:
    """An item that cannot be sent after one whose call fails, and the other way round."""
    with pytest.raises(erlang.CallError):
        list(erlang.map("size", [b"1", "x", 7, {1}, {2}]))
    with pytest.raises(TypeError, match="set has no"):
        list(erlang.map("size", [b"1", {1}, 7, {2}]))


def test_an_unregistered_name() -> None:
    results = erlang.map("nope", range(10))
    with pytest.raises(erlang.NotRegistered, match="Function 'nope' not registered"):
        next(results)
    with pytest.raises(TypeError, match="name of the function must be str"):
        list(erlang.map(7, [1]))  # type: ignore[arg-type]


def test_an_exception_that_is_none_of_the_items() -> None:
    """Ctrl-C in the iterable does not wait for the results before it."""

    def items() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    results = erlang.map("double_it", items())
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert list(results) == []


def test_a_map_that_feeds_a_map() -> None:
    inner = erlang.map("double_it", range(500))
    assert list(erlang.map("double_it", inner)) == [4 * n for n in range(500)]


def test_calls_in_the_iterable() -> None:
    def items() -> Iterator[int]:
        for n in range(100):
            yield erlang.call("double_it", n)

    assert list(erlang.map("double_it", items(), window=10)) == [4 * n for n in range(100)]


def test_a_map_within_itself() -> None:
    def items() -> Iterator[int]:
        yield 1
        next(results)

    results = erlang.map("double_it", items())
    assert next(results) == 2
    with pytest.raises(ValueError, match="generator already executing"):
        next(results)


def test_one_map_and_many_threads() -> None:
    """Each result is taken by one of them, one thread after the other."""
    results = erlang.map("double_it", range(2000))
    lock = threading.Lock()

    def work(_: int) -> list[int]:
        taken: list[int] = []
        while True:
            with lock:
                value = next(results, None)
            if value is None:
                return taken
            taken.append(value)

    parts = in_threads(4, work)
    assert sorted(itertools.chain(*parts)) == [2 * n for n in range(2000)]
    assert all(part == sorted(part) for part in parts)


def test_many_maps_at_once() -> None:
    def work(i: int) -> None:
        items = range(i * 1000, i * 1000 + 500)
        assert list(erlang.map("double_it", items, window=i + 1)) == [2 * n for n in items]

    in_threads(8, work)


def test_a_map_that_is_forgotten() -> None:
    name = key()
    results = erlang.map("hang", ["", name])
    assert next(results) is None
    hangs(name)
    del results
    gc.collect()
    killed(name)


def test_maps_that_are_given_up_half_way() -> None:
    for n in range(200):
        results: Generator[Any, None, None] = erlang.map("double_it", itertools.count(), window=n + 1)
        assert list(itertools.islice(results, n % 7)) == [2 * i for i in range(n % 7)]
        results.close()
    eventually(lambda: erlang.stats()["in_flight"] == IN_FLIGHT, "nothing in flight")


@pytest.mark.beam
def test_a_process_that_dies_fails_its_item_alone() -> None:
    results = erlang.map("die_at", [1, 2, 3, 42, 5])
    assert [next(results) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(erlang.CallError, match="exit: killed"):
        next(results)


@pytest.mark.beam
def test_a_dead_channel() -> None:
    results = erlang.map("kill_channel_at", [41, 42, 43], window=1)
    assert next(results) == 41
    with pytest.raises(erlang.Disconnected):
        next(results)
    assert list(erlang.map("double_it", range(100))) == [2 * n for n in range(100)]


@pytest.mark.parametrize("window", [0, -1])
def test_windows_that_make_no_sense(window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        erlang.map("double_it", [], window=window)


def test_a_window_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="window"):
        erlang.map("double_it", [], window="wide")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="map takes an iterable, .*, not int"):
        erlang.map("double_it", 7)  # type: ignore[arg-type]
