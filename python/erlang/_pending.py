"""Calls that no thread waits for: the future that each belongs to, and the one thread that hands out how they ended."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Optional

import _erlang

from . import _threads
from ._errors import Error, failure

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Futures by token, each with the loop that it is resolved in; None for one of concurrent.futures. Whoever takes an entry
# out is the one to bring its future to an end.
_table: dict[int, tuple[Any, Optional[AbstractEventLoop]]] = {}
_tokens = itertools.count(1)
_reaper: Optional[threading.Thread] = None
# Reentrant: a signal handler may start a call in the midst of one that is being started.
_lock = threading.RLock()


def start(
    future: Any, loop: Optional[AbstractEventLoop], timeout: Optional[float], name: str, args: tuple[Any, ...]
) -> int:
    """Starts a call whose end resolves the future. Returns its token."""
    global _reaper
    with _lock:
        token = next(_tokens)
        if _reaper is None:
            _reaper = _threads.start("erlang-reaper", _reap)
    _table[token] = future, loop
    try:
        _erlang.submit(token, timeout, name, args)
    except BaseException:
        _table.pop(token, None)
        raise
    return token


def stop(token: int) -> bool:
    """Kills a call. False when it has ended already: then its future is being resolved, or has been."""
    if _table.pop(token, None) is None:
        return False
    try:
        _erlang.cancel(token)
    except Error:
        pass  # nobody is left who could go on with it
    return True


def _reap() -> None:
    while True:
        batch = _erlang.completions()
        if batch is None:
            break
        _hand_out(batch)
    # Nothing is left unresolved, whatever became of it.
    _hand_out([(token, False, ("disconnected", "the program ends")) for token in list(_table)])


def _hand_out(batch: list[tuple[int, bool, Any]]) -> None:
    loops: dict[AbstractEventLoop, list[tuple[Any, bool, Any]]] = {}
    for token, ok, value in batch:
        future, loop = _table.pop(token, (None, None))
        if future is None:
            continue  # stopped meanwhile
        if loop is None:
            _settle(future, ok, value)
        else:
            loops.setdefault(loop, []).append((future, ok, value))
    # Once per loop and batch: waking a loop costs more than all else.
    for loop, outcomes in loops.items():
        try:
            loop.call_soon_threadsafe(_settle_in_loop, outcomes)
        except RuntimeError:
            pass  # closed: nobody can be waiting there


def _settle(future: Any, ok: bool, value: Any) -> None:
    try:
        if _cancelled(ok, value):
            future.cancel()
        if future.set_running_or_notify_cancel():
            _resolve(future, ok, value)
    except BaseException:
        # A callback of the user's has raised what futures do not catch. The others' must be run all the same.
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


def _settle_in_loop(outcomes: list[tuple[Any, bool, Any]]) -> None:
    for future, ok, value in outcomes:
        if future.done():
            continue  # its task was cancelled
        if _cancelled(ok, value):
            future.cancel()
        else:
            _resolve(future, ok, value)


def _cancelled(ok: bool, value: Any) -> bool:
    return not ok and isinstance(value, tuple) and value[:1] == ("cancelled",)


def _resolve(future: Any, ok: bool, value: Any) -> None:
    if ok:
        future.set_result(value)
    else:
        future.set_exception(failure(value))


def _forked() -> None:
    """A forked child has none of its parent's calls, nor the thread that would hand out how they end."""
    global _reaper, _lock
    _table.clear()
    _reaper, _lock = None, threading.RLock()


os.register_at_fork(after_in_child=_forked)
