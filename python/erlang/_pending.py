"""Calls that no thread waits for: the future that each belongs to, and the one thread that hands out how they ended.

An exception may come at any step of that thread, and of a loop's thread: Ctrl-C, Interrupted, MemoryError. So whatever
has to be handed over stays in a list that outlives the function at it, and that function may begin anew at any time:
what is done already it finds done. `_erlang.persist` and `_erlang.insist` begin it anew.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Optional

import _erlang

from . import _threads
from ._errors import Error, failure

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Futures by token, until the end of the call is being handed out.
_table: dict[int, Any] = {}
# Flat lists of future, ok, value, future, ... for loops that could not be told so far.
_owed: dict[AbstractEventLoop, list[Any]] = {}
_reaper: Optional[threading.Thread] = None
# To start the reaper. Reentrant: a signal handler may start a call in the midst of one that is being started.
_lock = threading.RLock()


def submit(token: int, future: Any, timeout: Optional[float], name: str, args: tuple[Any, ...]) -> None:
    """Starts a call, as soon as there is room for it. Its end resolves the future, in the loop of its
    `get_loop()`, or in any thread when that is None.
    """
    if _reaper is None:
        _start_reaper()
    _table[token] = future
    _erlang.submit(token, timeout, name, args)


def offer(token: int, future: Any, timeout: Optional[float], name: str, args: tuple[Any, ...]) -> bool:
    """The same if there is room. If not, the future is resolved as soon as there may be some, or the time is over."""
    if _reaper is None:
        _start_reaper()
    _table[token] = future
    return _erlang.offer(token, timeout, name, args)


def stop(token: int) -> None:
    """Kills a call. Without effect on one that has ended or that has not begun."""
    try:
        _erlang.cancel(token)
    except Error:
        pass  # nobody is left who could go on with it
    _table.pop(token, None)


def is_reaper() -> bool:
    return threading.current_thread() is _reaper


def report(exc: BaseException) -> None:
    """Tells of an exception that is nobody's."""
    threading.excepthook(threading.ExceptHookArgs((type(exc), exc, exc.__traceback__, threading.current_thread())))


def _start_reaper() -> None:
    global _reaper
    with _lock:
        if _reaper is None:
            _reaper = _threads.start("erlang-reaper", _erlang.persist, _reap, [], _reported)


def _reported(exc: BaseException) -> None:
    report(exc)
    if isinstance(exc, Exception):
        time.sleep(0.1)  # no memory or no descriptors: not again at once


def _reap(batch: list[Any]) -> None:
    _forget(batch)
    _hand_out(batch)
    while _erlang.completions(batch):
        _hand_out(batch)
    # Nothing is left unresolved, whatever became of it.
    ended = False, ("disconnected", "the program ends")
    batch += [part for token in list(_table) for part in (token, *ended)]
    _hand_out(batch)


def _forget(batch: list[Any]) -> None:
    """Takes out of the table what is in the batch already: an exception has come in between."""
    moved = {id(future) for future in batch[::3]}
    for token, future in list(_table.items()):
        if id(future) in moved:
            _table.pop(token, None)


def _hand_out(batch: list[Any]) -> None:
    """Ends the futures of a batch, and empties it: token, ok, value, token, ok, value, ...

    Flat, as are the lists for the loops: each tuple that lives for a while costs the garbage collector's
    time, which is half of what asyncio costs.
    """
    # The futures take the tokens' places first: a call that has waited for room is offered anew
    # with its token.
    tokens = batch[::3]
    batch[::3] = [_table.get(token) if type(token) is int else token for token in tokens]
    for token in tokens:
        _table.pop(token, None)
    for future, ok, value in _threes(batch):
        if future is None:
            continue  # stopped meanwhile
        loop = future.get_loop()
        if loop is None:
            future.settle(ok, value)
        elif loop in _owed:
            _owed[loop] += future, ok, value
        else:
            _owed[loop] = [future, ok, value]
    # Once per loop and batch: waking a loop costs more than all else.
    for loop in list(_owed):
        for _ in range(3):
            try:
                loop.call_soon_threadsafe(_erlang.insist, loop.call_soon_threadsafe, _settle_in_loop, _owed[loop])
            except BaseException as exc:
                if not loop.is_closed():
                    report(exc)
                    continue  # and after the last time: with the next batch
                # Nobody can be waiting there.
            _owed.pop(loop, None)
            break
    batch.clear()


def _settle_in_loop(outcomes: list[Any]) -> None:
    for future, ok, value in _threes(outcomes):
        if future.done():
            continue  # its task was cancelled, or this has been begun before
        try:
            if ok:
                future.set_result(value)
            elif cancelled(ok, value):
                future.cancel()
            else:
                future.set_exception(failure(value))
        except MemoryError:
            raise  # this is begun again
        except Exception as exc:
            report(exc)  # the other futures are to be resolved all the same


def _threes(flat: list[Any]) -> Iterator[tuple[Any, Any, Any]]:
    items = iter(flat)
    return zip(items, items, items)


def cancelled(ok: bool, value: Any) -> bool:
    return not ok and isinstance(value, tuple) and value[:1] == ("cancelled",)


def _forked() -> None:
    """A forked child has none of its parent's calls, nor the thread that would hand out how they end."""
    global _reaper, _lock
    _table.clear()
    _owed.clear()
    _reaper, _lock = None, threading.RLock()


os.register_at_fork(after_in_child=_forked)
