"""What a call says to arguments that it cannot take. In all cases nothing was sent, and the next call works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import _erlang
import erlang
import pytest


@pytest.fixture(autouse=True)
def works_afterwards() -> Iterator[None]:
    yield
    assert erlang.call("double_it", 21) == 42


def nested(depth: int, kind: type[Any]) -> Any:
    value: Any = kind()
    for _ in range(depth - 1):
        value = {"k": value} if kind is dict else kind([value])
    return value


def test_a_call_without_a_name() -> None:
    with pytest.raises(TypeError) as info:
        erlang.call()  # type: ignore[call-arg]
    assert str(info.value) == "call() needs the name of a registered function as its first argument"


@pytest.mark.parametrize(("name", "kind"), [(b"double_it", "bytes"), (7, "int"), (None, "NoneType"), (len, "builtin_function_or_method")])
def test_a_name_that_is_no_text(name: Any, kind: str) -> None:
    with pytest.raises(TypeError) as info:
        erlang.call(name, 1)
    assert str(info.value) == f"call(): the name of the function must be str, not {kind}"


@pytest.mark.parametrize("name", ["", "two words", "n" * 10_000, "žluťoučký"])
def test_a_name_of_any_text_is_looked_up(name: str) -> None:
    with pytest.raises(erlang.NotRegistered) as info:
        erlang.call(name)
    assert info.value.name == name


def test_keyword_arguments() -> None:
    rest = "got an unexpected keyword argument 'x': registered functions take positional arguments only, beside timeout"
    with pytest.raises(TypeError) as info:
        erlang.call("double_it", x=1)  # type: ignore[call-arg]
    assert str(info.value) == f"call() {rest}"
    with pytest.raises(TypeError) as info:
        erlang.double_it(x=1)
    assert str(info.value) == f"double_it() {rest}"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (({1},), "args[0]: set has no Erlang term"),
        ((1, {"x": set()}), "args[1]['x']: set has no Erlang term"),
        ((1, 2, [0, (1, object())]), "args[2][1][1]: object has no Erlang term"),
        (({"a": {"b": [None, {2}]}},), "args[0]['a']['b'][1]: set has no Erlang term"),
        (("lone \ud800",), "args[0]: str with a lone surrogate has no Erlang term"),
    ],
)
def test_the_place_is_named(args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError) as info:
        erlang.call("echo", *args)
    assert str(info.value) == message


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_nesting(kind: type[Any]) -> None:
    deep = nested(900, kind)
    assert erlang.call("echo", deep) == deep
    with pytest.raises(ValueError, match="max_depth"):
        erlang.call("echo", nested(10_000, kind))


def test_a_value_that_holds_itself() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(ValueError, match="max_depth"):
        erlang.call("echo", ring)


def test_a_result_nested_too_deep() -> None:
    assert erlang.call("nested", 500)
    with pytest.raises(ValueError, match="max_depth"):
        erlang.call("nested", 10_000)


def test_a_frame_over_the_limit() -> None:
    before = erlang.stats()["bytes_out"]
    with pytest.raises(ValueError, match="max_frame"):
        erlang.call("size", b"\xff" * (65 << 20))
    assert erlang.stats()["bytes_out"] == before


def test_a_limit_of_ones_own() -> None:
    _erlang.limits(100_000, 0)
    try:
        assert erlang.call("size", b"\xff" * 90_000) == 90_000
        with pytest.raises(ValueError, match=r"max_frame.*100000|100000.*max_frame"):
            erlang.call("size", b"\xff" * 100_001)
    finally:
        _erlang.limits(64 << 20, 0)


@pytest.mark.beam
def test_a_result_over_the_limit() -> None:
    with pytest.raises(ValueError, match="max_frame"):
        erlang.call("blob", 65 << 20)


@pytest.mark.parametrize("data", [b"", b"\x83", b"\x82a\x01", b"\x83P\x00\x00\x00\x01x", b"\x83l\xff\xff\xff\xffa\x01", b"\x83m\x7f\xff\xff\xff"])
def test_bytes_that_are_no_term(data: bytes) -> None:
    with pytest.raises(ValueError):
        _erlang.decode(data)
