"""Contexts: threads that serve the other side's calls, and can be interrupted in them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Optional, Union

import _erlang

from . import _threads
from ._errors import Error, Interrupted

_by_token: dict[Union[str, bytes], Context] = {}
# The Go program's running calls by their numbers: the context and level of each.
_jobs: dict[int, tuple[Context, int]] = {}
_here = threading.local()


class Context:
    """The state of a thread that runs calls for the other side: how many, one within the other.

    An interrupt is meant for a level: the call there, and those within it, are to end. The innermost is told first, by an exception that
    interrupt() raises in it. As each ends, the one around it is told, down to that level, when it next waits or runs. Code that catches
    the exception does not hide it from the calls around.

      _level  calls that run, one within the other; 0: idle
      _stop   the outermost level that an interrupt is meant for; in force until that level is left; 0: none is
      _told   the outermost level that has been told; those from _stop up to it have yet to be
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ident = 0
        self._level = 0
        self._stop = 0
        self._told = 0

    def begin(self) -> None:
        """Called by the thread itself, first."""
        self._ident = threading.get_ident()
        _here.context = self

    def run(self, serve: Callable[..., Any], args: list[Any], job: int = 0) -> Any:
        """Runs serve(*args), open to interrupts from beginning to end, and not a moment longer. job
        is the number of a call of the Go program's.
        """
        level = self._level + 1
        try:
            try:
                self._enter(level, job)
                value = serve(*args)
            finally:
                self._leave(level, job)
        except Interrupted:
            # On the way out it may have cut _leave() short: once, see interrupt().
            self._leave(level, job)
            raise
        if self._due():
            raise Interrupted  # it has been caught in there, but was meant for the calls around as well
        return value

    def interrupt(self, level: int, job: int = 0) -> bool:
        """Raises Interrupted in the calls from that level on. False: there are none, the job has
        ended, or it cannot be done now.
        """
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            with self._lock:
                if self._level < level or (job and job not in _jobs):
                    return False
                # A pending exception is taken back first, and a new one is never raised in code of
                # this file: so at most one arrives while a call is being left. Leaving takes the
                # lock, hence waits for this to be over.
                _erlang.raise_in(self._ident, None)
                frame = sys._current_frames().get(self._ident)
                starting = _thread_that_starts(frame)
                if starting is None and not (frame and frame.f_code.co_filename == _FILE):
                    self._stop = min(self._stop or level, level)
                    self._told = self._level
                    return _erlang.raise_in(self._ident, Interrupted)
            if starting is None:
                time.sleep(0.0005)  # its thread leaves this file in some microseconds
            else:
                starting._started.wait(0.05)  # type: ignore[attr-defined]
        return False

    def look(self) -> None:
        """Called by the thread when it waits, or goes on after a call within has failed."""
        with self._lock:
            due = self._due()
            if due:
                self._told = self._level
        if due:
            raise Interrupted

    def failed(self, exc: BaseException) -> None:
        """Called when an inner call's failure is told to the other side: one that was raised too late for that call was for the one around."""
        with self._lock:
            if self._stop and self._told <= self._level and isinstance(exc, Interrupted):
                self._told = self._level + 1

    def _due(self) -> bool:
        return 0 < self._stop <= self._level < self._told

    def _enter(self, level: int, job: int) -> None:
        with self._lock:
            self._level = level
            if job:
                _jobs[job] = self, level
            stopped = self._stop > 0 and self._told >= level
        if stopped:
            raise Interrupted  # the call around has yet to be told

    def _leave(self, level: int, job: int) -> None:
        with self._lock:
            self._level = level - 1
            _jobs.pop(job, None)
            if self._stop >= level:
                self._stop = self._told = 0


_FILE = Context.run.__code__.co_filename


def _thread_that_starts(frame: Optional[FrameType]) -> Optional[threading.Thread]:
    """The thread being started by the code of that frame. Before Python 3.12 it has its parent's
    ident until it runs: the exception would kill it in its first line, and the parent wait for ever.
    """
    if sys.version_info < (3, 12):
        for _ in range(4):  # of Thread.start, Event.wait, Condition.wait, and what that calls
            if frame is None:
                break
            if frame.f_code is threading.Thread.start.__code__:
                thread: threading.Thread = frame.f_locals["self"]
                return thread if thread.ident is None else None
            frame = frame.f_back
    return None


def current() -> Optional[Context]:
    """The context that this thread is."""
    context: Optional[Context] = getattr(_here, "context", None)
    return context


def start(token: Union[str, bytes], role: str = "context", name: str = "erlang-context") -> None:
    context = Context()
    if token:
        _by_token[token] = context
    _threads.start(name, _serve, context, role, token)


def interrupt(token: Union[str, bytes], level: int = 1) -> bool:
    context = _by_token.get(token)
    return context is not None and context.interrupt(level)


def run_job(job: int, serve: Callable[..., Any], args: list[Any]) -> Any:
    """Runs a call of the Go program's: also on a plain thread, in a Go function's call."""
    context = current()
    if context is None:
        context = Context()
        context.begin()
    return context.run(serve, args, job)


def interrupt_job(job: int) -> bool:
    """Interrupts that call and those within it. False: it has not begun, or has ended."""
    context, level = _jobs.get(job, (None, 0))
    return context is not None and context.interrupt(level, job)


def look() -> None:
    context = current()
    if context is not None:
        context.look()


def _serve(context: Context, role: str, token: Union[str, bytes]) -> None:
    context.begin()
    try:
        _erlang.serve(role, token)
    except Error as exc:
        print(f"erlpy: a context could not start: {exc}", file=sys.stderr)
    finally:
        _by_token.pop(token, None)
