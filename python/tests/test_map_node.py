"""erlang.map against a node that answers as no real one does: late, in any order, wrongly."""

from __future__ import annotations

import signal
import struct
import textwrap
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import erlang
import pytest
from command import erlpy, finished
from fakenode import CALL, CALLS, CANCEL, ERROR, OK, Conversation, FakeNode

pytestmark = pytest.mark.beam


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    with FakeNode(tmp_path) as node:
        yield node


def start(node: FakeNode, text: str, max_frame: int = 64 << 20) -> tuple[Popen[str], Conversation]:
    """A script, and its connection for calls that no thread waits for."""
    run = erlpy("--beam", node.path, script(node, text))
    peer = node.accept()
    assert peer.read()[2][2] == "async"
    peer.welcome(max_frame)
    return run, peer


def script(node: FakeNode, text: str) -> str:
    file = Path(node.path).with_name("script.py")
    file.write_text("import erlang\n" + textwrap.dedent(text), encoding="utf-8")
    return str(file)


def items(peer: Conversation, count: int) -> list[tuple[int, int, Any]]:
    """Reads so many items: of each the batch, the position and the item."""
    seen: list[tuple[int, int, Any]] = []
    while len(seen) < count:
        kind, batch, (name, sizes, args) = peer.read()
        assert (kind, name) == (CALLS, "f")
        raw = sizes.encode() if isinstance(sizes, str) else sizes
        assert len(struct.unpack(f">{len(args)}I", raw)) == len(args)
        seen += [(batch, position, arg) for position, arg in enumerate(args, 1)]
    return seen


def test_answers_in_any_order(node: FakeNode) -> None:
    run, peer = start(node, "print(*erlang.map('f', range(300, 316), window=16))")
    for batch, position, item in sorted(items(peer, 16), reverse=True):
        peer.write(OK, batch, (position, item + 1))
    assert finished(run) == (0, " ".join(map(str, range(301, 317))) + "\n", "")


def test_answers_together_and_alone(node: FakeNode) -> None:
    run, peer = start(node, "print(*erlang.map('f', range(300, 312), window=48))")
    sent = items(peer, 12)
    assert [position for _, position, _ in sent] == list(range(1, 13)), "they leave together"
    batch = sent[0][0]
    peer.write(OK, batch, (8, "h", "i", "j"))
    peer.write(OK, batch, (1, "a", "b"))
    peer.write(OK, batch, (7, "g"))
    peer.write(OK, batch, (11, "k", "l"))
    peer.write(OK, batch, (3, "c", "d", "e", "f"))
    assert finished(run) == (0, "a b c d e f g h i j k l\n", "")


def test_a_failure_waits_for_the_results_before_it(node: FakeNode) -> None:
    run, peer = start(
        node,
        """
        try:
            for result in erlang.map('f', [300, 301, 302], window=12):
                print(result)
        except ValueError as e:
            print(type(e).__module__, e)
        erlang.submit('g').result()
        """,
    )
    batch = items(peer, 3)[0][0]
    peer.write(ERROR, batch, (2, (erlang.Atom("bad_term"), "no")))
    peer.write(OK, batch, (1, "first"))
    assert peer.read()[:2] == (CANCEL, batch)
    peer.write(OK, peer.read()[1], "g")
    assert finished(run) == (0, "first\nerlang no\n", "")


def test_what_is_answered_in_full_is_not_cancelled(node: FakeNode) -> None:
    run, peer = start(
        node,
        """
        calls = erlang.map('f', range(300, 302), window=1)
        print(next(calls))
        calls.close()
        print(erlang.submit('g').result())
        """,
    )
    batch = items(peer, 1)[0][0]
    peer.write(OK, batch, (1, "a"))
    kind, number, _ = peer.read()
    assert kind != CANCEL
    peer.write(OK, number, "g")
    assert finished(run) == (0, "a\ng\n", "")


def test_closing_cancels_each_batch_once(node: FakeNode) -> None:
    run, peer = start(
        node,
        """
        calls = erlang.map('f', range(300, 340), window=8)
        print(next(calls))
        calls.close()
        erlang.submit('g').result()
        """,
    )
    sent = items(peer, 8)
    peer.write(OK, sent[0][0], (1, "a"))
    left = {batch for batch, position, _ in sent if batch != sent[0][0] or position > 1}
    cancelled = [peer.read() for _ in left]
    assert {frame[:2] for frame in cancelled} == {(CANCEL, batch) for batch in left}
    peer.write(OK, peer.read()[1], "g")
    assert finished(run) == (0, "a\n", "")


WRONG = {
    "position 0": (OK, (0, "a")),
    "a position too high": (OK, (13, "a")),
    "too many": (OK, (11, "a", "b", "c")),
    "no position": (OK, ("a", "b")),
    "no results": (OK, (1,)),
    "no tuple": (OK, [1, "a"]),
    "a failure with more": (ERROR, (1, "a", "b")),
}


@pytest.mark.parametrize("kind, term", WRONG.values(), ids=WRONG.keys())
def test_an_answer_that_makes_no_sense(node: FakeNode, kind: int, term: Any) -> None:
    run, peer = start(
        node,
        """
        try:
            print(*erlang.map('f', range(300, 312), window=48))
        except erlang.Disconnected as e:
            print(e)
        """,
    )
    peer.write(kind, items(peer, 12)[0][0], term)
    status, out, err = finished(run)
    assert (status, err) == (0, "")
    assert "protocol error: an answer that belongs to no call" in out


def test_a_second_answer(node: FakeNode) -> None:
    run, peer = start(
        node,
        """
        try:
            for result in erlang.map('f', range(300, 312), window=48):
                print(result)
        except erlang.Disconnected as e:
            print(type(e).__name__)
        """,
    )
    batch = items(peer, 12)[0][0]
    peer.write(OK, batch, (3, "c", "d"))
    peer.write(OK, batch, (2, "b", "c"))
    assert finished(run) == (0, "Disconnected\n", "")


def test_a_result_that_is_malformed(node: FakeNode) -> None:
    """It fails its own item only."""
    run, peer = start(
        node,
        """
        calls = erlang.map('f', range(300, 304), window=16)
        print(next(calls))
        try:
            next(calls)
        except ValueError as e:
            print(type(e).__module__, 'malformed' in str(e))
        """,
    )
    batch = items(peer, 4)[0][0]
    payload = b"\x83h\x03a\x01w\x01ai"  # {1, a, and a tuple of which there is nothing
    peer.connection.sendall(struct.pack(">IBI", 5 + len(payload), OK, batch) + payload)
    assert finished(run) == (0, "a\nerlang True\n", "")


def test_the_node_goes(node: FakeNode) -> None:
    """The results that have come are given; the next map finds the next node."""
    run, peer = start(
        node,
        """
        try:
            for result in erlang.map('f', range(300, 304), window=16):
                print(result)
        except erlang.Disconnected as e:
            print(type(e).__name__)
        print(*erlang.map('f', [304]))
        """,
    )
    batch = items(peer, 4)[0][0]
    peer.write(OK, batch, (1, "a", "b"))
    peer.close()
    again = node.accept()
    again.read()
    again.welcome()
    batch, position, item = items(again, 1)[0]
    again.write(OK, batch, (position, item))
    assert finished(run) == (0, "a\nb\nDisconnected\n304\n", "")


def test_a_limit_of_the_nodes(node: FakeNode) -> None:
    """A batch that is too large is sent in pieces; an item that is too large is its own failure."""
    run, peer = start(
        node,
        """
        print(erlang.submit('g').result())  # by now the limit is known
        text = 'x' * 400
        calls = erlang.map('f', [1, text, text, text, 2 * text + text, 5], window=32)
        for _ in range(4):
            print(next(calls))
        try:
            print(next(calls))
        except ValueError as e:
            print('max_frame' in str(e))
        """,
        max_frame=1000,
    )
    peer.write(OK, peer.read()[1], "on")
    for batch, position, item in items(peer, 5):
        if item != 5:
            peer.write(OK, batch, (position, item if item == 1 else len(item)))
    assert finished(run) == (0, "on\n1\n400\n400\n400\nTrue\n", "")


def test_ctrl_c_while_it_waits(node: FakeNode) -> None:
    run, peer = start(
        node,
        """
        try:
            list(erlang.map('f', [300, 301], window=8))
        except KeyboardInterrupt:
            print(erlang.submit('g').result())
        """,
    )
    batch = items(peer, 2)[0][0]
    run.send_signal(signal.SIGINT)
    assert peer.read() == (CANCEL, batch, None)
    peer.write(OK, peer.read()[1], "interrupted")
    assert finished(run) == (0, "interrupted\n", "")


def both(peer: Conversation) -> int:
    """Reads a batch and a call, in whichever order they come, and answers the call."""
    frames: dict[int, int] = {}
    while len(frames) < 2:
        kind, number, _ = peer.read()
        frames[kind] = number
    peer.write(OK, frames[CALL], "on")
    return frames[CALLS]


def test_an_exception_for_a_thread_that_waits(node: FakeNode) -> None:
    run, peer = start(
        node,
        """
        import _erlang, threading

        def waits():
            try:
                list(erlang.map('f', [300, 301], window=8))
            except erlang.Interrupted:
                print('interrupted')

        thread = threading.Thread(target=waits)
        thread.start()
        assert erlang.submit('go').result() == 'on'
        _erlang.raise_in(thread.ident, erlang.Interrupted)
        thread.join()
        erlang.submit('go').result()
        """,
    )
    batch = both(peer)
    assert peer.read() == (CANCEL, batch, None)
    peer.write(OK, peer.read()[1], "on")
    assert finished(run) == (0, "interrupted\n", "")


def test_the_program_ends_while_threads_wait(node: FakeNode) -> None:
    run, peer = start(
        node,
        """
        import os, threading

        def waits():
            try:
                list(erlang.map('f', [300, 301], window=8))
            except erlang.Disconnected:
                os.write(1, b'ends\\n')

        threading.Thread(target=waits, daemon=True).start()
        assert erlang.submit('go').result() == 'on'
        """,
    )
    both(peer)
    assert finished(run) == (0, "ends\n", "")
