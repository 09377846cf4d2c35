"""Values on their way to the other side and back."""

from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from enum import IntEnum
from typing import Any

import _erlang
import erlang
import pytest

Point = namedtuple("Point", "x y")


class Colour(IntEnum):
    RED = 1


class Text(str):
    pass


INTS = [0, 1, -1, 255, 256, -256, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1]
INTS += [2**64, 2**2039, -(2**2040), 2**4096, -(2**20000)]
SAME: list[Any] = [
    *INTS,
    0.0,
    -0.5,
    1e308,
    5e-324,
    True,
    False,
    None,
    "",
    "text",
    "žluťoučký ✓ \U0001f600",
    "nul \0 inside",
    "a" * 65_536,
    b"\xff\xfe",
    bytes(range(256)),
    [],
    [1, 2, 3],
    [1, [2, [3, [4]]]],
    list(range(70_000)),
    (),
    (1,),
    ("a", 1.5, None),
    tuple(range(300)),
    {},
    {"a": 1, "b": [2]},
    {1: "one", 2.5: "x", ("t", 1): [], None: None},
    {"nested": {"deeper": {"deepest": [{}]}}},
    [None, True, False],
]


def short(value: Any) -> str:
    # The decimal text of a long integer is refused by newer Pythons.
    return (hex(value) if type(value) is int else repr(value))[:30]


@pytest.mark.parametrize("value", SAME, ids=short)
def test_comes_back_the_same(value: Any) -> None:
    back = erlang.call("echo", value)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (b"valid", "valid"),
        (bytearray(b"\xff\x00"), b"\xff\x00"),
        (memoryview(b"\xff\x01"), b"\xff\x01"),
        (memoryview(b"\xff\x01\xfe\x02")[::2], b"\xff\xfe"),
        (Point(1, "y"), (1, "y")),
        (Colour.RED, 1),
        (Text("sub"), "sub"),
        (OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
        (math.inf, "infinity"),
        (-math.inf, "neg_infinity"),
        (math.nan, "nan"),
        (erlang.Atom("nan"), "nan"),
        (erlang.atom("true"), True),
        (erlang.atom("undefined"), None),
        (erlang.atom("nil"), None),
    ],
    ids=repr,
)
def test_comes_back_as(value: Any, back: Any) -> None:
    result = erlang.call("echo", value)
    assert result == back
    assert type(result) is type(back)


def test_zero_keeps_its_sign() -> None:
    assert math.copysign(1, erlang.call("echo", -0.0)) == -1


def test_tuple_bytes_gives_bytes_always() -> None:
    assert _erlang.decode(_erlang.encode((erlang.Atom("bytes"), b"valid"))) == b"valid"


@pytest.mark.beam
def test_tuple_bytes_from_a_node() -> None:
    assert erlang.call("echo", (erlang.Atom("bytes"), b"valid")) == b"valid"


def test_an_integer_of_10000_digits() -> None:
    big = erlang.call("big")
    assert 10**9999 <= big < 10**10000
    for value in (big, -big, 10**10000 - 1, -(10**10000) + 1):
        assert erlang.call("echo", value) == value


def test_a_long_binary() -> None:
    block = bytes(range(256)) * 4096
    assert erlang.call("size", block) == len(block)
    assert erlang.call("echo", block) == block
    assert len(erlang.call("blob", 1_000_000)) == 1_000_000


def test_mutation_after_the_call_changes_nothing() -> None:
    value = [1, {"a": [2]}]
    back = erlang.call("echo", value)
    value.clear()
    assert back == [1, {"a": [2]}]


@pytest.mark.beam
def test_an_atom_the_node_does_not_know_is_refused() -> None:
    """Text from outside must not fill the node's table of atoms, which is never emptied."""
    with pytest.raises(ValueError, match="atom"):
        erlang.call("echo", erlang.Atom("no_such_atom_anywhere_8c1f"))
    assert erlang.call("echo", erlang.Atom("error")) == "error"


@pytest.mark.beam
def test_keys_that_python_cannot_tell_apart() -> None:
    """#{1 => a, 1.0 => b}: one of the two would be lost in a dict."""
    clash = erlang.call("clash_map")
    assert isinstance(clash, erlang.Term)
    assert erlang.call("echo", clash) == clash


@pytest.mark.beam
def test_keys_that_python_cannot_hash() -> None:
    weird = erlang.call("weird_map")
    assert isinstance(weird, erlang.Term)
    assert erlang.call("echo", weird) == weird


@pytest.mark.beam
def test_latin1_atom() -> None:
    assert not erlang.call("latin1_atom").isascii()
