"""Calls that no thread waits for: the future that each belongs to, and the one thread that hands out how they ended."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

import _erlang

from . import _threads
from ._errors import Error, failure

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Futures by token. Whoever takes one out is the one to bring it to an end.
_table: dict[int, Any] = {}
_reaper: Optional[threading.Thread] = None
# To start the reaper. Reentrant: a signal handler may start a call in the midst of one that is being started.
_lock = threading.RLock()


def start(future: Any, timeout: Optional[float], name: str, args: tuple[Any, ...]) -> int:
    """Starts a call whose end resolves the future, in the loop that its `get_loop()` says, or in any thread when that is None. Returns its
    token.
    """
    if _reaper is None:
        _start_reaper()
    token = _erlang.token()
    _table[token] = future
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


def _start_reaper() -> None:
    global _reaper
    with _lock:
        if _reaper is None:
            _reaper = _threads.start("erlang-reaper", _reap)


def _reap() -> None:
    while (batch := _erlang.completions()) is not None:
        _hand_out(batch)
    # Nothing is left unresolved, whatever became of it.
    ended = False, ("disconnected", "the program ends")
    _hand_out([part for token in list(_table) for part in (token, *ended)])


def _hand_out(batch: list[Any]) -> None:
    """Ends the futures of a batch: token, ok, value, token, ok, value, ... Flat, as are the lists for the loops, since each tuple that lives for a
    while has its share in the collections of the garbage collector, which is half of what asyncio costs.
    """
    loops: dict[AbstractEventLoop, list[Any]] = {}
    for token, ok, value in _threes(batch):
        future = _table.pop(token, None)
        if future is None:
            continue  # stopped meanwhile
        loop = future.get_loop()
        if loop is None:
            _settle(future, ok, value)
        elif loop in loops:
            loops[loop] += future, ok, value
        else:
            loops[loop] = [future, ok, value]
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


def _settle_in_loop(outcomes: list[Any]) -> None:
    for future, ok, value in _threes(outcomes):
        if future.done():
            continue  # its task was cancelled
        if ok:
            future.set_result(value)
        elif _cancelled(ok, value):
            future.cancel()
        else:
            future.set_exception(failure(value))


def _threes(flat: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    items = iter(flat)
    return zip(items, items, items)


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
