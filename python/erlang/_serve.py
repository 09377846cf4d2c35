"""Calls that come from the other side: what PROTOCOL.md, section 4, lists as node to Python."""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional

import _erlang

from ._errors import Error
from ._types import Atom, Pid

# A frame of ours, in a traceback: of no use to whoever reads it.
OWN = "<erlpy>/"

# The threads that serve calls.
_contexts: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

# What exec defined, by the process that ran it. Dropped when that process ends.
_spaces: dict[Pid, dict[str, Any]] = {}


def dispatch(target: str, args: list[Any]) -> Any:
    """Serves one call. Raises whatever the code that it runs raises."""
    serve = _TARGETS.get(target)
    if serve is None:
        raise Error(f"a call of an unknown kind: {target!r}")
    return serve(*args)


def describe(exc: BaseException) -> tuple[Any, ...]:
    """The error payload for an exception that `dispatch` raised."""
    exc.__traceback__ = without_own(exc.__traceback__)
    lines = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__)).splitlines()
    return Atom("python"), _sendable(type(exc).__name__), _message(exc), [_sendable(line) for line in lines]


def without_own(tb: Optional[TracebackType]) -> Optional[TracebackType]:
    """The traceback from the first frame on that is not ours."""
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(OWN):
        tb = tb.tb_next
    return tb


def run_host(token: str) -> int:
    """Serves a node until it is gone: the main thread's work in a host process. Returns the exit status."""
    # As under `python3 -c`: modules in the current directory, which the application's setting `cd` chooses, are found.
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, "")
    _erlang.serve("host", token)
    return 0


def _namespace(space: Optional[Pid], keep: bool = False) -> dict[str, Any]:
    if space is None:
        return vars(sys.modules["__main__"])
    fresh = {"__name__": "__main__", "__builtins__": builtins}
    # Only exec keeps one: the node knows who ran exec, and tells us when that process is gone.
    return _spaces.setdefault(space, fresh) if keep else _spaces.get(space, fresh)


def _call(space: Optional[Pid], module: str, function: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    return _look_up(space, module, function)(*args, **kwargs)


def _look_up(space: Optional[Pid], module: str, function: str) -> Any:
    first, *rest = function.split(".")
    if module == "__main__":
        names = _namespace(space)
        if first not in names:
            raise AttributeError(f"module '__main__' has no attribute {first!r}")
        value = names[first]
    else:
        value = getattr(importlib.import_module(module), first)
    for name in rest:
        value = getattr(value, name)
    return value


def _eval(space: Optional[Pid], code: str, names: dict[str, Any]) -> Any:
    scope = _namespace(space)
    if names:
        # One dict, not globals and locals: a comprehension or a lambda in the expression sees only globals.
        scope = {**scope, **names}
    return eval(compile(code.strip(), "<eval>", "eval", dont_inherit=True), scope)


def _exec(space: Optional[Pid], code: str) -> None:
    # Compiled first: text that does not compile leaves no namespace behind.
    compiled = compile(code, "<exec>", "exec", dont_inherit=True)
    exec(compiled, _namespace(space, keep=True))


def _run(path: str, argv: list[str]) -> None:
    from ._main import execute

    try:
        execute(path, argv)
    except SystemExit as exc:
        if exc.code not in (None, 0):
            raise


def end() -> None:
    """The program's last act in Python: no call is made or waited for after it."""
    _erlang.close()
    # Contexts that still run somebody's code after this are cut off, as all daemon threads are.
    deadline = time.monotonic() + 1.0
    for thread in list(_contexts):
        thread.join(max(0.0, deadline - time.monotonic()))
    _erlang.seal()


def _start_context(token: str, role: str = "context") -> None:
    # A daemon: a context never ends by itself, and must not keep the host alive.
    thread = threading.Thread(target=_context, args=(role, token), name="erlang-context", daemon=True)
    _contexts.add(thread)
    thread.start()


def _context(role: str, token: str) -> None:
    try:
        _erlang.serve(role, token)
    except Error as exc:
        print(f"erlpy: a context could not start: {exc}", file=sys.stderr)


def _drop(space: Optional[Pid]) -> None:
    if space is not None:
        _spaces.pop(space, None)


def _version() -> str:
    return ".".join(map(str, sys.version_info[:3]))


_TARGETS: dict[str, Callable[..., Any]] = {
    "call": _call,
    "eval": _eval,
    "exec": _exec,
    "run": _run,
    "start_context": _start_context,
    "drop": _drop,
    "version": _version,
}


def _message(exc: BaseException) -> str:
    try:
        return _sendable(str(exc))
    except Exception:
        return f"<the text of this {type(exc).__name__} could not be made>"


def _sendable(text: str) -> str:
    """Lone surrogates, as in undecodable file names, have no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
