"""Contexts: threads that serve the other side's calls, and can be interrupted in them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Optional, Union

import _erlang

from . import _threads
from ._errors import Error, Interrupted

_by_token: dict[Union[str, bytes], Context] = {}
_here = threading.local()


class Context:
    """What is known of such a thread: how many calls, one within the other, it runs at the moment.

    An interrupt is meant for a level: the call there, and those within it, are to end. The innermost is told first, by an exception that
    interrupt() raises in it. As each ends, the one around it is told, down to that level, when it next waits or runs. Each is told
    once: what code does that has caught it is its own affair, but it does not hide it from the calls around.

      _level    calls that run, one within the other; 0: idle
      _stop     the outermost level that an interrupt is meant for; in force until that level is left; 0: none is
      _told     the outermost level that has been told; those from _stop up to it have yet to be
      _leaving  the innermost is being left: nothing is raised in it any more
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ident = 0
        self._level = 0
        self._stop = 0
        self._told = 0
        self._leaving = False

    def begin(self) -> None:
        """Called by the thread itself, first."""
        self._ident = threading.get_ident()
        _here.context = self

    def run(self, serve: Callable[..., Any], args: list[Any]) -> Any:
        """Runs serve(*args), open to interrupts from beginning to end, and not a moment longer."""
        level = self._level + 1
        try:
            try:
                self._enter(level)
                value = serve(*args)
            finally:
                # None is raised from here on. One that was raised before comes at the latest when this method calls _due(), and cuts
                # _leave() short at most once.
                self._leaving = True
                self._leave(level)
        except Interrupted:
            self._leave(level)
            raise
        if self._due():
            raise Interrupted  # it has been caught in there, but was meant for the calls around as well
        return value

    def interrupt(self, level: int) -> bool:
        """Has the calls from that level on raise Interrupted. False when there are none."""
        with self._lock:
            if self._level < level:
                return False
            self._stop = min(self._stop or level, level)
            self._told = self._level
            return self._leaving or _erlang.raise_in(self._ident, Interrupted)

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

    def _enter(self, level: int) -> None:
        with self._lock:
            self._level = level
            stopped = self._stop > 0 and self._told >= level
        if stopped:
            raise Interrupted  # the call around has yet to be told

    def _leave(self, level: int) -> None:
        with self._lock:
            self._level = level - 1
            self._leaving = False
            if self._stop >= level:
                self._stop = self._told = 0


def current() -> Optional[Context]:
    """The context that this thread is."""
    context: Optional[Context] = getattr(_here, "context", None)
    return context


def start(token: Union[str, bytes], role: str = "context") -> None:
    context = Context()
    if token:
        _by_token[token] = context
    _threads.start("erlang-context", _serve, context, role, token)


def interrupt(token: Union[str, bytes], level: int = 1) -> bool:
    context = _by_token.get(token)
    return context is not None and context.interrupt(level)


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
