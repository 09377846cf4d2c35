"""Calls that come from the other side: what PROTOCOL.md, section 4, lists as node to Python."""

from __future__ import annotations

import atexit
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional

import _erlang

from . import _contexts, _logs, _memory, _run, _threads
from ._errors import Error, sendable
from ._types import Atom

# A frame of ours, in a traceback: of no use to whoever reads it.
OWN = "<erlpy>/"


def dispatch(target: str, args: list[Any]) -> Any:
    """Serves one call. Raises whatever the code that it runs raises."""
    job = 0
    if target == "job":
        job, target, args = args
    serve = _TARGETS.get(target)
    if serve is None:
        raise Error(f"a call of an unknown kind: {target!r}")
    if job:
        return _contexts.run_job(job, serve, args)
    context = _contexts.current()
    return serve(*args) if context is None else context.run(serve, args)


def describe(exc: BaseException) -> tuple[Any, ...]:
    """The error payload for an exception that `dispatch` raised."""
    context = _contexts.current()
    if context is not None:
        context.failed(exc)
    exc.__traceback__ = without_own(exc.__traceback__)
    lines = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__)).splitlines()
    return Atom("python"), sendable(type(exc).__name__), _message(exc), [sendable(line) for line in lines]


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
    run_exit_functions()
    return 0


def run_exit_functions() -> None:
    """Those of atexit, ours last. Py_FinalizeEx would run them too, but too late: by then nobody answers any more."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass  # has been printed; only Python 3.9 raises it as well


def tick() -> None:
    """That it is run gives an exception that another thread has set the occasion to be raised."""
    _contexts.look()


def end() -> None:
    """The program's last act in Python: no call is made or waited for after it."""
    _logs.stop()
    _erlang.close()
    # Contexts that still run somebody's code after this are cut off, as all daemon threads are.
    _threads.join(1.0)
    _erlang.seal()


def _version() -> str:
    return ".".join(map(str, sys.version_info[:3]))


_TARGETS: dict[str, Callable[..., Any]] = {
    "call": _run.call,
    "eval": _run.eval_,
    "exec": _run.exec_,
    "stream": _run.stream,
    "stream_eval": _run.stream_eval,
    "run": _run.script,
    "drop": _run.drop,
    "start_context": _contexts.start,
    "interrupt": _contexts.interrupt,
    "interrupt_job": _contexts.interrupt_job,
    "logging": _logs.configure,
    "memory": _memory.memory,
    "gc": _memory.collect,
    "version": _version,
}


def _message(exc: BaseException) -> str:
    try:
        return sendable(str(exc))
    except Exception:
        return f"<the text of this {type(exc).__name__} could not be made>"
