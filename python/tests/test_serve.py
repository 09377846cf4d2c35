"""Calls that come from the other side: what they run, and what the other side is told of a failure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import _erlang
import erlang
import pytest
from erlang._serve import describe, dispatch

PIDS = [_erlang.decode(b"\x83Xw\x01n\x00\x00\x00" + bytes([n]) + b"\x00\x00\x00\x00\x00\x00\x00\x00") for n in (1, 2)]
ONE, TWO = PIDS


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    for pid in PIDS:
        dispatch("drop", [pid])


def failing(target: str, *args: Any) -> tuple[str, str, list[str]]:
    with pytest.raises(BaseException) as info:
        dispatch(target, list(args))
    kind, name, message, traceback = describe(info.value)
    assert kind == erlang.Atom("python")
    assert _erlang.decode(_erlang.encode((kind, name, message, traceback)))[0] == "python"
    return name, message, traceback


def test_call() -> None:
    assert dispatch("call", [None, "math", "sqrt", [16], {}]) == 4.0
    assert dispatch("call", [ONE, "os", "path.join", ["a", "b"], {}]) == "a/b"
    assert dispatch("call", [None, "builtins", "sorted", [[1, 3, 2]], {"reverse": True}]) == [3, 2, 1]


@pytest.mark.parametrize(
    ("code", "names", "value"),
    [
        ("1 + 1", {}, 2),
        ("  x * y\n", {"x": 6, "y": 7}, 42),
        ("[x + i for i in range(3)]", {"x": 1}, [1, 2, 3]),
        ("(lambda: x)()", {"x": 5}, 5),
        ("__name__", {}, "__main__"),
    ],
)
def test_eval(code: str, names: dict[str, Any], value: Any) -> None:
    for space in (None, ONE):
        assert dispatch("eval", [space, code, names]) == value
    assert not hasattr(sys.modules["__main__"], "x")


def test_exec_is_seen_by_its_own_process_alone() -> None:
    assert dispatch("exec", [ONE, "import math\ndef f(x):\n    return math.floor(x) + y\ny = 2"]) is None
    assert dispatch("call", [ONE, "__main__", "f", [1.5], {}]) == 3
    assert dispatch("eval", [ONE, "f(z)", {"z": 1}]) == 3
    for space in (TWO, None):
        assert failing("call", space, "__main__", "f", [1], {})[:2] == (
            "AttributeError",
            "module '__main__' has no attribute 'f'",
        )


def test_drop_forgets() -> None:
    dispatch("exec", [ONE, "x = 1"])
    dispatch("drop", [ONE])
    assert failing("eval", ONE, "x", {})[:2] == ("NameError", "name 'x' is not defined")
    dispatch("drop", [ONE])


def test_only_exec_keeps_a_namespace() -> None:
    from erlang import _run

    dispatch("eval", [ONE, "1", {}])
    failing("exec", ONE, "not python at all")
    assert ONE not in _run._spaces
    dispatch("exec", [ONE, "x = 1"])
    assert ONE in _run._spaces


def test_version() -> None:
    assert sys.version.startswith(dispatch("version", []))


def test_a_failure_is_described_without_our_own_frames() -> None:
    dispatch("exec", [ONE, "def outer():\n    return inner()\ndef inner():\n    return 1 / 0"])
    name, message, traceback = failing("call", ONE, "__main__", "outer", [], {})
    assert (name, message) == ("ZeroDivisionError", "division by zero")
    assert traceback[0] == "Traceback (most recent call last):"
    assert any("in inner" in line for line in traceback) and traceback[-1] == "ZeroDivisionError: division by zero"
    assert not any("\n" in line for line in traceback)


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("exit(3)", "SystemExit", "3"),
        ("{}['missing']", "KeyError", "'missing'"),
        ("int('x\\udc80')", "ValueError", "invalid literal for int() with base 10: 'x\\udc80'"),
        ("1 +", "SyntaxError", None),
        ("undefined_name", "NameError", "name 'undefined_name' is not defined"),
    ],
)
def test_failures(code: str, name: str, message: Any) -> None:
    got, text, _ = failing("eval", None, code, {})
    assert got == name
    if message is not None:
        assert text == message


def test_an_exception_whose_text_fails() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    _, name, message, traceback = describe(Mute())
    assert name == "Mute" and "could not be made" in message and traceback


def test_an_unknown_kind_of_call() -> None:
    assert failing("fly", 1)[:2] == ("Error", "a call of an unknown kind: 'fly'")
