"""erlang.map: a pipeline with its results in order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import erlang
import pytest
from fates import hangs, key, killed
from together import IN_FLIGHT, eventually


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


@pytest.mark.parametrize("window", [0, -1])
def test_windows_that_make_no_sense(window: int) -> None:
    with pytest.raises(ValueError, match="window"):
        erlang.map("double_it", [], window=window)


def test_a_window_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="window"):
        erlang.map("double_it", [], window="wide")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="iterable"):
        erlang.map("double_it", 7)  # type: ignore[arg-type]
