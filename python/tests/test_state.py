"""The table that all threads share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import erlang
import pytest
from together import in_threads


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    erlang.state_clear()
    yield
    erlang.state_clear()


def test_set_and_get() -> None:
    assert erlang.state_get("config") is None
    erlang.state_set("config", {"retries": 3, "hosts": ["a", "b"]})
    assert erlang.state_get("config") == {"retries": 3, "hosts": ["a", "b"]}
    erlang.state_set("config", 1)
    assert erlang.state_get("config") == 1


@pytest.mark.parametrize("key", ["text", b"\xff", 7, 2.5, ("a", 1), ["list"], {"map": 1}, None, True])
def test_keys_are_any_terms(key: Any) -> None:
    erlang.state_set(key, "value")
    assert erlang.state_get(key) == "value"
    assert erlang.state_keys() == [key]
    erlang.state_delete(key)
    assert erlang.state_keys() == []


def test_keys() -> None:
    for n in range(10):
        erlang.state_set(f"key-{n}", n)
    assert sorted(erlang.state_keys()) == [f"key-{n}" for n in range(10)]
    erlang.state_clear()
    assert erlang.state_keys() == []


def test_delete() -> None:
    erlang.state_set("x", 1)
    erlang.state_delete("x")
    erlang.state_delete("x")
    assert erlang.state_get("x") is None


def test_counters() -> None:
    assert erlang.state_incr("hits") == 1
    assert erlang.state_incr("hits", 10) == 11
    assert erlang.state_decr("hits") == 10
    assert erlang.state_decr("hits", 5) == 5
    assert erlang.state_decr("below") == -1
    assert erlang.state_get("hits") == 5


def test_counters_grow_beyond_64_bits() -> None:
    erlang.state_set("big", 2**63 - 1)
    assert erlang.state_incr("big") == 2**63
    assert erlang.state_get("big") == 2**63


def test_what_is_no_integer() -> None:
    erlang.state_set("text", "one")
    with pytest.raises(ValueError):
        erlang.state_incr("text")
    with pytest.raises(ValueError):
        erlang.state_incr("new", 1.5)  # type: ignore[arg-type]
    assert erlang.state_get("text") == "one"
    with pytest.raises(TypeError, match="set has no Erlang term"):
        erlang.state_set("x", {1})


def test_threads_share_it_and_count_exactly() -> None:
    def work(i: int) -> None:
        for _ in range(100):
            erlang.state_incr("shared")
        erlang.state_set(("thread", i), i)

    in_threads(8, work)
    assert erlang.state_get("shared") == 800
    assert [erlang.state_get(("thread", i)) for i in range(8)] == list(range(8))


def test_from_code_that_the_other_side_runs() -> None:
    code = "__import__('erlang').state_set('from', 'inside')"
    assert erlang.call("eval_python", code) is None
    assert erlang.state_get("from") == "inside"
