"""The ways to write a call, and what it gives back."""

from __future__ import annotations

import erlang
import pytest


def test_call_by_name() -> None:
    assert erlang.call("double_it", 21) == 42


def test_attribute_is_the_same_call() -> None:
    assert erlang.double_it(21) == 42
    assert erlang.double_it.__name__ == "double_it"


def test_import_from() -> None:
    from erlang import double_it

    assert double_it(-4) == -8
    assert list(map(double_it, range(5))) == [0, 2, 4, 6, 8]


def test_hasattr_asks_the_registry() -> None:
    assert hasattr(erlang, "double_it")
    assert not hasattr(erlang, "nope")
    with pytest.raises(AttributeError, match="nope"):
        erlang.nope  # noqa: B018


def test_import_of_an_unknown_name() -> None:
    with pytest.raises(ImportError, match="nope"):
        from erlang import nope  # noqa: F401


def test_private_names_are_not_functions() -> None:
    for name in ("__wrapped__", "_private", "__path_hooks__"):
        assert not hasattr(erlang, name)


@pytest.mark.parametrize("arguments", [(), (1,), (1, "two", [3.0]), tuple(range(300))])
def test_arguments_arrive_in_order(arguments: tuple[object, ...]) -> None:
    assert erlang.call("args", *arguments) == list(arguments)


def test_two_arguments() -> None:
    assert erlang.call("my_function", "a", [1]) == ("a", [1])


def test_calls_in_a_row_on_one_thread_use_one_worker() -> None:
    workers = set()
    x = 0
    for _ in range(1000):
        x = erlang.call("add_one", x)
        workers.add(erlang.stats()["worker"])
    assert x == 1000
    assert len(workers) == 1 and None not in workers


@pytest.mark.beam
def test_self_is_the_handler_that_runs_the_function() -> None:
    handler = erlang.self()
    assert isinstance(handler, erlang.Pid)
    assert erlang.call("whoami") == handler == erlang.stats()["handler"]


@pytest.mark.go
def test_a_go_function_has_no_handler() -> None:
    assert erlang.call("whoami") == "goroutine"
    assert erlang.self() is None


def test_dir_lists_the_public_names() -> None:
    assert set(erlang.__all__) <= set(dir(erlang))
    for name in erlang.__all__:
        assert hasattr(erlang, name)
