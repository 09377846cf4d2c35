"""Functions that fail. After each failure the next call on the same thread works."""

from __future__ import annotations

import time
import traceback
from typing import Any

import erlang
import pytest


def fails(name: str, *args: Any) -> erlang.CallError:
    worker = erlang.stats()["worker"]
    with pytest.raises(erlang.CallError) as info:
        erlang.call(name, *args)
    assert isinstance(info.value, RuntimeError)
    assert "\n" not in str(info.value)
    assert erlang.call("double_it", 21) == 42
    assert worker in (None, erlang.stats()["worker"]), "a function that fails must not cost the thread its worker"
    return info.value


def test_an_error(peer: str) -> None:
    exc = fails("fail_error")
    assert exc.error_class == "error"
    assert isinstance(exc.stacktrace, list)
    if peer == "beam":
        assert str(exc).startswith("error: ")


def test_an_error_with_an_argument() -> None:
    assert "maybe_fail: 42" in str(fails("maybe_fail", 42))


def test_a_reason_with_non_ascii_text() -> None:
    exc = fails("fail_unicode")
    assert "žluťoučký ✓" in str(exc)
    assert "žluťoučký ✓" in "".join(traceback.format_exception(type(exc), exc, None))


@pytest.mark.beam
@pytest.mark.parametrize(("name", "error_class"), [("fail_exit", "exit"), ("fail_throw", "throw")])
def test_classes(name: str, error_class: str) -> None:
    exc = fails(name)
    assert exc.error_class == error_class
    assert str(exc).startswith(error_class + ": ")


@pytest.mark.beam
def test_a_bad_match() -> None:
    exc = fails("bad_match", 7)
    assert (exc.error_class, exc.reason, str(exc)) == ("error", ("badmatch", 7), "error: {badmatch,7}")
    assert all(isinstance(line, str) for line in exc.stacktrace)
    assert any("bad_match" in line for line in exc.stacktrace)


@pytest.mark.parametrize("args", [(), (1, 2), ("a", "b", "c")])
def test_a_wrong_argument_list(args: tuple[Any, ...], peer: str) -> None:
    exc = fails("double_it", *args)
    assert exc.error_class == "error"
    if peer == "go":
        assert str(exc) == f"double_it takes 1 argument, got {len(args)}"
    else:
        assert str(exc) == "error: function_clause"


def test_a_wrong_type_of_argument(peer: str) -> None:
    exc = fails("double_it", "text")
    if peer == "go":
        assert str(exc) == "double_it: args[0]: str cannot be passed as int"
    else:
        assert str(exc) == "error: badarith"


@pytest.mark.go
def test_a_go_error_is_its_text() -> None:
    exc = fails("fail_go")
    assert exc.error_class == "error"
    assert not str(exc).startswith("error:")


@pytest.mark.go
def test_a_go_panic_has_its_stack() -> None:
    exc = fails("panic_go")
    assert str(exc).startswith("panic: ")
    assert exc.error_class == "error"
    assert any(".go:" in line for line in exc.stacktrace)


def test_not_registered() -> None:
    with pytest.raises(erlang.NotRegistered) as info:
        erlang.call("nope")
    assert str(info.value) == "Function 'nope' not registered"
    assert info.value.name == "nope"
    assert isinstance(info.value, erlang.Error) and not isinstance(info.value, erlang.CallError)
    assert erlang.call("double_it", 1) == 2


def test_a_bound_name_that_is_gone_says_so() -> None:
    import _erlang

    function = _erlang.bound("nope")
    with pytest.raises(erlang.NotRegistered, match="Function 'nope' not registered"):
        function()


def test_many_failures_in_a_row() -> None:
    for _ in range(500):
        with pytest.raises(erlang.CallError):
            erlang.call("maybe_fail", 42)
    assert erlang.call("double_it", 2) == 4


@pytest.mark.beam
def test_the_handler_killed_in_mid_call() -> None:
    took = []
    for _ in range(3):  # the best of three: what else this machine does is not measured
        erlang.call("double_it", 1)
        before, handler = erlang.stats(), erlang.self()
        start = time.monotonic()
        with pytest.raises(erlang.Disconnected) as info:
            erlang.call("kill_me")
        took.append(time.monotonic() - start)
        assert isinstance(info.value, ConnectionError)
        assert erlang.call("double_it", 21) == 42
        assert erlang.self() != handler
        after = erlang.stats()
        assert after["retired"] == before["retired"] + 1
        assert after["reconnects"] == before["reconnects"] + 1
    assert min(took) < 0.1
