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
    """What is known of such a thread: how many calls, one within the other, it runs at the moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ident = 0
        self._level = 0

    def enter(self) -> None:
        """Called by the thread itself, first."""
        self._ident = threading.get_ident()
        _here.context = self

    def run(self, serve: Callable[..., Any], args: list[Any]) -> Any:
        """Runs serve(*args), open to interrupts from beginning to end, and not a moment longer."""
        level = self._level
        try:
            try:
                self._at(level + 1)
                return serve(*args)
            finally:
                self._at(level)
        except Interrupted:
            self._at(level)  # it may have come just when this was to be done above
            raise

    def _at(self, level: int) -> None:
        with self._lock:
            self._level = level
            if level == 0:
                _erlang.raise_in(self._ident, None)  # too late for this call, and not meant for the next

    def interrupt(self) -> bool:
        """Raises Interrupted in the innermost call. False when there is none."""
        with self._lock:
            return self._level > 0 and _erlang.raise_in(self._ident, Interrupted)


def current() -> Optional[Context]:
    """The context that this thread is."""
    context: Optional[Context] = getattr(_here, "context", None)
    return context


def start(token: Union[str, bytes], role: str = "context") -> None:
    context = Context()
    if token:
        _by_token[token] = context
    _threads.start("erlang-context", _serve, context, role, token)


def interrupt(token: Union[str, bytes]) -> bool:
    context = _by_token.get(token)
    return context is not None and context.interrupt()


def _serve(context: Context, role: str, token: Union[str, bytes]) -> None:
    context.enter()
    try:
        _erlang.serve(role, token)
    except Error as exc:
        print(f"erlpy: a context could not start: {exc}", file=sys.stderr)
    finally:
        _by_token.pop(token, None)
