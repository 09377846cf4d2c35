"""max_submitted_bytes: calls of submit, async_call and map that are under way have a bound; at the bound each waits in its own way."""

from __future__ import annotations

import signal
import struct
import textwrap
from pathlib import Path
from subprocess import Popen
from typing import Any, Callable

import erlang
import pytest
from command import erlpy, finished
from fakenode import CALL, CALLS, CANCEL, OK, Conversation, FakeNode

pytestmark = pytest.mark.beam

Begin = Callable[..., tuple["Popen[str]", Conversation]]
# Each call has some bytes beside its argument's: with this bound two of 1,000 bytes have room.
BOUND = 3500
HEADER = struct.Struct(">IBI")
SCRIPT = """
import asyncio, os, sys, threading, time, erlang

def waiting(n):
    while erlang.stats()['waiting'] != n:
        pass
    return True

def until(step):
    while not os.path.exists(os.path.join(os.path.dirname(__file__), step)):
        time.sleep(0.001)

def say(*what):
    os.write(1, (' '.join(map(str, what)) + '\\n').encode())  # in one piece, beside other threads

def thread(function, *args):
    t = threading.Thread(target=function, args=args)
    t.start()
    return t

data = b'\\xff' * 1000
"""


@pytest.fixture
def begin(node: FakeNode, tmp_path: Path) -> Begin:
    def started(text: str, bound: int = BOUND) -> tuple[Popen[str], Conversation]:
        file = tmp_path / "script.py"
        file.write_text(SCRIPT + textwrap.dedent(text), encoding="utf-8")
        run = erlpy("--max-submitted-bytes", str(bound), "--beam", node.path, str(file))
        peer = node.accept()
        assert peer.read()[2][2] == "async"
        peer.welcome()
        return run, peer

    return started


def said(run: Popen[str], line: str) -> None:
    assert run.stdout is not None
    assert run.stdout.readline() == line + "\n"


def calls(peer: Conversation, count: int) -> list[int]:
    numbers = []
    for _ in range(count):
        kind, number, _ = peer.read()
        assert kind == CALL
        numbers.append(number)
    return numbers


def test_submit_waits(begin: Begin) -> None:
    run, peer = begin(
        """
        futures = [erlang.submit('f', data) for _ in range(2)]
        third = thread(lambda: futures.append(erlang.submit('f', data)))
        say(waiting(1))
        third.join()
        say(*[f.result(20) for f in futures], erlang.stats()['waiting'], erlang.stats()['submitted_bytes'])
        """
    )
    numbers = calls(peer, 2)
    said(run, "True")
    peer.write(OK, numbers[0], 1)
    numbers += calls(peer, 1)
    for answer, number in enumerate(numbers[1:], 2):
        peer.write(OK, number, answer)
    assert finished(run) == (0, "1 2 3 0 0\n", "")


def test_one_larger_than_the_bound_goes_alone(begin: Begin) -> None:
    run, peer = begin("say(erlang.submit('f', 10 * data).result(20), erlang.submit('f', 10 * data).result(20))")
    for answer in (1, 2):
        (number,) = calls(peer, 1)
        peer.write(OK, number, answer)
    assert finished(run) == (0, "1 2\n", "")


def test_ctrl_c_where_submit_waits(begin: Begin) -> None:
    run, peer = begin(
        """
        futures = [erlang.submit('f', data) for _ in range(2)]
        thread(lambda: say(waiting(1)))
        try:
            erlang.submit('f', data)
        except KeyboardInterrupt:
            say('interrupted', erlang.stats()['waiting'])
        say(*[f.result(20) for f in futures], erlang.submit('f', 3).result(20))
        """
    )
    numbers = calls(peer, 2)
    said(run, "True")
    run.send_signal(signal.SIGINT)
    said(run, "interrupted 0")
    for answer, number in enumerate(numbers, 1):
        peer.write(OK, number, answer)
    (number,) = calls(peer, 1)
    peer.write(OK, number, 3)
    assert finished(run) == (0, "1 2 3\n", "")


def test_a_thread_that_is_interrupted_where_it_waits(begin: Begin) -> None:
    run, peer = begin(
        """
        import ctypes
        futures = [erlang.submit('f', data) for _ in range(2)]
        def waits():
            try:
                erlang.submit('f', data)
            except erlang.Interrupted:
                say('interrupted')
        t = thread(waits)
        waiting(1)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(t.ident), ctypes.py_object(erlang.Interrupted))
        t.join()
        say(waiting(0), *[f.result(20) for f in futures])
        """
    )
    numbers = calls(peer, 2)
    said(run, "interrupted")
    for answer, number in enumerate(numbers, 1):
        peer.write(OK, number, answer)
    assert finished(run) == (0, "True 1 2\n", "")


def test_time_runs_while_a_call_waits(begin: Begin) -> None:
    run, peer = begin(
        """
        futures = [erlang.submit('f', data) for _ in range(2)]
        async def call():
            await erlang.async_call('f', data, timeout=0.1)
        for way in (lambda: erlang.submit('f', data, timeout=0.1), lambda: asyncio.run(call())):
            try:
                way()
            except erlang.Timeout as e:
                say(e, erlang.stats()['waiting'])
        say(*[f.result(20) for f in futures])
        """
    )
    numbers = calls(peer, 2)
    said(run, "no answer within 0.1 s 0")
    said(run, "no answer within 0.1 s 0")
    for answer, number in enumerate(numbers, 1):
        peer.write(OK, number, answer)
    assert finished(run) == (0, "1 2\n", "")


def test_async_call_waits_and_its_loop_does_not(begin: Begin) -> None:
    """In order, however small one that comes later is; and those that are cancelled where they wait are not called."""
    run, peer = begin(
        """
        async def main():
            tasks = [asyncio.ensure_future(erlang.async_call('f', n, data)) for n in range(5)]
            tasks.append(asyncio.ensure_future(erlang.async_call('f', 5)))
            while erlang.stats()['waiting'] < 4:
                await asyncio.sleep(0)
            tasks[3].cancel()
            await asyncio.wait([tasks[3]])
            say('waiting', erlang.stats()['waiting'])
            say(*await asyncio.gather(*tasks[:3], *tasks[4:]), tasks[3].cancelled())
        asyncio.run(main())
        """
    )
    order = []
    numbers = []
    for _ in range(2):
        kind, number, (_, args) = peer.read()
        order.append(args[0])
        numbers.append(number)
    said(run, "waiting 3")
    for _ in range(3):
        peer.write(OK, numbers.pop(0), order[-2])
        kind, number, (_, args) = peer.read()
        order.append(args[0])
        numbers.append(number)
    assert order == [0, 1, 2, 4, 5]
    for answer, number in zip(order[-2:], numbers):
        peer.write(OK, number, answer)
    assert finished(run) == (0, "0 1 2 4 5 True\n", "")


def test_a_loop_that_a_thread_of_it_blocks(begin: Begin) -> None:
    """Its coroutine has been told of the room that submit, on the loop's own thread, waits for."""
    run, peer = begin(
        """
        async def main():
            first = erlang.submit('f', 3 * data)
            task = asyncio.ensure_future(erlang.async_call('f', 3 * data))
            while not erlang.stats()['waiting']:
                await asyncio.sleep(0)
            say('waiting')
            second = erlang.submit('f', 3 * data)  # blocks the loop
            say(first.result(20), second.result(20), await task)
        asyncio.run(main())
        """
    )
    (number,) = calls(peer, 1)
    said(run, "waiting")
    for answer in (1, 2, 3):
        peer.write(OK, number, answer)
        if answer < 3:
            (number,) = calls(peer, 1)
    assert finished(run) == (0, "1 2 3\n", "")


def test_a_callback_on_the_completion_thread_cannot_wait(begin: Begin) -> None:
    run, peer = begin(
        """
        done = threading.Event()
        def callback(future):
            try:
                erlang.submit('f', data)
            except ValueError as e:
                say('max_submitted_bytes' in str(e), 'another thread' in str(e), isinstance(e, erlang.Error))
            done.set()
        first, second = [erlang.submit('f', 2 * data) for _ in range(1)], []
        first[0].add_done_callback(callback)
        t = thread(lambda: second.append(erlang.submit('f', 2 * data)))
        waiting(1)
        say('waiting')
        done.wait(20)
        t.join()
        say(first[0].result(20), second[0].result(20))
        """
    )
    (number,) = calls(peer, 1)
    said(run, "waiting")
    peer.write(OK, number, 1)
    (number,) = calls(peer, 1)
    said(run, "True True True")
    peer.write(OK, number, 2)
    assert finished(run) == (0, "1 2\n", "")


def test_a_map_goes_on_with_one_item(begin: Begin) -> None:
    """And makes calls between its results: it holds nothing that they wait for."""
    run, peer = begin(
        """
        taken = []
        def items():
            for n in range(6):
                taken.append(n)
                yield [n, data]
        results = []
        for result in erlang.map('f', items(), window=6):
            results.append((result, erlang.submit('f', data).result(20)))
        say(len(results), taken)
        """
    )
    answered = 0
    most = flying = 0
    waiting: list[tuple[int, int, Any]] = []
    while answered < 12:
        kind, number, term = peer.read()
        if kind == CALLS:
            flying += len(term[2])
            most = max(most, flying)
            for position in range(1, len(term[2]) + 1):
                peer.write(OK, number, (position, position))
                flying -= 1
                answered += 1
        else:
            peer.write(OK, number, 0)
            answered += 1
    assert waiting == [] and most <= 3
    assert finished(run) == (0, "6 [0, 1, 2, 3, 4, 5]\n", "")


def test_the_connection_is_lost_while_calls_wait(begin: Begin, node: FakeNode) -> None:
    run, peer = begin(
        """
        futures = [erlang.submit('f', data) for _ in range(2)]
        third = thread(lambda: futures.append(erlang.submit('f', data)))
        say(waiting(1))
        third.join()
        for f in futures:
            try:
                say(f.result(20))
            except erlang.Disconnected:
                say('Disconnected')
        """
    )
    calls(peer, 2)
    said(run, "True")
    peer.close()
    peer = node.welcomed()
    (number,) = calls(peer, 1)
    peer.write(OK, number, 3)
    assert finished(run) == (0, "Disconnected\nDisconnected\n3\n", "")


def test_the_program_ends_while_calls_wait(begin: Begin, tmp_path: Path) -> None:
    run, peer = begin(
        """
        futures = [erlang.submit('f', data) for _ in range(2)]
        def waits():
            try:
                erlang.submit('f', data)
            except erlang.Disconnected as e:
                say(e)
        threading.Thread(target=waits, daemon=True).start()
        async def main():
            try:
                await erlang.async_call('f', data)
            except erlang.Disconnected as e:
                say(e)
        threading.Thread(target=asyncio.run, args=[main()], daemon=True).start()
        waiting(2)
        until('end')
        """
    )
    calls(peer, 2)
    (tmp_path / "end").touch()
    status, out, err = finished(run)
    assert (status, err) == (0, "")
    assert out.count("\n") == 2 and out.count("the interpreter is shutting down") >= 1


def test_answers_that_are_not_taken_are_left_in_the_socket(begin: Begin, tmp_path: Path) -> None:
    """But calls are cancelled all the same, and a map's results come."""
    run, peer = begin(
        """
        go_on = threading.Event()
        futures = [erlang.submit('f', n) for n in range(40)]
        futures[0].add_done_callback(lambda _: go_on.wait())
        last = erlang.submit('f', 'last')
        say('begun')
        until('cancel')
        say(last.cancel())
        until('map')
        say(list(erlang.map('g', [1, 2], 1)))
        go_on.set()
        say(sum(len(f.result(20)) for f in futures))
        """,
        bound=200_000,
    )
    numbers = calls(peer, 41)
    said(run, "begun")
    # More than the bound, and what lies in the socket. The first one keeps the completion thread.
    payload = erlang_binary(100_000)
    frame = HEADER.pack(5 + len(payload), OK, numbers[0]) + payload
    peer.connection.sendall(frame)
    frames = b"".join(HEADER.pack(5 + len(payload), OK, number) + payload for number in numbers[1:40])
    peer.connection.settimeout(None)
    peer.connection.setblocking(False)
    sent = 0
    tries = 0
    while tries < 200:  # until nothing is taken for a while
        try:
            sent += peer.connection.send(frames[sent : sent + 50_000])
            tries = 0
        except BlockingIOError:
            tries += 1
            erlang.call("sleep", 5)
    assert sent < 1_500_000
    (tmp_path / "cancel").touch()
    peer.connection.settimeout(20)
    assert peer.read()[:2] == (CANCEL, numbers[40])
    said(run, "True")
    (tmp_path / "map").touch()
    kind, number, term = peer.read()
    assert (kind, term[0]) == (CALLS, "g")
    peer.connection.sendall(frames[sent:])
    peer.write(OK, number, (1, 10))
    kind, number, term = peer.read()
    peer.write(OK, number, (1, 20))
    said(run, "[10, 20]")
    said(run, "4000000")
    assert finished(run)[0] == 0


def erlang_binary(size: int) -> bytes:
    return b"\x83m" + struct.pack(">I", size) + b"\xff" * size


def test_the_bound_is_shown() -> None:
    assert erlang.stats()["max_submitted_bytes"] == 64 << 20
