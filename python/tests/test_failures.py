"""How an error payload (PROTOCOL.md, section 5) becomes an exception. No call is made here."""

from __future__ import annotations

import pickle
from typing import Any

import erlang
import pytest
from erlang._errors import failure


@pytest.mark.parametrize(
    ("payload", "kinds", "text"),
    [
        (("not_registered", "nope"), (erlang.NotRegistered,), "Function 'nope' not registered"),
        (("raised", "exit", "bye", "exit: bye", []), (erlang.CallError,), "exit: bye"),
        (("limit", "too large"), (ValueError, erlang.Error), "too large"),
        (("bad_term", "bad"), (ValueError, erlang.Error), "bad"),
        (("type", "args[0]: set has no Erlang term"), (TypeError, erlang.Error), "args[0]: set has no Erlang term"),
        (("disconnected", "gone"), (erlang.Disconnected, ConnectionError), "gone"),
        (("process", "dead"), (erlang.ProcessError,), "dead"),
        (("timeout", "no answer"), (erlang.Timeout, TimeoutError), "no answer"),
        (("refused", "version"), (erlang.Error,), "version"),
        (("refused", b"\xff"), (erlang.Error,), "\\xff"),
    ],
)
def test_known_payloads(payload: Any, kinds: tuple[type[Exception], ...], text: str) -> None:
    exc = failure(payload)
    for kind in (*kinds, erlang.Error, RuntimeError):
        assert isinstance(exc, kind)
    assert str(exc) == text


@pytest.mark.parametrize("payload", [None, (), ("raised",), ("unheard_of", "x"), "text", 7])
def test_an_unknown_payload_is_an_error_all_the_same(payload: Any) -> None:
    exc = failure(payload)
    assert type(exc) is erlang.Error and repr(payload) in str(exc)


def test_attributes() -> None:
    exc = failure(("raised", "throw", ("ball", 1), "throw: {ball,1}", ["peer:f/1", b"line \xff"]))
    assert isinstance(exc, erlang.CallError)
    assert (exc.error_class, exc.reason) == ("throw", ("ball", 1))
    assert exc.stacktrace == ["peer:f/1", "line \\xff"]
    missing = failure(("not_registered", "nope"))
    assert isinstance(missing, erlang.NotRegistered) and missing.name == "nope"


@pytest.mark.parametrize(
    "exc",
    [
        erlang.NotRegistered("nope"),
        erlang.CallError("exit: bye", "exit", "bye", ["a"]),
        erlang.Disconnected("gone"),
        erlang.Timeout("after 1 s"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_exceptions_can_be_pickled(exc: Exception) -> None:
    """As ProcessPoolExecutor does with what a task raises."""
    back = pickle.loads(pickle.dumps(exc))
    assert type(back) is type(exc) and str(back) == str(exc) and vars(back) == vars(exc)


def test_built_in_bases() -> None:
    assert issubclass(erlang.Timeout, TimeoutError)
    assert issubclass(erlang.Disconnected, ConnectionError)
    for name in ("CallError", "Disconnected", "NotRegistered", "ProcessError", "Timeout"):
        kind = getattr(erlang, name)
        assert issubclass(kind, erlang.Error) and issubclass(kind, RuntimeError)
        assert kind.__module__ == "erlang"
