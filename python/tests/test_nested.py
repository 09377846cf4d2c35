"""Calls within calls: a function that calls Python, on the very thread that waits for it."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import erlang
import pytest
from together import in_threads

local = threading.local()
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
HERE = __name__


def down(n: int) -> int:
    return 0 if n == 0 else 1 + int(erlang.call("call_python", HERE, "down", [n - 1]))


def where() -> tuple[int, Any, str]:
    return threading.get_ident(), local.name, variable.get()


def fails(text: str) -> None:
    raise LookupError(text)


def deeper() -> str:
    """Goes on until it cannot, and says why."""
    try:
        return str(erlang.call("call_python", HERE, "deeper", []))
    except erlang.CallError as exc:
        return str(exc)


def fails_in_between() -> str:
    try:
        erlang.call("maybe_fail", 42)
    except erlang.CallError as exc:
        return str(exc)
    return "did not fail"


def sums(n: int) -> int:
    """Calls as many as it goes deep, on each level."""
    return n + sum(int(erlang.call("call_python", HERE, "sums", [i])) for i in range(n))


def test_eval() -> None:
    assert erlang.call("eval_python", "1 + 1") == 2
    assert erlang.call("eval_python", "[n * n for n in range(4)]") == [0, 1, 4, 9]


@pytest.mark.parametrize("depth", [1, 2, 10, 90])
def test_depth(depth: int) -> None:
    assert down(depth) == depth


def test_too_deep() -> None:
    text = deeper()
    assert "max_nesting" in text or "MaxNesting" in text
    with pytest.raises(erlang.CallError):
        down(200)
    assert down(5) == 5


def test_on_the_same_thread_with_its_locals_and_context() -> None:
    def work(i: int) -> None:
        local.name = i
        variable.set(f"thread {i}")
        for _ in range(20):
            assert erlang.call("call_python", HERE, "where", []) == (threading.get_ident(), i, f"thread {i}")

    in_threads(8, work)


def test_in_many_threads() -> None:
    assert in_threads(16, lambda i: [down(n) for n in range(10)]) == [list(range(10))] * 16


def test_a_tree_of_calls() -> None:
    expected = [0, 1, 3, 7, 15]
    assert [sums(n) for n in range(5)] == expected


def test_failures_pass_through() -> None:
    with pytest.raises(erlang.CallError, match="on purpose") as info:
        erlang.call("call_python", HERE, "fails", ["on purpose"])
    assert "LookupError" in str(info.value)
    assert "maybe_fail: 42" in erlang.call("call_python", HERE, "fails_in_between", [])
    assert down(3) == 3


def test_the_main_thread_joins_a_thread_whose_function_calls_python() -> None:
    answers = []
    thread = threading.Thread(target=lambda: answers.append(down(3)))
    thread.start()
    thread.join()
    assert answers == [3]


def test_nested_calls_with_a_timeout() -> None:
    code = "__import__('erlang').call('double_it', 4, timeout=60)"
    assert erlang.call("eval_python", code) == 8
    assert erlang.call("eval_python", code, timeout=60) == 8
    slow = "__import__('erlang').call('hang', 'nested', timeout=0.05)"
    with pytest.raises(erlang.CallError, match="Timeout"):
        erlang.call("eval_python", slow)
    assert down(2) == 2


def test_a_timeout_around_a_nested_call() -> None:
    """Python code is not stopped by it; whichever comes first afterwards ends the call, and only that."""
    code = "__import__('time').sleep(0.3)"
    try:
        assert erlang.call("eval_python", code, timeout=0.05) is None
    except erlang.Timeout:
        pass
    assert down(2) == 2


def test_async_calls_within() -> None:
    code = "__import__('asyncio').run(__import__('erlang').async_call('double_it', 4))"
    assert erlang.call("eval_python", code) == 8
    assert erlang.call("eval_python", "__import__('erlang').submit('double_it', 4).result(60)") == 8
    assert erlang.call("eval_python", "list(__import__('erlang').map('double_it', range(5)))") == [0, 2, 4, 6, 8]
