"""Calls that a thread makes on its channel by itself, without Go, and what may become of one. The program looks for an answer so often that a
node in Python is quick: the call before has been answered at once, so the thread has the channel for the next."""

from __future__ import annotations

import array
import fcntl
import os
import struct
import termios
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import _erlang
import erlang
import pytest
from command import asleep, finished
from fakenode import BYE, CALL, ERROR, HANDLER, OK, Conversation, FakeNode, Start

pytestmark = pytest.mark.beam


def frame(kind: int, number: int, term: Any) -> bytes:
    payload = _erlang.encode(term)
    return struct.pack(">IBI", 5 + len(payload), kind, number) + payload


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline


def unread(peer: Conversation) -> int:
    size = array.array("i", [0])
    fcntl.ioctl(peer.connection, termios.TIOCOUTQ, size)
    return size[0]


def test_numbers_go_on(start: Start, node: FakeNode) -> None:
    """From 1 on in each conversation, in whichever way a call is made, and when the next thread has it."""
    run, peer = start("""
        def calls(first, last):
            for i in range(first, last):
                assert erlang.call('f', i) == i
        def on_a_thread(first, last):
            thread = threading.Thread(target=calls, args=(first, last))
            thread.start()
            thread.join()
        calls(1, 20)
        assert erlang.call('f', 20, timeout=20) == 20
        calls(21, 30)
        on_a_thread(0, 4)
        on_a_thread(4, 8)
        calls(30, 33)
        """)
    for i in range(1, 30):
        peer.answer(i + 1, i)
    other = node.welcomed()
    for i in range(8):
        other.answer(i + 1, i)
    for i in range(30, 33):
        peer.answer(i + 1, i)
    assert finished(run) == (0, "", "")


def test_errors_are_answers(start: Start) -> None:
    run, peer = start("""
        for i in range(3):
            try:
                erlang.call('f', 1)
            except erlang.CallError as e:
                print(e)
        """)
    for number in (2, 3, 4):
        peer.read()
        peer.write(ERROR, number, (erlang.Atom("raised"), erlang.Atom("error"), None, f"no {number}", []))
    assert finished(run) == (0, "no 2\nno 3\nno 4\n", "")


@pytest.mark.parametrize("cut", [1, 4, 9, 11])
def test_an_answer_in_two_pieces(start: Start, cut: int) -> None:
    run, peer = start("print(erlang.call('f', 1), erlang.call('f', 2))")
    assert peer.read() == (CALL, 2, ("f", [1]))
    whole = frame(OK, 2, "one")
    peer.connection.sendall(whole[:cut])
    until(lambda: unread(peer) == 0)
    peer.connection.sendall(whole[cut:])
    peer.answer(3, 2)
    assert finished(run) == (0, "one 2\n", "")


def test_an_answer_that_comes_late(start: Start) -> None:
    run, peer = start("print(erlang.call('f', 1), erlang.call('f', 2), *map(erlang.stats().get, ('calls', 'in_flight')))")
    assert peer.read() == (CALL, 2, ("f", [1]))
    until(lambda: asleep(run.pid))
    peer.write(OK, 2, "late")
    peer.answer(3, 2)
    assert finished(run) == (0, "late 2 3 0\n", "")


def test_an_answer_that_never_comes(start: Start, node: FakeNode) -> None:
    run, peer = start("""
        try:
            erlang.call('f', 1, timeout=0.2)
        except erlang.Timeout as e:
            print(type(e).__name__)
        print(erlang.call('f', 2))
        """)
    assert peer.read() == (CALL, 2, ("f", [1]))
    # Two connections follow, in any order: for the next call, and for the order to kill the function. The program ends with that call.
    first = [(other, other.read()) for other in (node.welcomed(), node.welcomed())]
    (other, call), = ((other, call) for other, call in first if call[2][0] == "f")
    assert [call[2] for _, call in first if call[2][0] != "f"] == [("cancel", [HANDLER])]
    assert call == (CALL, 1, ("f", [2]))
    other.write(OK, 1, 2)
    assert finished(run) == (0, "Timeout\n2\n", "")


def test_a_call_of_python_instead(start: Start) -> None:
    """The function calls Python before it answers, which calls a function itself."""
    run, peer = start("""
        def nested(x):
            return erlang.call('f', x) + erlang.call('f', x)
        print(erlang.call('f', 1), erlang.call('f', 2))
        """)
    for i in (1, 2):
        number = 3 * i - 1
        assert peer.read() == (CALL, number, ("f", [i]))
        peer.call("call", None, "__main__", "nested", [7], {}, number=i)
        peer.answer(number + 1, 7)
        peer.answer(number + 2, 7)
        assert peer.read() == (OK, i, 14)
        peer.write(OK, number, "done")
    assert finished(run) == (0, "done done\n", "")


def test_a_goodbye_behind_the_answer(start: Start, node: FakeNode) -> None:
    """In one piece with it. The answer counts, and the next call finds the goodbye."""
    run, peer = start("""
        print(erlang.call('f', 1))
        try:
            erlang.call('f', 2)
        except erlang.Disconnected as e:
            print(e)
        print(erlang.call('f', 3))
        """)
    assert peer.read() == (CALL, 2, ("f", [1]))
    peer.connection.sendall(frame(OK, 2, 1) + struct.pack(">IBI", 5, BYE, 0))
    node.welcomed().answer(1, 3)
    status, out, err = finished(run)
    assert (status, err) == (0, "")
    one, goodbye, three = out.splitlines()
    assert (one, three) == ("1", "3") and "said goodbye" in goodbye


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (frame(OK, 9, 1), "answered call 9, which nobody has made"),
        (frame(77, 2, 1), "77"),
        (struct.pack(">IBI", 3, OK, 2), "a frame of length 3"),
        (struct.pack(">IBI", 1 << 30, OK, 2), "max_frame"),
        (b"", "closed the connection ("),
        (b"\0\0", "closed the connection in the middle of a frame"),
        (struct.pack(">IBI", 4, OK, 2)[:8], "closed the connection in the middle of a frame"),
    ],
)
def test_what_is_no_answer(start: Start, node: FakeNode, sent: bytes, says: str) -> None:
    run, peer = start("""
        try:
            erlang.call('f', 1)
        except erlang.Disconnected as e:
            print(e)
        print(erlang.call('f', 2))
        """)
    assert peer.read() == (CALL, 2, ("f", [1]))
    peer.connection.sendall(sent)
    if says.startswith("closed"):
        peer.close()
    node.welcomed().answer(1, 2)
    status, out, err = finished(run)
    assert (status, err) == (0, "")
    error, two = out.splitlines()
    assert says in error and two == "2"


def test_the_connection_ends_between_calls(start: Start, node: FakeNode, tmp_path: Path) -> None:
    """The node has seen nothing of the next: it is made in a new conversation."""
    os.mkfifo(tmp_path / "go")
    run, peer = start(f"""
        open({str(tmp_path / "go")!r}).read()
        print(erlang.call('f', 1))
        """)
    peer.close()
    (tmp_path / "go").write_text("")
    node.welcomed().answer(1, 1)
    assert finished(run) == (0, "1\n", "")


def test_sizes(start: Start) -> None:
    """The node's limit is 1000 bytes, the length field not counted, and what is over it uses up a number. An answer may be larger."""
    run, peer = start("""
        for n in (975, 976):
            try:
                print(len(erlang.call('f', 'x' * n)))
            except ValueError as e:
                print('max_frame' in str(e))
        for i in range(3):
            print(len(erlang.call('f', 1)))
        """)
    peer.answer(2, "x" * 975)
    for number, size in ((4, 1), (5, 5_000), (6, 1_000_000)):
        assert peer.read() == (CALL, number, ("f", [1]))
        peer.write(OK, number, "y" * size)
    assert finished(run) == (0, "975\nTrue\n1\n5000\n1000000\n", "")


def test_stats(start: Start, node: FakeNode, tmp_path: Path) -> None:
    """Counted like any: calls and bytes, one that is under way, and what a thread has done that has ended."""
    os.mkfifo(tmp_path / "go")
    run, peer = start(f"""
        def calls(n):
            assert [erlang.call('f', i) for i in range(n)] == list(range(n))
        def grown(by, before):
            now = erlang.stats()
            print([now[key] - before[key] for key in by], flush=True)
        def thread(function, *args):
            thread = threading.Thread(target=function, args=args)
            thread.start()
            return thread
        def look(before):
            open({str(tmp_path / "go")!r}).read()
            grown(['in_flight', 'calls', 'bytes_out', 'bytes_in'], before)
        before = erlang.stats()
        calls(10)
        grown(['in_flight', 'calls', 'bytes_out', 'bytes_in'], before)
        looking = thread(look, erlang.stats())
        calls(1)
        looking.join()
        before = erlang.stats()
        thread(calls, 10).join()
        grown(['in_flight', 'calls'], before)
        """)
    for i in range(10):
        peer.answer(i + 2, i)
    out, back = (sum(len(frame(CALL, 1, term)) for term in terms) for terms in ([("f", [i]) for i in range(10)], range(10)))
    assert run.stdout is not None
    assert run.stdout.readline() == f"[0, 10, {out}, {back}]\n"
    assert peer.read() == (CALL, 12, ("f", [0]))
    (tmp_path / "go").write_text("")
    line = run.stdout.readline()
    assert line.startswith("[1, ")
    peer.write(OK, 12, 0)
    other = node.welcomed()
    for i in range(10):
        other.answer(i + 1, i)
    assert finished(run) == (0, "[0, 10]\n", "")
