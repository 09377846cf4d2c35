"""Large binaries, which are sent from where they stand: whole, limited, and let go of whatever becomes of the call."""

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
from command import erlpy, finished
from fakehost import FakeHost
from fakenode import CALL, CAST, OK, FakeNode
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


SCRIPT = """
import ctypes, erlang, gc, threading, time, weakref
class Token: pass
class Big(bytes): pass
def big():
    value = Big(b"\\xfe" * 3_000_000)
    value.token = Token()
    refs.append(weakref.ref(value.token))
    return value
def gone():
    gc.collect()
    return not any(ref() is not None for ref in refs)
def within(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
def under_way():
    within(lambda: erlang.stats()['bytes_out'] >= 50_000)
def memory():
    libc.malloc_trim(0)  # what has been freed counts as gone
    lines = open('/proc/self/status').read().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith('VmRSS'))
refs = []
libc = ctypes.CDLL(None)
"""

# More than the allocator would keep, in values that are small each.
MANY = 4000
LARGE = f"[b'\\xfe' * {APART - 1}] * {MANY}"


def script(folder: Path, text: str) -> str:
    file = folder / "script.py"
    file.write_text(SCRIPT + text)
    return str(file)


def test_the_list_is_changed_while_it_is_sent(tmp_path: Path) -> None:
    """The node reads nothing until the list is empty, and others have had their chance at the memory."""
    text = """
values = [big(), 1, big()]
def calls():
    print(erlang.call('f', values), flush=True)
thread = threading.Thread(target=calls)
thread.start()
under_way()
values.clear()
others = [bytes([n]) * 3_000_000 for n in range(20)]
print(gone(), flush=True)
thread.join()
print(gone())
"""
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, text))
        peer = node.accept()
        peer.read()
        peer.welcome()
        assert run.stdout is not None
        assert run.stdout.readline() == "False\n"
        _, number, term = peer.read()
        assert term == ("f", [[b"\xfe" * 3_000_000, 1, b"\xfe" * 3_000_000]])
        peer.write(OK, number, "well")
        assert finished(run) == (0, "well\nTrue\n", "")


@pytest.mark.parametrize("call", ["erlang.call('f', [big()], timeout=0.3)", "erlang.submit('f', [big()], timeout=0.3).result()"])
def test_a_timeout_while_it_is_sent(tmp_path: Path, call: str) -> None:
    text = f"""
try:
    {call}
except erlang.Timeout as e:
    print(type(e).__name__)
print(gone())
print(erlang.call('f', 'x' * 100_000))
"""
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, text))
        threads: list[Any] = []
        while not threads:
            peer = node.accept()
            _, _, hello = peer.read()
            peer.welcome()
            if "submit" in call and hello[2] == "async":
                continue  # and it is never read
            threads.append(peer)
        if "submit" not in call:
            # The node reads nothing; the next call comes over another connection, beside the one that tells to kill the function.
            for _ in range(2):
                peer = node.accept()
                _, _, hello = peer.read()
                peer.welcome()
                if hello[2] == "thread":
                    threads.append(peer)
        _, number, term = threads[-1].read()
        assert term == ("f", ["x" * 100_000])
        threads[-1].write(OK, number, "again")
        assert finished(run) == (0, "Timeout\nTrue\nagain\n", "")


def test_ctrl_c_while_it_is_sent(tmp_path: Path) -> None:
    text = """
import _thread
def interrupt():
    under_way()
    _thread.interrupt_main()
threading.Thread(target=interrupt).start()
try:
    erlang.call('f', big())
except KeyboardInterrupt:
    print('interrupted')
print(gone())
"""
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, text))
        peer = node.accept()
        peer.read()
        peer.welcome()
        assert finished(run) == (0, "interrupted\nTrue\n", "")


def test_the_node_dies_while_it_is_sent(tmp_path: Path) -> None:
    text = """
def tell():
    under_way()
    print('under way', flush=True)
threading.Thread(target=tell).start()
try:
    erlang.call('f', [1, big()])
except erlang.Disconnected:
    print('lost')
print(gone())
print(erlang.call('f', 'x' * 100_000))
"""
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, text))
        first = node.accept()
        first.read()
        first.welcome()
        assert run.stdout is not None
        assert run.stdout.readline() == "under way\n"
        first.close()
        second = node.accept()
        second.read()
        second.welcome()
        _, number, term = second.read()
        assert term == ("f", ["x" * 100_000])
        second.write(OK, number, "again")
        assert finished(run) == (0, "lost\nTrue\nagain\n", "")


def test_a_thread_that_the_end_cuts_off(tmp_path: Path) -> None:
    """A daemon thread in the middle of sending: the program ends all the same, and in good order."""
    text = """
threading.Thread(target=lambda: erlang.call('f', big()), daemon=True).start()
under_way()
print('end')
"""
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, text))
        peer = node.accept()
        peer.read()
        peer.welcome()
        status, out, _ = finished(run)
        assert (status, out) == (0, "end\n")


def test_a_cast_while_it_is_sent(tmp_path: Path) -> None:
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, "erlang.cast('f', big(), 1)\nprint(gone())"))
        peer = node.accept()
        peer.read()
        peer.welcome()
        kind, _, term = peer.read()
        assert (kind, term) == (CAST, ("f", [b"\xfe" * 3_000_000, 1]))
        assert finished(run) == (0, "True\n", "")


def test_a_contexts_result_is_let_go_when_it_is_out(tmp_path: Path) -> None:
    """The context sleeps then, perhaps for long: another one is asked."""
    with FakeHost(tmp_path) as host:
        first, second = host.context("a"), host.context("b")
        first.ask("exec", None, SCRIPT)
        first.call("eval", None, "[big(), 'x', big()]", {})
        kind, _, term = first.read()
        assert (kind, term) == (OK, [b"\xfe" * 3_000_000, "x", b"\xfe" * 3_000_000])
        eventually(lambda: second.ask("eval", None, "gone()", {}), "the result has been let go")
        assert second.ask("eval", None, "len(refs)", {}) == 2
        # And one over the limit: it is refused, and let go.
        first.call("eval", None, "[big()] * 30", {})
        kind, _, term = first.read()
        assert kind != OK and "max_frame" in str(term)
        eventually(lambda: second.ask("eval", None, "gone()", {}), "the refused one has been let go")
        first.call("eval", None, "1", {})
        assert first.read()[0] in (OK, CALL)
        assert host.stop()[0] == 0


def test_a_destructor_that_calls(tmp_path: Path) -> None:
    """The frame has held the last reference; what is called then does not disturb the answer that is there."""
    text = """
class Calls(Big):
    def __del__(self):
        print(erlang.call('g'), flush=True)
values = [Calls(b'x' * 100_000)]
def clear():
    within(lambda: erlang.stats()['bytes_out'] > 100_000)
    values.clear()
    erlang.cast('cleared')
thread = threading.Thread(target=clear)
thread.start()
print(erlang.call('f', values))
thread.join()
"""
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, text))
        main, other = node.accept(), None
        main.read()
        main.welcome()
        _, number, _ = main.read()
        other = node.accept()
        other.read()
        other.welcome()
        assert other.read()[2] == ("cleared", [])
        main.write(OK, number, "answer of f")
        _, number, term = main.read()
        assert term == ("g", [])
        main.write(OK, number, "answer of g, a longer one")
        assert finished(run) == (0, "answer of g, a longer one\nanswer of f\n", "")


def test_a_waiting_call_keeps_no_large_frame(tmp_path: Path) -> None:
    text = f"""
values = {LARGE}
before = memory()
thread = threading.Thread(target=lambda: print(len(erlang.call('f', values)), flush=True))
thread.start()
within(lambda: erlang.stats()['bytes_out'] > {MANY * APART})
within(lambda: memory() < before + (32 << 20))
erlang.cast('go on')
thread.join()
within(lambda: memory() < before + (32 << 20))
"""
    with FakeNode(tmp_path) as node:
        run = erlpy("--beam", node.path, script(tmp_path, text))
        first = node.accept()
        first.read()
        first.welcome()
        _, number, term = first.read()
        second = node.accept()
        second.read()
        second.welcome()
        assert second.read()[2] == ("go on", [])
        first.write(OK, number, term[1][0])
        assert finished(run) == (0, f"{MANY}\n", "")


def test_a_context_keeps_no_large_frame(tmp_path: Path) -> None:
    with FakeHost(tmp_path) as host:
        first, second = host.context("a"), host.context("b")
        first.ask("exec", None, SCRIPT)
        before = second.ask("eval", None, "memory()", {})
        # Not the request while the function runs...
        values = [b"\xfe" * (APART - 1)] * MANY
        assert first.ask("eval", None, "memory()", {"values": values}) - before < 96 * MIB
        # ...nor the answer when it has been sent.
        assert first.ask("eval", None, LARGE, {}) == values
        eventually(lambda: second.ask("eval", None, "memory()", {}) < before + 16 * MIB, "the memory is given back")
        assert host.stop()[0] == 0
