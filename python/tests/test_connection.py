"""A thread's connection: made without the GIL, refused, lost. Against a node that misbehaves on purpose."""

from __future__ import annotations

import signal
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import erlang
import pytest
from command import erlpy, finished
from fakenode import CALL, ERROR, HANDLER, HELLO, OK, FakeNode

pytestmark = pytest.mark.beam


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    with FakeNode(tmp_path) as node:
        yield node


def script(folder: Path, text: str) -> str:
    file = folder / "script.py"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(file)


def test_the_conversation_of_one_thread(node: FakeNode, tmp_path: Path) -> None:
    run = erlpy("--beam", node.path, script(tmp_path, "import erlang; print(erlang.call('f', 1, 'two'), erlang.self())"))
    peer = node.accept()
    kind, number, hello = peer.read()
    assert (kind, number, hello[:3]) == (HELLO, 0, ("erlpy", 1, "thread"))
    peer.welcome()
    assert peer.read() == (CALL, 1, ("f", [1, "two"]))
    peer.write(OK, 1, "answer")
    assert finished(run) == (0, "answer n.9.0\n", "")


def test_the_gil_is_free_while_a_thread_connects(node: FakeNode, tmp_path: Path) -> None:
    """The node says hello only when another thread of the script has run meanwhile: with the GIL held, it never would."""
    connecting, ran = tmp_path / "connecting", tmp_path / "ran"
    run = erlpy(
        "--beam",
        node.path,
        script(
            tmp_path,
            f"""
            import os, threading, erlang
            caller = threading.Thread(target=lambda: print(erlang.call('f')))
            caller.start()
            while not os.path.exists({str(connecting)!r}):
                pass
            print('ran', flush=True)
            open({str(ran)!r}, 'w').close()
            caller.join()
            """,
        ),
    )
    peer = node.accept()
    peer.read()
    connecting.touch()
    wait_for(ran)
    peer.welcome()
    _, number, _ = peer.read()
    peer.write(OK, number, 7)
    assert finished(run) == (0, "ran\n7\n", "")


def wait_for(file: Path, seconds: float = 4) -> None:
    """Less than the five seconds after which a connection without a hello is given up."""
    deadline = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < deadline, f"no {file.name} within {seconds} s"
        time.sleep(0.002)


def test_a_refused_hello(node: FakeNode, tmp_path: Path) -> None:
    run = erlpy("--beam", node.path, script(tmp_path, "import erlang; erlang.call('f')"))
    peer = node.accept()
    peer.read()
    peer.write(ERROR, 0, (erlang.Atom("refused"), "too many workers"))
    status, out, err = finished(run)
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("erlang.Error: ") and "too many workers" in err


def test_the_node_goes_in_mid_call(node: FakeNode, tmp_path: Path) -> None:
    run = erlpy(
        "--beam",
        node.path,
        script(
            tmp_path,
            """
            import erlang
            try:
                erlang.call('f')
            except erlang.Disconnected as e:
                print(type(e).__name__)
            print(erlang.call('f'))
            """,
        ),
    )
    first = node.accept()
    first.read()
    first.welcome()
    first.read()
    first.close()
    second = node.accept()
    second.read()
    second.welcome()
    _, number, _ = second.read()
    second.write(OK, number, "again")
    assert finished(run) == (0, "Disconnected\nagain\n", "")


def test_nobody_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "nobody")
    status, out, err = finished(erlpy("--beam", path, script(tmp_path, "import erlang; erlang.call('f')")))
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith("erlang.Disconnected: ") and path in err


def test_a_limit_of_the_nodes(node: FakeNode, tmp_path: Path) -> None:
    run = erlpy(
        "--beam",
        node.path,
        script(
            tmp_path,
            """
            import erlang
            try:
                erlang.call('f', 'x' * 2000)
            except ValueError as e:
                print('max_frame' in str(e))
            print(erlang.call('f', 'x'))
            """,
        ),
    )
    peer = node.accept()
    peer.read()
    peer.welcome(max_frame=1000)
    _, number, term = peer.read()
    assert term == ("f", ["x"])
    peer.write(OK, number, 1)
    assert finished(run) == (0, "True\n1\n", "")


def test_a_timeout_while_a_nested_answer_is_written(node: FakeNode, tmp_path: Path) -> None:
    """The answer has no room in the socket, and the time of the call around it runs out: that call fails, the next one works."""
    run = erlpy(
        "--beam",
        node.path,
        script(
            tmp_path,
            """
            import erlang
            try:
                erlang.call('f', timeout=0.3)
            except erlang.Timeout as e:
                print(type(e).__name__)
            print(erlang.call('f'))
            """,
        ),
    )
    first = node.accept()
    first.read()
    first.welcome()
    first.read()
    first.call("eval", None, "'x' * 10_000_000", {})
    # Two connections follow, in any order: one tells the node to kill the function, one is for the next call. That is answered last, since
    # the program ends with it.
    others = {}
    for _ in range(2):
        other = node.accept()
        _, _, hello = other.read()
        others[hello[2]] = other
    others["async"].welcome()
    kind, _, term = others["async"].read()
    assert (kind, term) == (CALL, ("cancel", [HANDLER]))
    others["thread"].welcome()
    _, number, _ = others["thread"].read()
    others["thread"].write(OK, number, "again")
    assert finished(run) == (0, "Timeout\nagain\n", "")


def test_ctrl_c_while_waiting(node: FakeNode, tmp_path: Path) -> None:
    run = erlpy("--beam", node.path, script(tmp_path, "import erlang; erlang.call('f')"))
    peer = node.accept()
    peer.read()
    peer.welcome()
    peer.read()
    run.send_signal(signal.SIGINT)
    status, _, err = finished(run, seconds=10)
    assert status == 130
    assert err.splitlines()[-1] == "KeyboardInterrupt"


def test_a_real_node_that_stops(tmp_path: Path) -> None:
    """Who waits hears of it within 100 ms, and so does who calls afterwards."""
    functions = tmp_path / "stops.erl"
    functions.write_text("-module(stops).\n-export([stop/1]).\nstop([]) -> erlang:halt(0, [{flush, false}]).\n")
    text = """
        import time, erlang
        for _ in range(2):
            start = time.monotonic()
            try:
                erlang.call('stop')
            except erlang.Disconnected:
                print(time.monotonic() - start)
        """
    took = []
    for _ in range(3):  # the best of three, as elsewhere
        status, out, err = finished(erlpy("--erl", str(functions), script(tmp_path, text)))
        assert (status, err) == (0, "")
        waited, called_afterwards = map(float, out.split())
        took.append(max(waited, called_afterwards))
    assert min(took) < 0.1
