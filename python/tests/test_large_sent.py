"""Large frames on their way: what ends a call in the middle of sending, and what is kept of a frame that is out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command import erlpy, finished
from fakehost import FakeHost
from fakenode import CALL, CAST, OK, FakeNode
from together import eventually

APART = 16 << 10  # PART_MIN in buf.h
MIB = 1 << 20

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
