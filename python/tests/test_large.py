"""Large binaries, which are sent from where they stand: whole, limited, and let go of when the call is over."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _erlang
import erlang
import pytest
from fates import key
from together import eventually, in_threads

HERE = __name__
APART = 16 << 10  # PART_MIN in buf.h
MIB = 1 << 20


class Token:
    """Lives as long as what it is kept by."""


class Big(bytes):
    """Bytes that can be watched: they cannot be referred to weakly, but what they keep can."""

    token: Token


class Text(str):
    """Not what it says of itself."""

    def isascii(self) -> bool:
        raise AssertionError("asked the subclass")


class Watched:
    """Makes large values, and knows whether they are still there."""

    def __init__(self) -> None:
        self.refs: list[weakref.ref[Any]] = []

    def big(self, size: int = APART) -> Big:
        value = Big(b"\xff" * size)
        value.token = Token()
        self.refs.append(weakref.ref(value.token))
        return value

    def gone(self) -> bool:
        gc.collect()
        return bool(self.refs) and not any(ref() is not None for ref in self.refs)


@pytest.fixture
def watched() -> Watched:
    return Watched()


made: list[weakref.ref[Any]] = []


def makes_big(size: int) -> Any:
    value = Big(b"\xff" * size)
    value.token = Token()
    made.append(weakref.ref(value.token))
    return [value, {"k": value}]


KINDS: dict[str, Callable[[int], Any]] = {
    "bytes": lambda n: b"\xff" * n,
    "bytes of text": lambda n: b"x" * n,
    "ascii": lambda n: "x" * n,
    "latin-1": lambda n: "x" * (n - 1) + "\xe9",
    "emoji": lambda n: "\U0001f600" * n,
    "subclass": lambda n: Text("x" * n),
    "subclass, not ascii": lambda n: Text("\u017e" * n),
    "bytearray": lambda n: bytearray(b"\xff" * n),
    "memoryview": lambda n: memoryview(b"\xff\xfe" * n)[::2],
}


def plain(value: Any) -> Any:
    """What comes back."""
    if isinstance(value, str):
        return str(value)
    data = bytes(value)
    return data.decode() if data[:1] == b"x" else data


@pytest.mark.parametrize("size", [APART - 1, APART, APART + 1, 200_000, MIB + 1])
@pytest.mark.parametrize("kind", KINDS)
def test_comes_back_the_same(kind: str, size: int) -> None:
    value = KINDS[kind](size)
    assert erlang.call("echo", value) == plain(value)


def test_many_in_one_call() -> None:
    """More pieces than one system call takes, small ones before, between and behind."""
    values = [bytes([n]) * (APART + n) if n % 3 else n for n in range(128, 200)]
    value: Any = [1, {"a": values, "b": ("x" * MIB, [], {"c": values[1]})}, *values, b"\xfe" * 300_000]
    assert erlang.call("echo", value) == value
    assert erlang.call("args", *value) == value


def test_in_many_threads() -> None:
    def work(i: int) -> None:
        value = [b"\xff" * (APART + i), bytes([128 + i]) * 300_000, i]
        for _ in range(20):
            assert erlang.call("echo", value) == value

    in_threads(8, work)


def test_submitted_and_cast(peer: str) -> None:
    value = {"k": [b"\xff" * APART, "x" * 100_000, 1]}
    assert erlang.submit("echo", value).result(60) == value
    assert list(erlang.map("echo", [value, value])) == [value, value]
    assert erlang.submit("sleep_random", 1, value, timeout=60).result(60) == value
    assert erlang.call("sleep_random", 1, value, timeout=60) == value
    name = key()
    erlang.cast("note", name, value)
    eventually(lambda: erlang.call("noted", name) == [value], "the cast has come")
    assert peer in ("go", "beam")


def test_results_of_nested_calls() -> None:
    made.clear()
    big = b"\xff" * 300_000
    assert erlang.call("call_python", HERE, "makes_big", [300_000]) == [big, {"k": big}]
    gc.collect()
    assert [ref() for ref in made] == [None]


def test_the_shared_table() -> None:
    name = key()
    value = ["x" * 100_000, b"\xff" * APART]
    erlang.state_set(name, value)
    assert erlang.state_get(name) == value
    erlang.state_delete(name)


def test_let_go_after_a_call(watched: Watched) -> None:
    assert erlang.call("size", watched.big()) == APART
    assert watched.gone()
    assert erlang.call("echo", {"k": [watched.big(), (watched.big(MIB),)]}) == {"k": [b"\xff" * APART, (b"\xff" * MIB,)]}
    assert watched.gone()


@pytest.mark.parametrize("value", [b"\xff" * APART, "x" * APART, "\xe9" * APART, [b"\xff" * APART]], ids=["bytes", "ascii", "latin-1", "list"])
def test_counts_are_as_before(value: Any) -> None:
    inner = value[0] if isinstance(value, list) else value
    before = sys.getrefcount(inner)
    for _ in range(3):
        assert erlang.call("echo", value) == value
        erlang.submit("echo", value).result(60)
        with pytest.raises(TypeError):
            erlang.call("echo", value, {1})
    assert sys.getrefcount(inner) == before


def test_let_go_after_a_failure(watched: Watched) -> None:
    with pytest.raises(erlang.NotRegistered):
        erlang.call("nope", watched.big())
    with pytest.raises(TypeError, match=r"args\[1\]\['k'\]: set has no Erlang term"):
        erlang.call("echo", watched.big(), {"k": {1}})
    with pytest.raises(ValueError, match="max_frame"):
        erlang.call("echo", [watched.big(40 * MIB), watched.big(40 * MIB)])
    with pytest.raises(TypeError, match="lone surrogate"):
        erlang.call("echo", watched.big(), "\ud800" * APART)
    with pytest.raises(TypeError):
        erlang.submit("echo", watched.big(), {1})
    assert watched.gone()


def test_let_go_after_a_timeout(watched: Watched) -> None:
    name = key()
    with pytest.raises(erlang.Timeout):
        erlang.call("sleep_random", 60_000, watched.big(MIB), timeout=0.05)
    assert watched.gone()
    assert erlang.call("echo", name) == name


def test_let_go_after_submit_and_cast(watched: Watched, peer: str) -> None:
    """At once: what is submitted is copied."""
    future = erlang.submit("echo", watched.big())
    if peer == "beam":
        assert watched.gone()
    assert future.result(60) == b"\xff" * APART
    erlang.cast("echo", watched.big())
    assert watched.gone()


def test_let_go_when_an_exception_ends_the_wait(watched: Watched) -> None:
    class Stop(Exception):
        pass

    ended = []

    def waits() -> None:
        try:
            erlang.call("sleep_random", 60_000, watched.big())
        except Stop:
            ended.append(1)

    before = erlang.stats()["in_flight"]
    thread = threading.Thread(target=waits)
    thread.start()
    eventually(lambda: erlang.stats()["in_flight"] > before, "it waits")
    assert thread.ident is not None
    assert _erlang.raise_in(thread.ident, Stop)
    thread.join(60)
    assert ended
    assert watched.gone()


def test_a_limit_counts_all_of_it() -> None:
    # {<<"size">>, [Value]}: all but the value itself, its version byte counted once.
    around = len(_erlang.encode(("size", [b"\xff" * APART]))) + 5 - APART
    _erlang.limits(100_000, 0)
    try:
        before = erlang.stats()["bytes_out"]
        for value in ([b"\xff" * 60_000, b"\xfe" * 60_000], "x" * 100_001, "\xe9" * 60_000, b"\xff" * (100_001 - around)):
            with pytest.raises(ValueError, match=r"max_frame.*100000|100000.*max_frame"):
                erlang.call("size", value)
        assert erlang.stats()["bytes_out"] == before
        assert erlang.call("size", b"\xff" * (100_000 - around)) == 100_000 - around
    finally:
        _erlang.limits(64 * MIB, 0)


def test_python_keeps_no_second_copy_of_a_text() -> None:
    text = "\u017e" * MIB
    before = sys.getsizeof(text)
    assert erlang.call("echo", text) == text
    assert sys.getsizeof(text) == before


@pytest.mark.beam
def test_an_argument_is_not_copied() -> None:
    def memory(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

    value = b"\xff" * (63 * MIB)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    assert erlang.call("size", value) == 63 * MIB
    assert memory("VmHWM") - before < 8 * MIB
