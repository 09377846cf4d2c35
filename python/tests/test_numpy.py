"""numpy's numbers and arrays, and other objects that say which number they are."""

from __future__ import annotations

import array
import datetime
import decimal
import fractions
from typing import Any

import erlang
import numpy as np
import pytest


class Index:
    def __index__(self) -> int:
        return 2**70


class Floating:
    def __float__(self) -> float:
        return 1.5


class Lists:
    def tolist(self) -> list[int]:
        return [1, 2]


class Itself:
    def tolist(self) -> Any:
        return self


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (np.int64(7), 7),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.int8(-128), -128),
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.bytes_(b"\xff"), b"\xff"),
        (np.arange(3), [0, 1, 2]),
        (np.array([[1.5, 2.5], [3.5, 4.5]]), [[1.5, 2.5], [3.5, 4.5]]),
        (np.array([]), []),
        (np.array(5), 5),
        (np.array([True, False]), [True, False]),
        (array.array("d", [1.0, 2.0]), [1.0, 2.0]),
        (Index(), 2**70),
        (Floating(), 1.5),
        (Lists(), [1, 2]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_number_like(value: Any, back: Any) -> None:
    result = erlang.call("echo", value)
    assert result == back
    assert type(result) is type(back)
    assert erlang.call("echo", {"in": [value]}) == {"in": [back]}


@pytest.mark.parametrize(
    "value",
    [
        {1},
        frozenset(),
        object(),
        complex(1, 2),
        decimal.Decimal("0.1"),
        fractions.Fraction(1, 3),
        datetime.datetime(2020, 1, 1),
        datetime.date(2020, 1, 1),
        datetime.timedelta(1),
        np.datetime64("2020-01-01T00:00:00.000000001"),
        np.complex128(1),
        np.longdouble("0.1"),
        Itself(),
        range(3),
        iter([]),
        {}.keys(),
        print,
        int,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_lose_its_meaning_is_refused(value: Any) -> None:
    name = type(value).__name__
    with pytest.raises(TypeError) as info:
        erlang.call("echo", value)
    assert str(info.value) == f"args[0]: {name} has no Erlang term"
    with pytest.raises(TypeError) as info:
        erlang.call("echo", 1, {"x": [0, value]})
    assert str(info.value) == f"args[1]['x'][1]: {name} has no Erlang term"


def test_an_exception_while_converting_is_passed_on() -> None:
    class Broken:
        def __index__(self) -> int:
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        erlang.call("echo", Broken())
    assert erlang.call("echo", 1) == 1
