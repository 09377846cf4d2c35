"""Children made by os.fork: their own calls are refused, and a call of the parent's ends them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import erlang
import pytest
from command import erlpy, finished
from fates import key

HERE = __name__
REFUSED = 7

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def status(pid: int) -> int:
    """The exit status of a child; below 0 if a signal has ended it."""
    _, ended = os.waitpid(pid, 0)
    return os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else -ended


def refused(do: Callable[[], Any]) -> None:
    """Ends this child, with REFUSED if the call is refused."""
    try:
        do()
    except RuntimeError as exc:
        os._exit(REFUSED if "forked" in str(exc) else 1)
    except BaseException:
        os._exit(2)
    os._exit(3)


@pytest.fixture(autouse=True)
def works_afterwards() -> Iterator[None]:
    parent = os.getpid()
    yield
    if os.getpid() != parent:
        os._exit(99)  # a child came all the way back
    assert erlang.call("double_it", 21) == 42
    assert erlang.submit("double_it", 21).result(20) == 42
    assert list(erlang.map("double_it", range(3))) == [0, 2, 4]


def forks() -> int:
    return os.fork()


def forks_deeper(n: int) -> int:
    return int(erlang.call("call_python", HERE, "forks_deeper", [n - 1])) if n else os.fork()


def forks_and_fails() -> None:
    children.append(os.fork())
    raise LookupError("parent's")


def forks_and_returns_nonsense() -> object:
    children.append(os.fork())
    return object()


children: list[int] = []


def test_nested_calls() -> None:
    for _ in range(10):
        pid = erlang.call("call_python", HERE, "forks", [])
        assert pid > 0
        assert status(pid) == 0


def test_deep_nested_calls() -> None:
    pid = erlang.call("call_python", HERE, "forks_deeper", [3])
    assert pid > 0
    assert status(pid) == 0


def test_nested_calls_that_fail() -> None:
    del children[:]
    with pytest.raises(erlang.CallError, match="parent's"):
        erlang.call("call_python", HERE, "forks_and_fails", [])
    with pytest.raises(erlang.CallError, match="object has no Erlang term"):
        erlang.call("call_python", HERE, "forks_and_returns_nonsense", [])
    assert [status(pid) for pid in children] == [0, 0]


def test_nested_calls_on_a_thread() -> None:
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(erlang.call("call_python", HERE, "forks", [])))
    thread.start()
    thread.join()
    assert status(got[0]) == 0


class Forks:
    """An integer whose conversion forks."""

    def __init__(self) -> None:
        self.pid = -1

    def __index__(self) -> int:
        self.pid = os.fork()
        return 21


def through_the_table(forks: Forks) -> int:
    erlang.state_set("forked", forks)
    return int(erlang.state_get("forked")) * 2


@pytest.mark.parametrize(
    "do",
    [
        lambda f: erlang.call("double_it", f),
        lambda f: erlang.call("double_it", f, timeout=60),
        lambda f: erlang.submit("double_it", f).result(20),
        lambda f: next(erlang.map("double_it", [f, 1])),
        lambda f: erlang.call("args", {"k": [f]})[0]["k"][0] * 2,
        through_the_table,
        lambda f: erlang.call("call_python", "builtins", "int", [f]) * 2,
    ],
    ids=["call", "timeout", "submit", "map", "within", "state", "nested"],
)
def test_conversions(do: Callable[[Forks], Any]) -> None:
    """The call has not begun by then: in the child it is refused, as any other."""
    parent, forks = os.getpid(), Forks()
    try:
        result = do(forks)
    except RuntimeError as exc:
        if os.getpid() == parent:
            raise
        os._exit(REFUSED if "forked" in str(exc) else 1)
    if os.getpid() != parent:
        os._exit(3)
    assert result == 42
    assert status(forks.pid) == REFUSED


def test_a_cast() -> None:
    name, forks = key(), Forks()
    parent = os.getpid()
    try:
        erlang.cast("note", name, forks)
    except RuntimeError:
        os._exit(REFUSED)
    if os.getpid() != parent:
        os._exit(3)
    assert status(forks.pid) == REFUSED
    while erlang.call("noted", name) != [21]:
        pass


@pytest.mark.parametrize(
    "do",
    [
        lambda: erlang.call("double_it", 1),
        lambda: erlang.call("echo", "x", timeout=1),
        lambda: erlang.cast("double_it", 1),
        lambda: erlang.submit("double_it", 1),
        lambda: next(erlang.map("double_it", [1])),
        lambda: erlang.self(),
        lambda: erlang.stats(),
        lambda: erlang.state_set("x", 1),
    ],
)
def test_what_a_child_begins(do: Callable[[], Any]) -> None:
    pid = os.fork()
    if pid == 0:
        refused(do)
    assert status(pid) == REFUSED


def test_a_map_that_goes_on() -> None:
    results = erlang.map("double_it", iter(range(1000)), window=4)
    assert next(results) == 0
    pid = os.fork()
    if pid == 0:
        refused(lambda: list(results))
    assert status(pid) == REFUSED
    assert list(results) == [2 * n for n in range(1, 1000)]


def test_items_of_a_map_that_fork() -> None:
    pids: list[int] = []

    def items() -> Iterator[int]:
        yield 1
        pids.append(os.fork())
        yield 2

    parent = os.getpid()
    try:
        results = list(erlang.map("double_it", items()))
    except RuntimeError:
        os._exit(REFUSED)
    if os.getpid() != parent:
        os._exit(3)
    assert results == [2, 4]
    assert status(pids[0]) == REFUSED


def test_callbacks_of_futures() -> None:
    """They run on the completion thread."""
    pids: list[int] = []
    forked = threading.Event()

    def callback(_: Any) -> None:
        pids.append(os.fork())
        forked.set()

    future = erlang.submit("sleep", 100)
    others = [erlang.submit("sleep", n) for n in range(90, 120, 3)]
    future.add_done_callback(callback)
    assert forked.wait(20)
    assert status(pids[0]) == 0
    assert [f.result(20) for f in others] == list(range(90, 120, 3))


@pytest.mark.beam
def test_handlers_of_signals_while_a_call_waits() -> None:
    pids: list[int] = []
    old = signal.signal(signal.SIGALRM, lambda *_: pids.append(os.fork()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert erlang.call("sleep", 300) == 300
    finally:
        signal.signal(signal.SIGALRM, old or signal.SIG_DFL)  # none, where Go has put its own
    assert status(pids[0]) == 0


def multiply(n: int) -> int:
    return n * 2


def uses_processes() -> list[int]:
    with warnings.catch_warnings(), multiprocessing.get_context("fork").Pool(2) as pool:
        warnings.simplefilter("ignore")
        return pool.map(multiply, range(10))


def test_multiprocessing() -> None:
    assert uses_processes() == list(range(0, 20, 2))
    assert erlang.call("call_python", HERE, "uses_processes", []) == list(range(0, 20, 2))


PEER = Path(__file__).resolve().parents[2] / "erlang" / "test" / "py_peer.erl"


def in_nested_child(tmp_path: Path, does: str) -> tuple[int, str, str]:
    """Runs a script with a nested call whose code forks and, in the child, does this."""
    script = tmp_path / "script.py"
    script.write_text(
        "import erlang, os, sys, threading, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "def forks():\n"
        "    pid = os.fork()\n"
        f"    if pid == 0: {does}\n"
        "    return pid\n"
        "pid = erlang.call('eval_python', '__import__(\"__main__\").forks()')\n"
        "print(os.waitpid(pid, 0)[1])\n",
        encoding="utf-8",
    )
    return finished(erlpy("--erl", str(PEER), str(script)))


@pytest.mark.beam
def test_what_a_child_has_printed_is_written(tmp_path: Path) -> None:
    does = "print('from the child', end=''); print('err', end='', file=sys.stderr)"
    assert in_nested_child(tmp_path, does) == (0, "from the child0\n", "err")


@pytest.mark.beam
def test_how_a_child_fails_is_printed(tmp_path: Path) -> None:
    status, out, err = in_nested_child(tmp_path, "erlang.call('double_it', 1)")
    assert (status, out) == (0, "0\n")
    assert "in forks" in err
    assert "RuntimeError: erlang: this process was forked" in err
    assert in_nested_child(tmp_path, "sys.exit(5)") == (0, "0\n", "")
    assert in_nested_child(tmp_path, "sys.stdout.close()") == (0, "0\n", "")


def test_a_child_of_a_thread_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import erlang, os, threading\n"
        "def runs():\n"
        "    try: erlang.call('f')\n"
        "    except erlang.Error: pass\n"
        "    pids.append(os.fork())\n"
        "pids = []\n"
        "thread = threading.Thread(target=runs)\n"
        "thread.start()\n"
        "thread.join()\n"
        "print(os.waitpid(pids[0], 0)[1])\n",
        encoding="utf-8",
    )
    status, out, _ = finished(erlpy(str(script)))
    assert (status, out) == (0, "0\n")


@pytest.mark.parametrize(
    ("child", "ends"),
    [
        ("pass", 0),
        ("sys.exit(5)", 5),
        ("print('x')", 0),
        ("raise LookupError", 1),
        ("threading.Thread(target=print).start()", 0),
    ],
)
def test_children_of_a_script_end_as_under_python3(tmp_path: Path, child: str, ends: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import atexit, erlang, os, sys, threading\n"
        "try: erlang.call('f')\n"
        "except erlang.Error: pass\n"
        "parent = os.getpid()\n"
        "atexit.register(lambda: print('exit', os.getpid() == parent, flush=True))\n"
        "pid = os.fork()\n"
        f"if pid == 0:\n    {child}\n"
        "else:\n    print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))\n",
        encoding="utf-8",
    )
    code, out, _ = finished(erlpy(str(script)))
    assert code == 0
    assert out.split("\n")[-4:] == ["exit False", str(ends), "exit True", ""]


@pytest.mark.beam
def test_the_end_of_a_child_interrupts_no_thread(tmp_path: Path) -> None:
    """Go's handler for it, on a thread that holds the GIL, could wait for ever: a host with many forks stood still."""
    script = tmp_path / "script.py"
    script.write_text("import signal; print(signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL)", encoding="utf-8")
    assert finished(erlpy(str(script))) == (0, "True\n", "")
