"""Many calls in flight from one thread, without asyncio."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Optional

import _erlang

from . import _pending
from ._errors import TypeError, ValueError


class _Call(Future[Any]):
    """The future of a call. It stays pending, and so can be cancelled, until the call has ended."""

    _token = 0

    def get_loop(self) -> None:
        """Where it is resolved, as asyncio's futures say it: in no loop."""

    def cancel(self) -> bool:
        """Kills the call. False when it has ended already."""
        if not super().cancel():
            return False
        if _pending.stop(self._token):
            self.set_running_or_notify_cancel()  # for those in concurrent.futures.wait
        return True


def submit(name: str, /, *args: Any, timeout: Optional[float] = None) -> Future[Any]:
    """Starts a call, in a process of its own, and returns the future of its result. `cancel()` kills it."""
    future = _Call()
    future._token = _pending.start(future, timeout, name, args)
    return future


def map(name: str, iterable: Iterable[Any], window: int = 256) -> Generator[Any, None, None]:
    """Calls the function for each item, `window` calls at a time, and gives the results in order.

    Whatever fails is raised where its result would have been. Closing the generator stops what is in flight.
    """
    if not isinstance(window, int):
        raise TypeError(f"window is an int, not {type(window).__name__}")
    if window < 1:
        raise ValueError(f"window is at least 1, not {window}")
    if not hasattr(iterable, "__iter__") and not hasattr(iterable, "__getitem__"):
        raise TypeError(f"map takes an iterable, with the argument of a call in each item, not {type(iterable).__name__}")
    return _mapped(name, iter(iterable), min(window, sys.maxsize))


def _mapped(name: str, items: Iterator[Any], window: int) -> Generator[Any, None, None]:
    calls = _erlang.map_begin(name, items, window)
    try:
        while (result := _erlang.map_next(calls)) is not calls:
            yield result
    finally:
        _erlang.map_end(calls)
